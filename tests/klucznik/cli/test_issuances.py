"""Issuances that outlive a run: ordered, seen, taken on again, waited for, called off. Workers are in `test_worker`."""

import re

import pytest
from tests.klucznik.cli.lines import at, listed, part
from tests.klucznik.cli.scenes import Ran, Scene, done, klucznik

from klucznik.domain.issuance import IssuanceState
from klucznik.domain.waits import WaitKind
from klucznik.messages.catalogue import LANGUAGES, words_in

ISSUANCE = {
    "id", "context", "subject", "state", "missing", "waits_for", "waits_until", "reason", "cancelled", "created_at",
    "requests_spent", "requests",
}  # fmt: skip


def own(scene: Scene, nip: str) -> tuple[str, ...]:
    cert, key = scene.seal(nip=nip)
    return ("--nip", nip, "--cert", cert, "--key", key)


def ordered(scene: Scene, nip: str, *more: str) -> str:
    """The id of an issuance that waits for a worker."""
    data = done("issue", "--detach", *own(scene, nip), *at(scene), "--json", *more).data
    assert data["outcome"] == "ordered"
    return str(data["issuance"] if isinstance(data["issuance"], str) else part(data, "issuance")["id"])


def only(scene: Scene, issuance: str) -> dict[str, object]:
    (one,) = listed(done("status", issuance, *at(scene), "--json").data, "issuances")
    return one


def filed(scene: Scene) -> int:
    return len(scene.ksef.requests(method="POST", path="/certificates/enrollments"))


def test_an_order_signs_in_and_files_nothing(scene: Scene) -> None:
    issuance = ordered(scene, "6112345678")
    assert re.fullmatch(r"[0-9a-f]{32}", issuance)
    one = only(scene, issuance)
    assert set(one) == ISSUANCE
    assert (one["state"], one["waits_for"], one["requests_spent"], one["requests"]) == ("planned", None, 0, [])
    assert filed(scene) == 0
    assert len(scene.ksef.requests(method="POST", path="/auth/xades-signature")) == 1


@pytest.mark.parametrize(
    ("language", "said", "state", "column"),
    [("pl", "Zlecono: wystawianie", "zlecone", "zużyte"), ("en", "Ordered", "ordered", "spent")],
)
def test_an_order_and_where_it_is_are_shown(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, language: str, said: str, state: str, column: str
) -> None:
    shown = done("issue", "--detach", *own(scene, "6122345678"), *at(scene), "--lang", language).out
    assert said in shown
    (short,) = set(re.findall(r"\b[0-9a-f]{8}\b", shown))
    monkeypatch.setenv("COLUMNS", "80")
    table = done("status", *at(scene), "--lang", language).out
    assert column in table
    assert re.search(rf"(?m)^{short}  6122345678  6122345678 +{state} ", table)
    assert all(len(line.rstrip()) <= 80 for line in table.splitlines())
    assert state in done("status", short, *at(scene), "--lang", language).out


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_list_has_a_short_word_for_every_state_and_wait(language: str) -> None:
    words = words_in(language)
    for one in (*IssuanceState, *WaitKind):
        assert len(words.say(f"status.short.{one.value}")) <= 18
        assert words.has(f"status.short.{one.value}")


def test_the_list_is_empty_where_nothing_was_ordered(scene: Scene) -> None:
    scene.furnish()
    assert listed(done("status", *at(scene), "--json").data, "issuances") == []
    assert "Nie ma tu żadnych" in done("status", *at(scene)).out


def test_what_has_ended_is_left_out_where_only_the_running_are_asked_for(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    running = ordered(scene, "6132345678")
    everything = listed(done("status", *at(scene), "--json").data, "issuances")
    assert [one["state"] for one in everything] == ["planned", "done"]
    (one,) = listed(done("status", "--running", *at(scene), "--json").data, "issuances")
    assert one["id"] == running


def test_a_finished_issuance_shows_its_requests_with_names_and_numbers(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    (one,) = listed(done("status", *at(scene), "--json").data, "issuances")
    assert (one["state"], one["requests_spent"]) == ("done", 2)
    requests = listed(one, "requests")
    assert [(request["type"], request["state"]) for request in requests] == [
        ("Authentication", "verified"), ("Offline", "verified")
    ]  # fmt: skip
    shown = done("status", str(one["id"])[:8], *at(scene)).out
    for request in requests:
        assert str(request["name"]) in shown
        assert str(request["serial"]) in shown
    assert "w skarbcu i sprawdzony" in shown


def test_resume_sees_an_order_through(scene: Scene) -> None:
    issuance = ordered(scene, "6142345678")
    ran = done("resume", issuance[:8].upper(), *at(scene), "--json")
    assert ran.data["outcome"] == "issued"
    assert [one["verified"] for one in listed(ran.data)] == [True, True]
    assert (only(scene, issuance)["state"], filed(scene)) == ("done", 2)


def test_resume_tells_a_person_each_step(scene: Scene) -> None:
    issuance, credential = ordered(scene, "6152345678"), own(scene, "6152345678")[2:]
    ran = done("resume", issuance, *credential, *at(scene), "--lang", "en")
    assert "Keys saved in the vault" in ran.err
    assert "KSeF certificates ready" in ran.out


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [("pl", "Wystawianie odwołano.", "Niczego nie zużyto."), ("en", "called off", "Nothing was spent.")],
)
def test_calling_off_in_time_spends_nothing(scene: Scene, language: str, first: str, second: str) -> None:
    ran = done("cancel", ordered(scene, "6162345678"), *at(scene), "--lang", language)
    assert first in ran.out
    assert second in ran.out
    issuance = ordered(scene, "6162345678")
    data = done("cancel", issuance, *at(scene), "--json").data
    assert (data["requests_spent"], data["requests_saved"]) == (0, 2)
    assert only(scene, issuance)["state"] == "cancelled"
    assert filed(scene) == 0


def waiting(scene: Scene, nip: str, *more: str) -> Ran:
    scene.ksef.set_limits("Nip", nip, enrollment=1, certificate=6)
    return klucznik("issue", "--wait", *own(scene, nip), *at(scene), *more)


def test_an_order_may_wait_for_limits(scene: Scene) -> None:
    nip = "6172345678"
    ran = waiting(scene, nip, "--json")
    assert (ran.code, ran.data["outcome"], ran.err) == (3, "waiting_for_limits", "")
    issuance = str(ran.data["issuance"])
    one = only(scene, issuance)
    assert (one["state"], one["waits_for"]) == ("planned", "limits")
    assert one["waits_until"] == ran.data["looked_at_again"]
    for language, said in (("pl", "czeka na limity"), ("en", "waits for limits")):
        assert said in done("status", *at(scene), "--lang", language).out
        assert "{" not in done("status", issuance, *at(scene), "--lang", language).out
    scene.ksef.set_limits("Nip", nip, enrollment=12, certificate=6)
    assert done("resume", issuance, *at(scene), "--json").data["outcome"] == "issued"


@pytest.mark.parametrize("language", ["pl", "en"])
def test_waiting_for_limits_is_told_with_the_way_out(scene: Scene, language: str) -> None:
    ran = waiting(scene, {"pl": "6182345678", "en": "6192345678"}[language], "--lang", language)
    assert ran.code == 3
    assert "{" not in ran.out
    assert {"pl": "Zlecenie czeka", "en": "order waits"}[language] in ran.out

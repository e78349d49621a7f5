"""Renewal on the command line: what is due, one failure among many, hooks, the summary in both languages."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.klucznik.cli.lines import at, listed, part
from tests.klucznik.cli.scenes import NIP, Scene, done, klucznik
from tests.klucznik.services.renewing import program, put_hook


def with_pairs(scene: Scene, *nips: str) -> None:
    """A home with a pair for each company."""
    scene.furnish()
    for nip in nips:
        cert, key = scene.seal(nip=nip, name=nip)
        done("issue", "--nip", nip, "--cert", cert, "--key", key, *at(scene))
    scene.ksef.clear_requests()


def age(home: Path, nip: str, *, days_left: int) -> None:
    """The pair of a company as it is so many days before its end, as far as the vault knows."""
    end = datetime.now(UTC) + timedelta(days=days_left)
    dates = [moment.strftime("%Y-%m-%d %H:%M:%S.000000") for moment in (end - timedelta(days=730), end)]
    with closing(sqlite3.connect(home / "klucznik.db")) as database, database:
        database.execute("UPDATE certificates SET valid_from = ?, valid_to = ? WHERE subject_value = ?", (*dates, nip))


def filed(scene: Scene) -> int:
    return len(scene.ksef.requests(method="POST", path="/certificates/enrollments"))


def test_nothing_is_asked_where_nothing_is_due(scene: Scene) -> None:
    scene.furnish(with_pair=True)
    scene.ksef.clear_requests()
    ran = done("renew", "--all", *at(scene), "--json")
    assert (ran.data["outcome"], ran.data["looked_at"], ran.data["renewals"]) == ("renewals", 1, [])
    assert "Nie ma czego odnawiać: sprawdzono 1 osobę lub firmę" in done("renew", "--all", *at(scene)).out
    assert "The next is due on" in done("renew", "--nip", NIP, *at(scene), "--lang", "en").out
    assert scene.ksef.requests() == []


def test_a_dry_run_shows_who_is_due_and_who_is_next_and_asks_nothing(scene: Scene) -> None:
    due, later = "6212345678", "6222345678"
    with_pairs(scene, due, later)
    age(scene.home, due, days_left=50)
    data = done("renew", "--all", "--dry-run", *at(scene), "--json").data
    assert (data["outcome"], data["due"]) == ("renewals_planned", 1)
    first, second = listed(data, "renewals")
    assert (part(first, "subject")["value"], first["due"]) == (due, ["Authentication", "Offline"])
    assert (part(second, "subject")["value"], second["due"]) == (later, [])
    for language, said in (("pl", "Do odnowienia: 1"), ("en", "1 is due for renewal")):
        shown = done("renew", "--all", "--dry-run", *at(scene), "--lang", language).out
        assert said in shown
        assert shown.index(due) < shown.index(later)
    assert scene.ksef.requests() == []


def test_a_batch_goes_on_past_a_failure_and_says_who_it_was(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    nips = ["6232345678", "6242345678", "6252345678"]
    with_pairs(scene, *nips)
    for nip in nips:
        age(scene.home, nip, days_left=50)
    scene.ksef.set_limits("Nip", nips[1], enrollment=3, certificate=100)
    put_hook(scene.home, "10-copy", 'test "$KLUCZNIK_NIP" != 6252345678 || { echo no disk; exit 4; }')
    ran = klucznik("renew", "--all", *at(scene), "--json")
    assert ran.code == 7
    assert (ran.data["renewed"], ran.data["not_well"], ran.err) == (2, 2, "")
    found = {str(part(one, "subject")["value"]): one for one in listed(ran.data, "renewals")}
    assert [part(found[nip], "renewal")["result"] for nip in nips] == ["renewed", "refused_by_limits", "renewed"]
    assert part(found[nips[1]], "renewal", "refusal")["remedies"]
    (hook,) = listed(found[nips[2]], "hooks")
    assert (hook["hook"], hook["state"], hook["exit_code"], hook["attempts"]) == ("10-copy", "failed", 4, 1)
    assert filed(scene) == 4
    monkeypatch.setenv("COLUMNS", "100")
    for language, said in (
        ("pl", ("brak miejsca w limitach", "Skrypt 10-copy", "Odnowić można do", "Z problemami: 2")),
        ("en", ("no room in the limits", "Hook 10-copy failed (exit code 4)", "possible until", "With problems: 2")),
    ):
        again = klucznik("renew", "--all", *at(scene), "--lang", language)
        assert again.code == 7
        for words in said:
            assert words in again.out
        assert "{" not in again.out
    assert filed(scene) == 4
    scene.ksef.set_limits("Nip", nips[1], enrollment=300, certificate=100)
    put_hook(scene.home, "10-copy", "exit 0")
    assert done("renew", "--nip", nips[2], "--force", "--dry-run", *at(scene), "--json").data["due"] == 1
    assert part(listed(done("renew", "--nip", nips[1], *at(scene), "--json").data, "renewals")[0], "renewal")[
        "result"
    ] == "renewed"  # fmt: skip


def test_a_renewal_before_its_time_is_one_company_at_a_time_and_may_revoke_the_old(scene: Scene) -> None:
    with_pairs(scene, "6262345678")
    one = ("--nip", "6262345678", *at(scene), "--json")
    refused = klucznik("renew", "--force", "--revoke-old-offline", *one)
    assert (refused.code, refused.data["reason"], filed(scene)) == (2, "not_confirmed", 0)
    data = done("renew", "--force", "--revoke-old", *one).data
    (renewed,) = listed(data, "renewals")
    old = part(renewed, "renewal")["replaced"]
    assert isinstance(old, list)
    assert (renewed["well"], renewed["revoked"]) == (True, old[:1])
    again = done("renew", "--force", "--revoke-old-offline", "--yes", *one).data
    assert len(listed(again, "renewals")[0]["revoked"]) == 1  # type: ignore[arg-type]
    assert filed(scene) == 4


@pytest.mark.parametrize(("language", "said"), [("pl", "potrzebny podpis"), ("en", "needs a signature")])
def test_what_has_expired_is_told_with_the_way_on(scene: Scene, language: str, said: str) -> None:
    with_pairs(scene, {"pl": "6272345678", "en": "6282345678"}[language])
    age(scene.home, {"pl": "6272345678", "en": "6282345678"}[language], days_left=-3)
    ran = klucznik("renew", "--all", *at(scene), "--lang", language)
    assert ran.code == 7
    assert said in ran.out
    assert "klucznik issue" in ran.out
    assert said in done("renew", "--all", "--dry-run", *at(scene), "--lang", language).out
    assert filed(scene) == 0


def test_a_company_has_a_hook_of_its_own_and_a_choice_about_the_old_certificate(scene: Scene) -> None:
    nip = "6292345678"
    with_pairs(scene, nip)
    hook = program(scene.base / "own-hook", f'echo "$KLUCZNIK_NIP" >>"{scene.base}/ran"')
    one = ("--nip", nip, *at(scene))
    assert "wygasają" in done("after-renewal", *one).out
    set_ = done("after-renewal", "--hook", hook, "--revoke-old", *one, "--json").data
    assert (set_["hook"], set_["revokes_superseded"]) == (str(hook), True)
    (renewed,) = listed(done("renew", "--force", *one, "--json").data, "renewals")
    assert [hook["hook"] for hook in listed(renewed, "hooks")] == [f"connection:{nip}"]
    assert len(listed(renewed, "revoked")) == 1
    assert (scene.base / "ran").read_text() == f"{nip}\n"
    unset = done("after-renewal", "--no-hook", "--keep-old", *one, "--json").data
    assert (unset["hook"], unset["revokes_superseded"]) == (None, False)
    assert str(hook) not in done("after-renewal", *one, "--lang", "en").out

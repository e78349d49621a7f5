"""The operator, the grant and the checks on the command line: data, screens in both languages, exit codes."""

import httpx
import pytest
from tests.klucznik.cli.lines import at, listed, part, seal
from tests.klucznik.cli.scenes import NIP, OTHER_NIP, Scene, done, klucznik
from tests.klucznik.cli.test_secrets import JWT, everything, needles, watching
from tests.klucznik.keys import builders
from tests.klucznik.offices import set_permissions
from tests.klucznik.world import some_nip

NAME = "Biuro Rachunkowe Żółw sp. z o.o."


def furnished(scene: Scene) -> Scene:
    """A home in which the operator is set; its permissions at the firm are those of no other test."""
    scene.furnish()
    cert, key = scene.seal(nip=OTHER_NIP, name="operator")
    done("operator", "set", "--nip", OTHER_NIP, "--name", NAME, "--cert", cert, "--key", key, *at(scene))
    done("grant", "--withdraw", *seal(scene), "--yes", *at(scene))
    scene.ksef.clear_requests()
    return scene


def test_the_operator_is_shown_with_what_it_signs_in_with(scene: Scene) -> None:
    furnished(scene)
    data = done("operator", "show", "--json", *at(scene)).data
    assert (data["outcome"], data["nip"], data["name"]) == ("operator", OTHER_NIP, NAME)
    assert [one["source"] for one in listed(data, "credentials")] == ["given"]
    assert "podanym certyfikatem" in done("operator", "show", *at(scene)).said
    assert "the certificate that was given" in done("--lang", "en", "operator", "show", *at(scene)).said


def test_the_owner_grants_and_the_connection_is_proved_lost_and_proved_again(scene: Scene) -> None:
    furnished(scene)
    first = done("grant", *seal(scene), "--yes", "--json", *at(scene)).data
    assert (first["outcome"], first["granted"]) == ("granted", ["InvoiceRead", "InvoiceWrite"])
    assert part(first, "connection")["health"] == "healthy"
    assert (first["missing"], first["refused"], first["can_delegate"]) == ([], None, False)
    assert "niczego nie nadano" in done("grant", *seal(scene), *at(scene)).said
    assert done("grant", *seal(scene), "--json", *at(scene)).data["outcome"] == "already_granted"
    delegable = done("--lang", "en", "grant", *seal(scene), "--delegate", "--yes", *at(scene)).said
    assert "may pass these permissions on" in delegable
    assert "działa" in done("verify", NIP, *at(scene)).said

    taken = done("grant", *seal(scene), "--withdraw", "--yes", "--json", *at(scene)).data
    assert (taken["outcome"], part(taken, "connection")["health"]) == ("withdrawn", "permission_lost")
    for language, expected in (("pl", "odebrane lub utracone"), ("en", "withdrawn or lost")):
        lost = klucznik("--lang", language, "verify", NIP, *at(scene))
        assert lost.code == 4
        assert expected in lost.said
        assert "KSeF 415" in lost.said
        every = klucznik("--lang", language, "verify", "--all", *at(scene))
        assert every.code == 4
        assert expected in every.said
    data = klucznik("verify", NIP, "--json", *at(scene)).data
    assert (part(data, "refused")["code"], part(data, "connection")["health_code"]) == (415, 415)

    done("grant", *seal(scene), "--yes", *at(scene))
    assert [one["error"] for one in listed(done("verify", "--all", "--json", *at(scene)).data, "connections")] == [None]


@pytest.mark.parametrize(
    ("language", "about", "refused"),
    [("pl", "wystawianie faktur", "Nie potwierdzono"), ("en", "issuing invoices", "was not confirmed")],
)
def test_without_a_yes_the_owner_is_shown_what_and_nothing_is_granted(
    scene: Scene, language: str, about: str, refused: str
) -> None:
    furnished(scene)
    ran = klucznik("--lang", language, "grant", *seal(scene), *at(scene))
    assert (ran.code, ran.out) == (2, "")
    assert about in ran.said
    assert NAME in ran.said
    assert not scene.ksef.requests(method="POST", path="/permissions/entities/grants")


def test_by_hand_gives_the_clicks_and_a_letter_in_both_languages(scene: Scene) -> None:
    furnished(scene)
    data = done("grant", "--nip", NIP, "--by-hand", "--json", *at(scene)).data
    assert data["outcome"] == "grant_expected"
    letter = part(data, "letter")
    for language in ("pl", "en"):
        text = str(letter[language])
        assert NIP in text
        assert f"NIP {OTHER_NIP}" in text
        assert NAME in text
        assert "\n1. " in text
    assert (str(letter["pl"])[:5], str(letter["en"])[:5]) == ("Dzień", "Hello")
    assert part(data, "connection")["health"] == "awaiting_grant"
    shown = done("grant", "--nip", NIP, "--by-hand", *at(scene)).out
    assert "Hello," in shown
    assert f"klucznik verify {NIP}" in " ".join(shown.split())
    waiting = klucznik("verify", NIP, *at(scene))
    assert waiting.code == 4
    assert "czeka, aż firma nada uprawnienia" in waiting.said
    done("grant", *seal(scene), "--yes", *at(scene))
    assert "działa" in done("grant", "--nip", NIP, "--by-hand", *at(scene)).said


def test_by_hand_says_what_a_letter_to_the_company_does_not_help_against(scene: Scene) -> None:
    furnished(scene)
    nip = some_nip()
    blocked = {"contextIdentifier": {"type": "Nip", "value": nip}}
    httpx.post(f"{scene.ksef.base_url}/testdata/context/block", json=blocked).raise_for_status()
    shown = done("grant", "--nip", nip, "--by-hand", *at(scene)).said
    assert "zablokowane przez KSeF" in shown
    assert "KSeF 480" in shown
    assert f"klucznik verify {nip}" in shown


def test_a_worker_notices_that_what_was_awaited_has_been_granted(scene: Scene) -> None:
    furnished(scene)
    # KSeF cannot be asked now, so the company has not been looked at yet: a worker does it at once.
    unreachable = ("--home", str(scene.home), "--ksef-url", "http://127.0.0.1:1/v2")
    assert "Zaloguj się do Aplikacji" in done("grant", "--nip", NIP, "--by-hand", *unreachable).said
    set_permissions(scene.ksef, NIP, "Nip", OTHER_NIP, "InvoiceRead", "InvoiceWrite")
    log = done("worker", "--until-idle", *at(scene)).err
    assert f"connection of NIP {NIP}: healthy, was awaiting_grant" in log
    assert "connection of NIP" not in done("worker", "--until-idle", *at(scene)).err


def test_the_operator_s_key_rests_only_encrypted_and_no_token_is_kept_or_shown(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.furnish()
    cert, key = scene.seal(nip=OTHER_NIP, name="operator")
    named = ("--nip", OTHER_NIP, "--name", NAME, "--cert", cert, "--key", key)
    with watching(caplog) as logged:
        runs = [
            done("operator", "set", *named, *at(scene), "--debug"),
            done("operator", "show", "--json", *at(scene)),
            done("grant", *seal(scene), "--yes", *at(scene), "--debug"),
            done("verify", NIP, "--json", *at(scene)),
            done("grant", *seal(scene), "--withdraw", "--yes", *at(scene)),
            klucznik("verify", "--all", "--json", *at(scene)),
        ]
    haystack = everything(scene, *runs) + b"\n".join(logged)
    assert NAME.encode() in haystack
    assert not any(needle in haystack for needle in needles(builders.ec_key()))
    assert b"PRIVATE KEY" not in haystack
    assert not JWT.search(haystack)

"""What is on the screen when KSeF says no: three lines, all of one language, with KSeF's own words quoted. KSeF is the
sandbox, in real situations and with faults switched on; that every code has words is `tests/project/test_codes`.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from tests.klucznik.cli.lines import at, seal
from tests.klucznik.cli.scenes import NIP, PESEL, Scene, klucznik
from tests.klucznik.cli.troubles import blocked
from tests.project.english import ENGLISH

from klucznik.cli.output import Output
from klucznik.errors import KsefRefused
from klucznik.messages import words_in
from klucznik.messages.codes import CODES, DETAILS
from ksef_sandbox.faults.rules import Act, EmptyForbidden, ErrorBefore, Refused, Rule, TooManyCalls, Unauthorized

CREDENTIAL = "/auth/xades-signature"
LIMITS = "/certificates/limits"


@dataclass(frozen=True)
class No:
    """A situation, and what must be on the screen.

    Attributes:
        given: the options of `klucznik limits`.
        act, route: a fault that lasts.
        polish: in the first line.
        changed_by: in the data.
    """

    name: str
    polish: str
    changed_by: str
    given: Callable[[Scene], tuple[str, ...]] = seal
    act: Act | None = None
    route: str = LIMITS


def _options(words: list[str]) -> tuple[str, ...]:
    return tuple(words[1:])


def _stranger(scene: Scene) -> tuple[str, ...]:
    cert, key = scene.person()
    return ("--nip", NIP, "--cert", cert, "--key", key)


def _revoked(scene: Scene) -> tuple[str, ...]:
    revoked = scene.firm.revoked
    return ("--nip", NIP, "--cert", f"{revoked}.crt", "--key", f"{revoked}.key", "--key-password-env", "KEY_PASSWORD")


def _deceased(scene: Scene) -> tuple[str, ...]:
    scene.ksef.link_person(nip="7010002137", pesel=PESEL, is_deceased=True)
    cert, key = scene.person()
    return ("--nip", "7010002137", "--cert", cert, "--key", key)


NOES = (
    No("a stranger", "nie ma uprawnień w KSeF", "rights", _stranger),
    No("a revoked certificate", "jest unieważniony (odwołany). (KSeF 460:", "you", _revoked),
    No("a deceased person", "osoby zmarłej. (KSeF 470:", "tax_office", _deceased),
    No("a blocked company", "podejrzenie incydentu", "ministry", lambda scene: _options(blocked(scene))),
    No("a wrong signature", "nie potwierdził podpisu", "you", act=Refused(9105), route=CREDENTIAL),
    No("another environment", "nie przyjmuje tego certyfikatu", "you", act=Refused(21115), route=CREDENTIAL),
    No("a schema", "niezgodny ze schematem", "you", act=Refused(21401), route=CREDENTIAL),
    No("bad data", "KSeF odrzucił dane żądania. (KSeF 21405:", "authors", act=Refused(21405)),
    No("a code out of place", "Token nie może mieć uprawnień", "rights", act=Refused(26001)),
    No("a 401", "nie uznaje już tego logowania. (KSeF 401:", "you", act=Unauthorized()),
    No("a 403 without words", "bez wyjaśnienia KSeF (/certificates/limits)", "operator", act=EmptyForbidden()),
    No("an outage", "awarię lub prace techniczne (HTTP 502", "nobody", act=ErrorBefore(502)),
)


@contextmanager
def disturbed(scene: Scene, one: No) -> Iterator[None]:
    if one.act is None:
        yield
        return
    rule = scene.ksef.add_fault(Rule(one.act, route=one.route))
    try:
        yield
    finally:
        scene.ksef.remove_fault(rule)


@pytest.mark.parametrize("one", NOES, ids=lambda one: one.name.replace(" ", "-"))
def test_the_screen_says_what_happened_who_can_change_it_and_what_to_do(scene: Scene, one: No) -> None:
    scene.furnish()
    given = one.given(scene)
    with disturbed(scene, one):
        screen = klucznik("limits", "--lang", "pl", *given, *at(scene))
        data = klucznik("limits", "--lang", "pl", "--json", *given, *at(scene)).data
    assert screen.out == ""
    lines = [line for line in screen.err.splitlines() if line[0] in "✗•→"]
    assert [line[0] for line in lines] == ["✗", "•", "→"], screen.err
    assert one.polish in lines[0], lines[0]
    assert lines[1].startswith("• Kto może to zmienić: ")
    assert data["changed_by"] == one.changed_by
    assert (data["message"], data["who"], data["what_now"]) == tuple(line[2:] for line in lines)
    assert not ENGLISH.search(_typed_out(screen.err)), screen.err


def test_a_pause_that_ksef_asks_for_is_nobodys_to_change(scene: Scene) -> None:
    scene.furnish()
    one = No("a 429", "", "nobody", act=TooManyCalls(retry_after_s=300))
    with disturbed(scene, one):
        data = klucznik("limits", "--lang", "pl", "--json", *seal(scene), *at(scene)).data
    assert (data["reason"], data["changed_by"]) == ("rate_limited", "nobody")
    assert "300 s" in str(data["what_now"])


def _typed_out(screen: str) -> str:
    """A screen without what a user types and without routes of KSeF."""
    return re.sub(r"\bklucznik [a-z-]+|--[\w-]+|\(/[\w/-]+\)|/[\w/-]+", "", screen)


STATUSES = {
    "sign_in": "sign_in_refused",
    "enrollment": "enrollment_rejected",
    "permission_operation": "permission_refused",
}


@pytest.mark.parametrize("key", [key for key in CODES if key.split(".")[0] in STATUSES])
def test_every_status_fits_on_a_polish_screen(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    family, number, *detail = key.split(".")
    known = DETAILS.get(f"{family}.{number}", {})
    details = tuple(phrase.strip() + "." for phrase, name in known.items() if [name] == detail)
    code = int(number) if number.isdigit() else 499
    error = KsefRefused(STATUSES[family], code=code, text="Tekst KSeF.", details=details)
    Output(words_in("pl"), as_json=False).problem(error, 4)
    said = capsys.readouterr().err
    assert f"(KSeF {code}: Tekst KSeF" in " ".join(said.split())
    assert not ENGLISH.search(_typed_out(said)), said

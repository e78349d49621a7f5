"""``klucznik demo``: the whole job against a local KSeF in this very process, on nothing but an empty directory.

Klucznik talks to that local KSeF (`server.local_ksef`) as to the Ministry's: HTTP, signed XML, certificates.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from klucznik.cli.exit_codes import Exit
from klucznik.cli.options import AsJson
from klucznik.cli.output import Output
from klucznik.cli.state import Settings
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.server.local_ksef import start_local_ksef

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential
    from klucznik.server.local_ksef import LocalKsef
    from klucznik.services.grant import Grant, Granted
    from klucznik.services.ways_out import Turn, WaysOut
    from klucznik.views.parts import Json

# Invented, with valid checksums: a firm, its owner, a second person who has used up the requests, and an accounting
# office that runs this installation.
_FIRM = "5265877635"
_OWNER = "80010112340"
_SECOND_FIRM = "7762811692"
_SECOND_OWNER = "85050554327"
_OFFICE = "8567346215"


def demo(ctx: typer.Context, as_json: AsJson = False) -> int:
    settings: Settings = ctx.obj
    words = settings.words
    output = Output(words, as_json=as_json)
    began = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="klucznik-demo-"))
    ksef = start_local_ksef()
    try:
        output.done(words.say("demo.sandbox", url=ksef.base_url))
        ksef.link_person(nip=_FIRM, pesel=_OWNER)
        ksef.link_person(nip=_SECOND_FIRM, pesel=_SECOND_OWNER)
        ksef.set_limits("Pesel", _SECOND_OWNER, enrollment=3, certificate=6)
        output.note(words.say("demo.first", nip=_FIRM), sign="\n1", style="bold")
        first = asyncio.run(_issue(ksef, home, _FIRM, _OWNER, output))
        filed = len(ksef.requests(method="POST", path="/certificates/enrollments"))
        output.note(words.say("demo.second", nip=_SECOND_FIRM), sign="\n2", style="bold")
        asyncio.run(_issue(ksef, home / "other-program", _SECOND_FIRM, _SECOND_OWNER))
        asyncio.run(_set_operator(ksef, home, words.say("demo.office")))
        before = len(ksef.requests(method="POST", path="/certificates/enrollments"))
        owner = _SaysYes(output)
        second = asyncio.run(_issue(ksef, home, _SECOND_FIRM, _SECOND_OWNER, output, owner))
        wasted = len(ksef.requests(method="POST", path="/certificates/enrollments")) - before
    finally:
        ksef.close()
    summary: Json = {
        "outcome": "demo",
        "issued": first,
        "refused": second,
        "granted": owner.view(),
        "requests_filed": filed,
        "wasted": wasted,
    }
    seconds = f"{time.monotonic() - began:.1f}"
    output.result(summary, words.say("demo.done", filed=filed, wasted=wasted, seconds=seconds, home=home))
    return Exit.DONE


async def _issue(
    ksef: LocalKsef, home: Path, nip: str, pesel: str, output: Output | None = None, on_refusal: _SaysYes | None = None
) -> Json:
    """Issue for one person; silently (`output` None) for what another program is supposed to have done."""
    from klucznik.cli import pictures
    from klucznik.cli.progress import Teller
    from klucznik.services.installation import Installation
    from klucznik.services.issue import Issued, issue
    from klucznik.services.progress import unheard
    from klucznik.views import issuing as views

    credential = _credential(home / f"pesel-{pesel}", Subject(SubjectType.PESEL, pesel))
    async with await Installation.open(home, environment=Environment.SANDBOX, ksef_url=ksef.base_url) as klucznik:
        listener = unheard if output is None else Teller(output)
        outcome = await issue(klucznik, Context.of_nip(nip), credential, listener=listener, on_refusal=on_refusal)
    if output is None:
        return None
    if isinstance(outcome, Issued):
        output.picture(pictures.issued(outcome, home, output.words))
    return views.outcome(outcome, output.words)


async def _set_operator(ksef: LocalKsef, home: Path, name: str) -> None:
    """Silently: an installation that serves others knows its operator from the beginning."""
    from klucznik.services.installation import Installation
    from klucznik.services.operator import set_operator

    credential = _credential(home / "operator", Subject(SubjectType.NIP, _OFFICE))
    async with await Installation.open(home, environment=Environment.SANDBOX, ksef_url=ksef.base_url) as klucznik:
        await set_operator(klucznik, _OFFICE, name, credential)


def _credential(directory: Path, whose: Subject) -> Credential:
    from klucznik.keys.credential import load_credential
    from klucznik.keys.test_credential import write_test_credential

    now = datetime.now(UTC)
    files = write_test_credential(directory, whose, now=now)
    return load_credential(cert=files.certificate_file, key=files.key_file, password=None, now=now)


class _SaysYes:
    """An owner who is shown the refusal and says yes to the permission, in the same session."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._granted: Granted | None = None

    async def __call__(self, ways: WaysOut) -> Turn:
        from klucznik.cli import permission_pictures, refusal_pictures
        from klucznik.services.ways_out import Turn

        words = self._output.words
        self._output.picture(refusal_pictures.refusal(ways.refusal, words))
        self._output.note(words.say("demo.third"), sign="\n3", style="bold")
        self._granted = await ways.grant(confirm=self._yes)
        self._output.picture(permission_pictures.granted(self._granted, words))
        return Turn.LEAVE

    def _yes(self, asked: Grant) -> bool:
        from klucznik.cli import permission_pictures

        for line in permission_pictures.grant_warnings(asked, self._output.words):
            self._output.note(line, sign="!", style="yellow")
        return True

    def view(self) -> Json:
        from klucznik.views import permissions as views

        return None if self._granted is None else views.granted(self._granted, self._output.words)

"""A signature from another program on the command line: the document is written, its signed form is taken back.

With a person at the terminal one run does all of it; without, `klucznik sign` goes on where the first run ended.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.exit_codes import Exit
from klucznik.cli.options import AsJson
from klucznik.cli.outcomes import show_outcome
from klucznik.cli.running import start, with_installation
from klucznik.errors import InputError, SignedDocumentError, SignInRefused

if TYPE_CHECKING:
    from klucznik.cli.output import Output
    from klucznik.cli.state import Settings
    from klucznik.cli.ways_out import Guide
    from klucznik.domain.identifiers import Subject
    from klucznik.domain.signature_requests import SignatureRequest
    from klucznik.services.grant import Grant
    from klucznik.services.installation import Installation
    from klucznik.services.signed_by import SignedBy
    from klucznik.services.signed_purpose import Done

    Ask = Callable[[Installation], Awaitable[SignatureRequest]]

External = Annotated[bool, typer.Option("--external", help="help.external")]
OutFile = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="help.external_out")]

_CHALLENGE_GONE = 21111


def sign(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="help.signed_file", show_default=False)],
    request: Annotated[str | None, typer.Option("--request", metavar="ID", help="help.signature_request")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="help.yes")] = False,
    as_json: AsJson = False,
) -> int:
    from klucznik.ksef.signed_document import challenge_in

    settings, output = start(ctx, as_json)
    content = _content(file)
    challenge_in(content)  # judged before the home is opened: a file that is no document leaves nothing behind

    async def take(klucznik: Installation) -> int:
        from klucznik.services.signing import request_of

        found = await request_of(klucznik, content, request)
        return await _Signing(klucznik, settings, output, found, file, yes=yes, fresh_beside=file).see_through(file)

    return with_installation(settings, take)


def have_signed(
    settings: Settings, output: Output, ask: Ask, *, out: Path | None, stay: bool, yes: bool = False
) -> int:
    """Write the document that `ask` gives, and go on with its signed form where somebody is there to give it.

    Args:
        stay: False: leave it at the document even where there is a terminal.
        yes: the answer to what the purpose would ask.
    """

    async def begin(klucznik: Installation) -> int:
        request = await ask(klucznik)
        file = out if out is not None else Path(_name(request))
        signing = _Signing(klucznik, settings, output, request, file, yes=yes, fresh_beside=file)
        await signing.write()
        if not (stay and signing.somebody_there):
            return signing.left(Exit.DONE)
        return await signing.see_through(None)

    return with_installation(settings, begin)


def wants_external(external: bool, out: Path | None, *credential: object) -> bool:
    """Whether somebody signs elsewhere.

    Raises:
        InputError: ``external_and_credential`` (who signs elsewhere needs no key here), ``out_needs_external``.
    """
    if external and any(one is not None for one in credential):
        raise InputError("external_and_credential")
    if out is not None and not external:
        raise InputError("out_needs_external")
    return external


@dataclass
class _Signing:
    """One document, from its writing to what it was signed for."""

    klucznik: Installation
    settings: Settings
    output: Output
    request: SignatureRequest
    file: Path
    yes: bool
    fresh_beside: Path
    guide: Guide | None = None

    @property
    def somebody_there(self) -> bool:
        return not self.output.as_json and sys.stdin.isatty() and sys.stderr.isatty()

    async def write(self) -> None:
        """The unsigned document as a file, and what to do with it."""
        from klucznik.cli import signing_pictures as pictures
        from klucznik.keys.safe_files import write_files

        write_files({self.file: self.request.document})
        signer = await self._signer()
        self.output.picture(pictures.what_to_do(self.request, self.file, self.settings.words, signer=signer))

    def left(self, code: Exit) -> int:
        """The document waits; another run goes on."""
        from klucznik.cli import signing_pictures as pictures
        from klucznik.views import signing as views

        self.output.result(
            views.signature_needed(self.request, self.file), pictures.hand_in_later(self.request, self.settings.words)
        )
        return code

    async def see_through(self, signed: Path | None) -> int:
        """Take the signed file, as often as it takes, and go on."""
        while True:
            if signed is None:
                answer = self._ask()
                if answer == "":
                    return self.left(Exit.DONE)
                if answer is None:
                    await self._afresh()
                    continue
                signed = _typed(answer)
            try:
                return self._shown(await self._done(signed))
            except (InputError, SignInRefused) as error:
                if not await self._another_try(error):
                    raise
            if not self.somebody_there:
                return self.left(Exit.SIGN_AGAIN)
            signed = None

    async def _another_try(self, error: InputError | SignInRefused) -> bool:
        """Whether it goes on after this: with a fresh document where the old one is spent, or with a better file."""
        from klucznik.cli.exit_codes import code_of

        spent = error.code == _CHALLENGE_GONE if isinstance(error, SignInRefused) else error.reason == "signed_too_late"
        mendable = isinstance(error, SignedDocumentError) or error.reason.startswith("file_")
        if not spent and not (mendable and self.somebody_there):
            return False
        if not self.output.as_json:
            self.output.problem(error, code_of(error))
        if spent:
            await self._afresh()
        return True

    async def _afresh(self) -> None:
        from klucznik.services.signing import ask_anew

        self.request = await ask_anew(self.klucznik, self.request)
        self.file = self.fresh_beside.with_name(_name(self.request))
        self.output.note(self.settings.words.say("signing.afresh"), sign="!", style="yellow")
        await self.write()

    async def _done(self, signed: Path) -> Done:
        from klucznik.cli.progress import Teller
        from klucznik.cli.ways_out import Guide
        from klucznik.services.signed_purpose import carry_on
        from klucznik.services.signing import hand_in

        listener = Teller(self.output)
        content = _content(signed)
        handed_in = await hand_in(self.klucznik, self.request, content, checked=self._tell_who, listener=listener)
        self.guide = Guide(self.output) if self.somebody_there else None
        return await carry_on(self.klucznik, handed_in, confirm=self._agreed, on_refusal=self.guide, listener=listener)

    def _ask(self) -> str | None:
        from klucznik.cli.path_prompt import ask_path

        clock = self.klucznik.clock
        return ask_path(
            self.settings.words.say("ask.signed_file"),
            lambda: self.request.left(clock.now()).total_seconds(),
        )

    async def _signer(self) -> Subject | None:
        from klucznik.services.advance import load

        if self.request.issuance_id is None:
            return None
        return (await load(self.klucznik, self.request.issuance_id)).subject

    def _tell_who(self, signed_by: SignedBy) -> None:
        from klucznik.cli import signing_pictures as pictures

        self.output.done(pictures.signed_by(signed_by, self.settings.words))
        for doubt in pictures.doubts(signed_by, self.settings.words):
            self.output.note(doubt, sign="!", style="yellow")

    def _agreed(self, asked: Grant) -> bool:
        from klucznik.cli.permissions import agrees_to_grant

        return agrees_to_grant(asked, self.settings, self.output, yes=self.yes)

    def _shown(self, done: Done) -> int:
        from klucznik.cli.permissions import show_granted
        from klucznik.services.grant import Granted

        if isinstance(done, Granted):
            return show_granted(done, self.settings, self.output)
        return show_outcome(done, self.settings, self.output, guide=self.guide)


def _typed(path: str) -> Path:
    return Path(path).expanduser()


def _name(request: SignatureRequest) -> str:
    """Unlike any other's, so that an older document is not signed by mistake."""
    return f"ksef-{request.context.value}-{request.id[:8]}.xml"


def _content(file: Path) -> bytes:
    from klucznik.keys.reading import start_of_file
    from klucznik.ksef.signed_file import MOST_BYTES

    return start_of_file(file, MOST_BYTES + 1)

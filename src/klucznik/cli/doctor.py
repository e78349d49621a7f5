"""The command that looks at files: what they are and what is wrong with them. It opens no home and sends nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.exit_codes import Exit
from klucznik.cli.options import AsJson, password_from
from klucznik.cli.running import start

if TYPE_CHECKING:
    from rich.console import RenderableType

    from klucznik.messages import Words
    from klucznik.services.doctor import CertificateFinding, FileFinding


def doctor(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="help.doctor_files")],
    password_env: Annotated[
        str | None, typer.Option("--key-password-env", metavar="NAME", help="help.doctor_password_env")
    ] = None,
    as_json: AsJson = False,
) -> int:
    from rich.console import Group

    from klucznik.services.doctor import examine
    from klucznik.views import doctor as views

    settings, output = start(ctx, as_json)
    words, given = settings.words, password_from(password_env)

    def password(file: str) -> bytes | None:
        if given is not None or not sys.stdin.isatty():
            return given
        asked: str = typer.prompt(words.say("ask.password_of", file=file), hide_input=True, err=True)
        return asked.encode()

    found = examine(files, password=password, environment=settings.environment, now=datetime.now(UTC))
    output.result(views.examined(found, words), Group(*(_picture(one, words) for one in found)))
    return Exit.FAILED if any(one.problems for one in found) else Exit.DONE


def _picture(one: FileFinding, words: Words) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from klucznik.messages.errors import error_text

    sign, style = ("✗ ", "red") if one.problems else ("✓ ", "green")
    kind = "" if one.kind is None else f" – {words.say(f'looks_like.{one.kind}')}"
    lines = [Text.assemble((sign, style), (one.file, "bold"), f"{kind}{f', {one.key}' if one.key else ''}")]
    details: list[RenderableType] = [Text(line) for line in _about(one, words)]
    for problem in one.problems:
        said = error_text(problem, words)
        details.append(Text(said.what, style="red"))
        if said.now:
            details.append(Text.assemble(("→ ", "bold"), said.now))
    return Group(*lines, Padding(Group(*details), (0, 0, 1, 2)))


def _about(one: FileFinding, words: Words) -> Iterator[str]:
    if one.kind == "ksef_token":
        company = None if one.context is None else one.context.value
        yield words.say("doctor.token", reference=one.reference, nip=company)
        yield words.say("doctor.token_is_secret")
    if one.kind == "sign_in_document":
        yield words.say("doctor.document", challenge=one.reference)
    for each in one.certificates:
        yield from _certificate(each, words)


def _certificate(value: CertificateFinding, words: Words) -> Iterator[str]:
    from klucznik.messages.refusal import subject_text

    yield words.say(f"doctor.role.{value.role.value}", serial=value.serial_number)
    who = words.say("doctor.nobody") if value.subject is None else subject_text(value.subject, words)
    yield words.say("doctor.whose", name=value.common_name, who=who)
    if value.subject is not None and value.subject.is_person and value.role.value in ("authentication", "offline"):
        yield words.say("doctor.personal")
    if value.mistyped:
        yield words.say("doctor.mistyped")
    if value.environment is not None:
        yield words.say("doctor.environment", environment=value.environment.value)
    yield words.say("doctor.valid", start=words.date(value.valid_from), end=words.date(value.valid_to))
    if value.key_file is None:
        yield words.say("doctor.no_key")
        return
    yield words.say("doctor.key", file=value.key_file)
    for use in value.uses:
        yield f"• {words.say(f'doctor.use.{use.value}')}"

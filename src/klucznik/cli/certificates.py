"""The commands about certificates: see, revoke, take out and bring in; and one to sign in with to test environments."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.options import (
    P12,
    AsJson,
    Cert,
    Key,
    MaybeNip,
    Nip,
    PasswordEnv,
    confirmed,
    key_at,
    parsed,
    password_from,
    question_for,
    with_password,
)
from klucznik.cli.running import context_of, credential_of, start, with_installation
from klucznik.cli.state import Settings
from klucznik.domain.identifiers import Subject, SubjectType, parse_nip, parse_pesel
from klucznik.errors import InputError

if TYPE_CHECKING:
    from klucznik.domain.certificates import HeldCertificate
    from klucznik.services.installation import Installation

    Programs = dict[str, tuple[str, ...]]


def certificates(
    ctx: typer.Context,
    nip: MaybeNip = None,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import pictures
    from klucznik.services.certificates import in_ksef, in_vault, programs_of
    from klucznik.views import certificates as views

    settings, output = start(ctx, as_json)
    words = settings.words
    credential = credential_of(settings, cert, key, p12, key_password_env)
    if nip is None:
        if credential is not None:
            raise InputError("nip_needed_to_sign_in")

        async def look(klucznik: Installation) -> tuple[list[HeldCertificate], Programs]:
            held = await in_vault(klucznik)
            return held, await programs_of(klucznik, [one.serial_number for one in held])

        held, programs = with_installation(settings, look)
        output.result(views.vault(held, programs), pictures.vault(held, programs, words, now=datetime.now(UTC)))
        return
    context = context_of(nip, output)
    found = with_installation(settings, lambda klucznik: in_ksef(klucznik, context, credential))
    output.result(views.listed(found), pictures.listed(found, words))


def revoke(
    ctx: typer.Context,
    serial: Annotated[str, typer.Argument(metavar="SERIAL", help="help.serial")],
    nip: Nip,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    reason: Annotated[str, typer.Option("--reason", metavar="NAME", help="help.reason")] = "Unspecified",
    end_sessions: Annotated[bool, typer.Option("--end-sessions", help="help.end_sessions")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="help.yes")] = False,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import pictures
    from klucznik.domain.certificates import RevocationReason, parse_serial
    from klucznik.services.revoke import Revocation
    from klucznik.services.revoke import revoke as revoke_one
    from klucznik.views import certificates as views

    settings, output = start(ctx, as_json)
    words = settings.words
    context, serial_number = context_of(nip, output), parsed(parse_serial, serial)
    why = parsed(RevocationReason.parse, reason)
    credential = credential_of(settings, cert, key, p12, key_password_env)

    def agreed(asked: Revocation) -> bool:
        if yes:
            return True
        for line in pictures.revocation_warnings(asked, words):
            output.note(line, sign="!", style="yellow")
        return not as_json and confirmed(words.say("ask.revoke"), words)

    done = with_installation(
        settings,
        lambda klucznik: revoke_one(
            klucznik, context, serial_number, credential, reason=why, end_sessions=end_sessions, confirm=agreed
        ),
    )
    output.result(views.revoked(done), pictures.revoked(done, words))


def export(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="help.out")],
    nip: MaybeNip = None,
    serial: Annotated[str | None, typer.Option("--serial", metavar="SERIAL", help="help.serial")] = None,
    format: Annotated[str, typer.Option("--format", metavar="pem|p12|crt", help="help.format")] = "pem",
    password_env: Annotated[
        str | None, typer.Option("--password-env", metavar="NAME", help="help.export_password_env")
    ] = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="PROGRAM", help="help.for")] = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import pictures
    from klucznik.domain.certificates import parse_serial
    from klucznik.domain.programs import parse_program
    from klucznik.keys.export import WIDELY_ACCEPTED_LENGTHS, check_password, widely_accepted
    from klucznik.services.export import ExportFormat
    from klucznik.services.export import export as take_out
    from klucznik.views import certificates as views

    settings, output = start(ctx, as_json)
    if (nip is None) == (serial is None):
        raise InputError("export_needs_nip_or_serial")
    if format not in set(ExportFormat):
        raise InputError("export_format_unknown", value=format)
    context = None if nip is None else context_of(nip, output)
    serial_number = None if serial is None else parsed(parse_serial, serial)
    program = None if for_ is None else parsed(parse_program, for_)
    password = None
    if format != ExportFormat.CERTIFICATE:
        given = password_from(password_env)
        password = _new_password(settings) if given is None else given
        check_password(password)
        if not widely_accepted(password):
            least, most = min(WIDELY_ACCEPTED_LENGTHS), max(WIDELY_ACCEPTED_LENGTHS)
            said = settings.words.say("hint.export_password", length=len(password), least=least, most=most)
            output.note(said, sign="!", style="yellow")
    files = with_installation(
        settings,
        lambda klucznik: take_out(
            klucznik,
            context=context,
            serial_number=serial_number,
            directory=out,
            password=password,
            format=ExportFormat(format),
            program=program,
        ),
    )
    with_keys = format != ExportFormat.CERTIFICATE
    picture = pictures.exported(files, program, settings.words, with_keys=with_keys)
    output.result(views.exported(files, program), picture)


def _new_password(settings: Settings) -> bytes:
    """A password for files that leave the vault, asked twice."""
    import sys

    if not sys.stdin.isatty():
        raise InputError("export_password_missing")
    words = settings.words
    asked: str = typer.prompt(
        words.say("ask.export_password"),
        hide_input=True,
        confirmation_prompt=words.say("ask.export_password_again"),
        err=True,
    )
    return asked.encode()


def import_(
    ctx: typer.Context,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import pictures
    from klucznik.keys.import_ import load_ksef_certificate
    from klucznik.services.import_ import bring_in
    from klucznik.views import certificates as views

    settings, output = start(ctx, as_json)
    where = key_at(key)
    brought = with_password(
        lambda password: load_ksef_certificate(
            cert=cert,
            key=where,
            p12=p12,
            password=password,
            pkcs11=settings.pkcs11,
            environment=settings.environment,
            now=datetime.now(UTC),
        ),
        password_from(key_password_env),
        ask=settings.words.say(question_for(where)),
    )
    held = with_installation(settings, lambda klucznik: bring_in(klucznik, brought))
    output.result(views.imported(held), pictures.imported(held, settings.words))


def make_test_credential(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="help.out")],
    nip: MaybeNip = None,
    pesel: Annotated[str | None, typer.Option("--pesel", metavar="PESEL", help="help.pesel")] = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import pictures
    from klucznik.keys.test_credential import write_test_credential
    from klucznik.views import certificates as views

    settings, output = start(ctx, as_json)
    if not settings.environment.accepts_self_signed:
        raise InputError("test_credential_refused", environment=settings.environment.value)
    if (nip is None) == (pesel is None):
        raise InputError("test_credential_needs_nip_or_pesel")
    if nip is not None:
        subject = Subject(SubjectType.NIP, parsed(parse_nip, nip))
    else:
        subject = Subject(SubjectType.PESEL, parsed(parse_pesel, pesel or ""))
    made = write_test_credential(out, subject, now=datetime.now(UTC))
    output.result(
        views.test_credential(subject, made.certificate_file, made.key_file),
        pictures.test_credential(subject, made.certificate_file, made.key_file, settings.words),
    )

"""The commands: each parses its words, calls one service and shows what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from klucznik.cli.exit_codes import Exit
from klucznik.cli.options import (
    P12,
    AsJson,
    Cert,
    Key,
    MaybeNip,
    Nip,
    PasswordEnv,
    confirmed,
    credential_from,
    key_at,
    parsed,
    password_from,
    question_for,
    said_again,
    with_password,
)
from klucznik.cli.output import Output
from klucznik.cli.signing import External, OutFile, have_signed, wants_external
from klucznik.cli.state import Settings
from klucznik.domain.identifiers import Context, Subject, SubjectType, nip_checksum_ok, parse_nip, parse_pesel
from klucznik.domain.keytype import KeyType
from klucznik.errors import InputError
from klucznik.ksef.calls import Watcher, unwatched

if TYPE_CHECKING:
    from klucznik.cli.ways_out import Guide
    from klucznik.domain.certificates import HeldCertificate
    from klucznik.domain.issuance import Issuance
    from klucznik.domain.signature_requests import Options, SignatureRequest
    from klucznik.keys.credential import Credential
    from klucznik.services.installation import Installation
    from klucznik.services.outcomes import Outcome

    Programs = dict[str, tuple[str, ...]]

# What talks to KSeF or draws is imported by the command that needs it: `klucznik --help` must not wait for it.

T = TypeVar("T")


def limits(
    ctx: typer.Context,
    nip: Nip,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import pictures
    from klucznik.services.limits import read_limits
    from klucznik.views import certificates as views

    settings, output = start(ctx, as_json)
    context = context_of(nip, output)
    credential = credential_of(settings, cert, key, p12, key_password_env)
    found = with_installation(settings, lambda klucznik: read_limits(klucznik, context, credential))
    output.result(views.subject_limits(found), pictures.limits(found, settings.words))


def issue(
    ctx: typer.Context,
    nip: Nip,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    key_type: Annotated[KeyType, typer.Option("--key-type", metavar="ec|rsa", help="help.key_type")] = KeyType.EC,
    keys_on_token: Annotated[
        bool, typer.Option("--keys-on-token", envvar="KLUCZNIK_KEYS_ON_TOKEN", help="help.keys_on_token")
    ] = False,
    another_pair: Annotated[bool, typer.Option("--another-pair", help="help.another_pair")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="help.wait")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="help.detach")] = False,
    force: Annotated[bool, typer.Option("--force", help="help.force_issue")] = False,
    external: External = False,
    out: OutFile = None,
    as_json: AsJson = False,
) -> int:
    from klucznik.cli.progress import Teller
    from klucznik.cli.ways_out import Guide
    from klucznik.services.issue import issue as issue_pair
    from klucznik.services.issue import order

    settings, output = start(ctx, as_json)
    context = context_of(nip, output)
    if force:
        output.note(settings.words.say("issue.force_warning"), sign="!", style="yellow")
    if wants_external(external, out, cert, key, p12):
        options: Options = {
            "key_type": key_type.value,
            "keys_on_token": keys_on_token,
            "another_pair": another_pair,
            "wait_for_limits": wait,
            "ignores_reserve": force,
        }
        return have_signed(settings, output, _signature_for(context, options), out=out, stay=not detach)
    credential = credential_of(settings, cert, key, p12, key_password_env)
    again = said_again(ctx, cert, key, p12, key_password_env)
    guide = Guide(output, again)
    carry_out = order if detach else partial(issue_pair, on_refusal=guide if Guide.wanted(output) else None)
    outcome = with_installation(
        settings,
        lambda klucznik: carry_out(
            klucznik,
            context,
            credential,
            key_type=key_type,
            keys_on_token=keys_on_token,
            another_pair=another_pair,
            wait_for_limits=wait,
            ignores_reserve=force,
            listener=Teller(output),
        ),
    )
    return show_outcome(outcome, settings, output, again=again, guide=guide)


def _signature_for(context: Context, options: Options) -> Callable[[Installation], Awaitable[SignatureRequest]]:
    from klucznik.domain.signature_requests import Purpose
    from klucznik.services.signing import ask_for_signature

    return lambda klucznik: ask_for_signature(klucznik, context, Purpose.ISSUE, options)


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


def version(ctx: typer.Context, as_json: AsJson = False) -> None:
    from importlib.metadata import version as installed_version

    _, output = start(ctx, as_json)
    number = installed_version("klucznik")
    output.result({"outcome": "version", "version": number}, f"klucznik {number}")


def start(ctx: typer.Context, as_json: bool) -> tuple[Settings, Output]:
    settings: Settings = ctx.obj
    return settings, Output(settings.words, as_json=as_json)


def show_outcome(
    outcome: Outcome | Issuance,
    settings: Settings,
    output: Output,
    *,
    again: Sequence[str] = (),
    guide: Guide | None = None,
) -> int:
    """How an issuance came out, or that it was ordered; the exit code.

    Args:
        again: options that stand in every next command of a refusal.
        guide: who has shown a refusal already, and perhaps led out of it.
    """
    from klucznik.cli import issuance_pictures, permissions, pictures, refusal_pictures
    from klucznik.domain.issuance import Issuance
    from klucznik.domain.preflight import Refusal
    from klucznik.services.outcomes import AlreadyHeld, WaitingForLimits
    from klucznik.views import issuing as views

    if guide is not None and guide.granted is not None:
        return permissions.show_granted(guide.granted, settings, output)
    if guide is not None and outcome is guide.shown:
        return Exit.REFUSED_BY_LIMITS
    words, code = settings.words, Exit.DONE
    if isinstance(outcome, Refusal):
        picture, code = refusal_pictures.refusal(outcome, words, again=again), Exit.REFUSED_BY_LIMITS
    elif isinstance(outcome, WaitingForLimits):
        picture, code = refusal_pictures.waiting_for_limits(outcome, words), Exit.REFUSED_BY_LIMITS
    elif isinstance(outcome, AlreadyHeld):
        picture = pictures.already_held(outcome, words)
    elif isinstance(outcome, Issuance):
        picture = issuance_pictures.ordered(outcome, words)
    else:
        picture = pictures.issued(outcome, settings.home, words)
    output.result(views.outcome(outcome, words), picture)
    return code


def context_of(nip: str, output: Output) -> Context:
    """The company, with a hint where its number looks mistyped. KSeF checks no checksum, so neither do we insist."""
    context = parsed(Context.of_nip, nip)
    if not nip_checksum_ok(context.value):
        output.note(output.words.say("hint.nip_checksum", nip=context.value), sign="!", style="yellow")
    return context


def credential_of(
    settings: Settings, cert: Path | None, key: str | None, p12: Path | None, password_env: str | None
) -> Credential | None:
    """What to sign in with, judged before the home is opened: a file that cannot be used leaves nothing behind."""
    credential = credential_from(cert, key, p12, password_env, settings)
    if credential is not None:
        from klucznik.services.sign_in import check_environment

        check_environment(credential, settings.environment)
    return credential


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


def with_installation(
    settings: Settings, work: Callable[[Installation], Awaitable[T]], *, watcher: Watcher = unwatched
) -> T:
    from klucznik.services.installation import Installation

    async def opened() -> T:
        async with await Installation.open(
            settings.home,
            environment=settings.environment,
            database_url=settings.database_url,
            ksef_url=settings.ksef_url,
            master_key=settings.master_key,
            watcher=watcher,
            key_token=settings.key_token,
        ) as klucznik:
            return await work(klucznik)

    return asyncio.run(opened())

"""The commands about connections: make one, see them, forget one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli import permissions
from klucznik.cli.options import (
    P12,
    AsJson,
    Cert,
    Key,
    Nip,
    PasswordEnv,
    confirmed,
    key_at,
    parsed,
    password_from,
    question_for,
    with_password,
)
from klucznik.cli.running import context_of, start, with_installation
from klucznik.domain.connections import Method, parse_connection_name
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError

if TYPE_CHECKING:
    from klucznik.cli.output import Output
    from klucznik.cli.state import Settings
    from klucznik.domain.identifiers import Context
    from klucznik.domain.ksef_token import KsefToken
    from klucznik.keys.import_ import ImportedCertificate
    from klucznik.services.connect import Connected
    from klucznik.services.connections import ConnectionDetail, ConnectionStatus
    from klucznik.services.installation import Installation


def connect(
    ctx: typer.Context,
    nip: Nip,
    method: Annotated[
        Method | None,
        typer.Option("--method", metavar="certificates|imported|permission|token", help="help.connect_method"),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="help.connect_name")] = None,
    serial: Annotated[str | None, typer.Option("--serial", metavar="SERIAL", help="help.connect_serial")] = None,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    offline_cert: Annotated[
        Path | None, typer.Option("--offline-cert", metavar="FILE", help="help.offline_cert")
    ] = None,
    offline_key: Annotated[
        str | None, typer.Option("--offline-key", metavar="FILE|URI", help="help.offline_key")
    ] = None,
    offline_p12: Annotated[Path | None, typer.Option("--offline-p12", metavar="FILE", help="help.offline_p12")] = None,
    token_env: Annotated[str | None, typer.Option("--token-env", metavar="NAME", help="help.token_env")] = None,
    as_json: AsJson = False,
) -> int | None:
    settings, output = start(ctx, as_json)
    files = bool(cert or key or p12)
    chosen = method or _method_for(files=files, token=token_env is not None)
    if chosen is Method.PERMISSION:
        return permissions.grant(ctx, nip, cert, key, p12, key_password_env, by_hand=not files, as_json=as_json)
    context = context_of(nip, output)
    called = None if name is None else _name(name)
    if chosen is Method.TOKEN:
        _connect_with_token(settings, output, context, _token(settings, token_env), called)
    elif chosen is Method.IMPORTED:
        if not files:
            raise InputError("imported_needs_files")
        password = password_from(key_password_env)
        brought = [_brought(settings, cert, key, p12, password)]
        if offline_cert or offline_key or offline_p12:
            brought.append(_brought(settings, offline_cert, offline_key, offline_p12, password))
        _connect_with_imported(settings, output, context, brought, called)
    else:
        if files:
            raise InputError("certificates_need_no_files", nip=context.value)
        _connect_with_vault(settings, output, context, serial, called)
    return None


def connections(
    ctx: typer.Context,
    nip: Annotated[str | None, typer.Argument(metavar="[NIP]", help="help.connections_nip", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import connection_pictures as pictures
    from klucznik.services.connections import all_connections, one_connection
    from klucznik.views import connections as views

    settings, output = start(ctx, as_json)
    if nip is not None:
        context = context_of(nip, output)
        detail = with_installation(settings, lambda klucznik: one_connection(klucznik, context))
        output.result(views.one_connection(detail), pictures.one_connection(detail, settings.words))
        return

    async def look(klucznik: Installation) -> list[ConnectionStatus]:
        return [one async for one in all_connections(klucznik)]

    found = with_installation(settings, look)
    output.result(views.connections(found), pictures.connections(found, settings.words))


def disconnect(
    ctx: typer.Context,
    nip: Nip,
    yes: Annotated[bool, typer.Option("--yes", help="help.yes")] = False,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import connection_pictures as pictures
    from klucznik.services.connections import disconnect as forget
    from klucznik.services.connections import one_connection
    from klucznik.views import connections as views

    settings, output = start(ctx, as_json)
    words, context = settings.words, context_of(nip, output)

    async def work(klucznik: Installation) -> ConnectionDetail:
        detail = await one_connection(klucznik, context)
        if not yes:
            for line in pictures.what_stays(detail, words):
                output.note(line, sign="!", style="yellow")
            if as_json or not confirmed(words.say("ask.disconnect"), words):
                raise InputError("not_confirmed")
        return await forget(klucznik, context)

    done = with_installation(settings, work)
    output.result(views.disconnected(done), pictures.disconnected(done, words))


def _method_for(*, files: bool, token: bool) -> Method:
    """What the given files or variable can only be meant for."""
    if token:
        return Method.TOKEN
    return Method.IMPORTED if files else Method.CERTIFICATES


def _name(text: str) -> str:
    try:
        return parse_connection_name(text)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None


def _token(settings: Settings, variable: str | None) -> KsefToken:
    """Out of the environment or from a hidden prompt, never an argument: other users can read those."""
    import sys

    from klucznik.domain.ksef_token import parse_token

    given = password_from(variable)
    if given is None:
        if not sys.stdin.isatty():
            raise InputError("ksef_token_missing")
        given = typer.prompt(settings.words.say("ask.ksef_token"), hide_input=True, err=True).encode()
    return parsed(parse_token, given.decode(errors="replace"))


def _brought(
    settings: Settings, cert: Path | None, key: str | None, p12: Path | None, password: bytes | None
) -> ImportedCertificate:
    from klucznik.keys.import_ import load_ksef_certificate

    where = key_at(key)
    return with_password(
        lambda secret: load_ksef_certificate(
            cert=cert,
            key=where,
            p12=p12,
            password=secret,
            pkcs11=settings.pkcs11,
            environment=settings.environment,
            now=datetime.now(UTC),
        ),
        password,
        ask=settings.words.say(question_for(where)),
    )


def _connect_with_vault(
    settings: Settings, output: Output, context: Context, serial: str | None, name: str | None
) -> None:
    from klucznik.cli.progress import Teller
    from klucznik.domain.certificates import parse_serial
    from klucznik.services.connect import connect_with_vault
    from klucznik.services.control import ByAdministrator

    serial_number = None if serial is None else parsed(parse_serial, serial)
    done = with_installation(
        settings,
        lambda klucznik: connect_with_vault(
            klucznik, context, ByAdministrator(), serial_number=serial_number, name=name, listener=Teller(output)
        ),
    )
    _show(done, settings, output)


def _connect_with_imported(
    settings: Settings, output: Output, context: Context, brought: list[ImportedCertificate], name: str | None
) -> None:
    from klucznik.cli.progress import Teller
    from klucznik.services.connect import connect_with_imported

    done = with_installation(
        settings,
        lambda klucznik: connect_with_imported(klucznik, context, brought, name=name, listener=Teller(output)),
    )
    _show(done, settings, output)


def _connect_with_token(
    settings: Settings, output: Output, context: Context, token: KsefToken, name: str | None
) -> None:
    from klucznik.cli.progress import Teller
    from klucznik.services.connect import connect_with_token

    done = with_installation(
        settings, lambda klucznik: connect_with_token(klucznik, context, token, name=name, listener=Teller(output))
    )
    _show(done, settings, output)


def _show(done: Connected, settings: Settings, output: Output) -> None:
    from klucznik.cli import connection_pictures as pictures
    from klucznik.views import connections as views

    output.result(views.connected(done), pictures.connected(done, settings.words))

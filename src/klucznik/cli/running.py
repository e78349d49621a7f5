"""How a command runs: with the settings, the company and the credential of its words, in an opened installation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from klucznik.cli.options import credential_from, parsed
from klucznik.cli.output import Output
from klucznik.cli.state import Settings
from klucznik.domain.identifiers import Context, nip_checksum_ok
from klucznik.ksef.calls import Watcher, unwatched

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential
    from klucznik.services.installation import Installation

# What talks to KSeF or draws is imported by the command that needs it: `klucznik --help` must not wait for it.

T = TypeVar("T")


def start(ctx: typer.Context, as_json: bool) -> tuple[Settings, Output]:
    settings: Settings = ctx.obj
    return settings, Output(settings.words, as_json=as_json)


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

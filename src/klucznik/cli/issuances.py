"""The commands about issuances that outlive a run: see them, take them on again, call them off, and carry them out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.options import (
    P12,
    AsJson,
    Cert,
    Key,
    MaybeLogFormat,
    MetricsPort,
    OneLogLevel,
    PasswordEnv,
)
from klucznik.cli.outcomes import show_outcome
from klucznik.cli.output import Output
from klucznik.cli.running import credential_of, start, with_installation
from klucznik.cli.signing import External, OutFile, have_signed, wants_external
from klucznik.cli.state import Settings
from klucznik.clock import by_the_machine
from klucznik.operations import LogLevel

if TYPE_CHECKING:
    from klucznik.cli import issuance_pictures
    from klucznik.domain.signature_requests import SignatureRequest
    from klucznik.services.installation import Installation
    from klucznik.services.status import IssuanceStatus

_WATCH_EVERY_S = 1.0

MaybeIssuance = Annotated[str | None, typer.Argument(metavar="[ISSUANCE]", help="help.issuance", show_default=False)]
OneIssuance = Annotated[str, typer.Argument(metavar="ISSUANCE", help="help.issuance")]


def status(
    ctx: typer.Context,
    issuance: MaybeIssuance = None,
    running: Annotated[bool, typer.Option("--running", help="help.running")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="help.watch")] = False,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli import issuance_pictures
    from klucznik.services.status import all_issuances, one_issuance
    from klucznik.views import issuing as views

    settings, output = start(ctx, as_json)

    async def look(klucznik: Installation) -> list[IssuanceStatus]:
        if issuance is None:
            return await all_issuances(klucznik, running_only=running)
        return [await one_issuance(klucznik, issuance)]

    if watch and not as_json:
        with_installation(settings, lambda klucznik: _watch(klucznik, look, settings, output))
        return
    found = with_installation(settings, look)
    output.result(
        views.issuances(found), issuance_pictures.issuances(found, settings.words, whole=issuance is not None)
    )


async def _watch(klucznik: Installation, look: issuance_pictures.Look, settings: Settings, output: Output) -> None:
    """Draw anew each second until everything shown has ended, or Ctrl-C."""
    from klucznik.cli import issuance_pictures

    found = await look(klucznik)
    with output.live() as screen:
        while True:
            screen.update(issuance_pictures.issuances(found, settings.words, whole=True), refresh=True)
            if all(one.issuance.state.ended for one in found):
                return
            await by_the_machine(_WATCH_EVERY_S)
            found = await look(klucznik)


def resume(
    ctx: typer.Context,
    issuance: OneIssuance,
    cert: Cert = None,
    key: Key = None,
    p12: P12 = None,
    key_password_env: PasswordEnv = None,
    external: External = False,
    out: OutFile = None,
    as_json: AsJson = False,
) -> int:
    from klucznik.cli.progress import Teller
    from klucznik.services.outcomes import Outcome
    from klucznik.services.resume import resume as take_on
    from klucznik.services.status import one_issuance

    settings, output = start(ctx, as_json)
    if wants_external(external, out, cert, key, p12):
        return have_signed(settings, output, _signature_for(issuance), out=out, stay=True)
    credential = credential_of(settings, cert, key, p12, key_password_env)

    async def go_on(klucznik: Installation) -> Outcome:
        found = await one_issuance(klucznik, issuance)
        return await take_on(klucznik, found.issuance.id, credential, listener=Teller(output))

    return show_outcome(with_installation(settings, go_on), settings, output)


def _signature_for(issuance: str) -> Callable[[Installation], Awaitable[SignatureRequest]]:
    from klucznik.domain.signature_requests import Purpose
    from klucznik.services.resume import running
    from klucznik.services.signing import ask_for_signature
    from klucznik.services.status import one_issuance

    async def ask(klucznik: Installation) -> SignatureRequest:
        found = await running(klucznik, (await one_issuance(klucznik, issuance)).issuance.id)
        return await ask_for_signature(klucznik, found.context, Purpose.RESUME, {}, issuance=found)

    return ask


def cancel(ctx: typer.Context, issuance: OneIssuance, as_json: AsJson = False) -> None:
    from klucznik.cli import issuance_pictures
    from klucznik.cli.progress import Teller
    from klucznik.services.cancel import Cancelled
    from klucznik.services.cancel import cancel as call_off
    from klucznik.services.status import one_issuance
    from klucznik.views import issuing as views

    settings, output = start(ctx, as_json)

    async def end(klucznik: Installation) -> Cancelled:
        found = await one_issuance(klucznik, issuance)
        return await call_off(klucznik, found.issuance.id, listener=Teller(output))

    done = with_installation(settings, end)
    output.result(views.cancelled(done), issuance_pictures.cancelled(done, settings.words))


def worker(
    ctx: typer.Context,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=256, metavar="N", help="help.at_once")] = 16,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="help.until_idle")] = False,
    log_format: MaybeLogFormat = None,
    log_level: OneLogLevel = LogLevel.INFO,
    metrics_port: MetricsPort = None,
    metrics_host: Annotated[
        str, typer.Option("--metrics-host", metavar="HOST", help="help.metrics_host")
    ] = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    from klucznik.cli.worker import run

    settings, output = start(ctx, as_json)
    run(
        settings,
        output,
        log_format=log_format,
        log_level=log_level,
        at_once=at_once,
        until_idle=until_idle,
        metrics_at=None if metrics_port is None else (metrics_host, metrics_port),
    )
    output.result({"outcome": "worker_stopped"}, settings.words.say("worker.stopped"))

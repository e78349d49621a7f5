"""``klucznik serve``: pages, API and a worker in one process. What it says at its start; the rest is `server.run`."""

from __future__ import annotations

import gc
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.commands import start, with_installation
from klucznik.cli.options import AsJson
from klucznik.operations import LogFormat, LogLevel

if TYPE_CHECKING:
    from klucznik.cli.output import Output
    from klucznik.server.run import Place
    from klucznik.services.installation import Installation


def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="help.serve.host")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, metavar="N", help="help.serve.port")] = None,
    public_url: Annotated[str | None, typer.Option("--public-url", metavar="URL", help="help.serve.public_url")] = None,
    tls_cert: Annotated[str | None, typer.Option("--tls-cert", metavar="FILE", help="help.serve.tls_cert")] = None,
    tls_key: Annotated[str | None, typer.Option("--tls-key", metavar="FILE", help="help.serve.tls_key")] = None,
    behind_proxy: Annotated[
        list[str] | None, typer.Option("--behind-proxy", metavar="ADDRESS", help="help.serve.behind_proxy")
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="help.serve.no_worker")] = False,
    log_format: Annotated[
        LogFormat | None,
        typer.Option("--log-format", envvar="KLUCZNIK_LOG_FORMAT", metavar="json|text", help="help.log_format"),
    ] = None,
    log_level: Annotated[
        LogLevel,
        typer.Option(
            "--log-level", envvar="KLUCZNIK_LOG_LEVEL", metavar="debug|info|warning|error", help="help.log_level"
        ),
    ] = LogLevel.INFO,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", min=0, max=65535, metavar="N", help="help.metrics_port")
    ] = None,
    metrics_host: Annotated[
        str | None, typer.Option("--metrics-host", metavar="HOST", help="help.metrics_host")
    ] = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.cli.outlets import outlets_from_environment
    from klucznik.operations.log import logging_to
    from klucznik.operations.metrics import Metrics
    from klucznik.operations.sight import Sight
    from klucznik.server.app import create_app
    from klucznik.server.run import Place
    from klucznik.server.run import serve as run
    from klucznik.server.settings import read_settings

    settings, output = start(ctx, as_json)
    given = read_settings(
        host=host,
        port=port,
        public_url=public_url,
        tls_cert=tls_cert,
        tls_key=tls_key,
        behind_proxy=behind_proxy or None,
        worker=False if no_worker else None,
        metrics_port=metrics_port,
        metrics_host=metrics_host,
    )
    gc.enable()  # unlike the other commands it may run for months
    shape = log_format or (LogFormat.TEXT if output.person_reads_errors else LogFormat.JSON)
    with closing(Place.take(given)) as place, logging_to(sys.stderr, shape, log_level, output.colours) as log:
        outlets = outlets_from_environment()
        sight = Sight(log, None if place.metrics is None else Metrics())

        async def work(klucznik: Installation) -> None:
            app = create_app(klucznik, place.web, outlets)
            await run(klucznik, app, place, sight, outlets, ready=lambda: _say_where(klucznik, place, output))

        with_installation(settings, work, watcher=sight.watch)


def _say_where(klucznik: Installation, place: Place, output: Output) -> None:
    words, url = output.words, place.web.public_url
    lines = [
        words.say("serve.at", url=url),
        words.say("serve.ksef", name=klucznik.environment, url=klucznik.endpoint.api),
    ]
    output.result({"outcome": "serving", "url": url}, "\n".join([*lines, words.say("serve.end")]))
    sys.stdout.flush()

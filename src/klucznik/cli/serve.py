"""``klucznik serve``: pages, API and a worker in one process. What it says at its start; the rest is `server.run`."""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from klucznik.cli.options import AsJson, MaybeLogFormat, MetricsPort, OneLogLevel
from klucznik.cli.running import start, with_installation
from klucznik.domain.environments import Environment
from klucznik.errors import InputError
from klucznik.operations import LogFormat, LogLevel

if TYPE_CHECKING:
    from fastapi import APIRouter

    from klucznik.cli.output import Output
    from klucznik.cli.state import Settings
    from klucznik.server.demo import Demo
    from klucznik.server.local_ksef import LocalKsef
    from klucznik.server.run import Place
    from klucznik.services.installation import Installation
    from klucznik.views.parts import Json


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
    demo: Annotated[bool, typer.Option("--demo", help="help.serve.demo")] = False,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="help.serve.no_worker")] = False,
    log_format: MaybeLogFormat = None,
    log_level: OneLogLevel = LogLevel.INFO,
    metrics_port: MetricsPort = None,
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
    with (
        closing(Place.take(given)) as place,
        _world(ctx, settings, demo=demo) as (where, ksef),
        logging_to(sys.stderr, shape, log_level, output.colours) as log,
    ):
        outlets = outlets_from_environment(output.words, public_url=place.web.public_url)
        sight = Sight(log, None if place.metrics is None else Metrics())

        async def work(klucznik: Installation) -> None:
            said = await _entrance(klucznik, place, ksef)
            app = create_app(klucznik, place.web, outlets, demo=said.router)
            await run(klucznik, app, place, sight, outlets, ready=lambda: _say_where(klucznik, place, said, output))

        with_installation(where, work, watcher=sight.watch)


@contextmanager
def _world(ctx: typer.Context, settings: Settings, *, demo: bool) -> Iterator[tuple[Settings, LocalKsef | None]]:
    """Where the installation is; for a demo beside a KSeF of its own, which keeps its state in the same home."""
    if not demo:
        yield settings, None
        return
    from klucznik.keys.safe_files import make_directory
    from klucznik.server.demo import SANDBOX_FILE
    from klucznik.server.local_ksef import start_local_ksef
    from klucznik.services.installation import DATABASE_FILE

    named: dict[str, object] = {
        "KLUCZNIK_DATABASE_URL": settings.database_url,
        "KLUCZNIK_MASTER_KEY": settings.master_key,
    }
    named |= {"--ksef-url": settings.ksef_url, "KLUCZNIK_PKCS11_TOKEN": settings.token}
    named |= {"--env": None if settings.environment is Environment.SANDBOX else settings.environment}
    for name, value in named.items():
        if value is not None:
            raise InputError("demo_elsewhere", name=name)
    home = settings.home
    source = ctx.find_root().get_parameter_source("home")
    if source is not None and source.name == "DEFAULT":
        home = Path(tempfile.mkdtemp(prefix="klucznik-demo-"))
    elif (home / DATABASE_FILE).exists() and not (home / SANDBOX_FILE).exists():
        raise InputError("demo_home_in_use", home=str(home))
    make_directory(home)
    with closing(start_local_ksef(home / SANDBOX_FILE)) as ksef:
        yield replace(settings, home=home, ksef_url=ksef.base_url), ksef


@dataclass(frozen=True)
class _Entrance:
    """How somebody gets in for the first time.

    Attributes:
        links: by the key of the catalogue that says what each is for.
        router: of the demo.
    """

    links: dict[str, str]
    demo: Demo | None = None
    router: APIRouter | None = None


async def _entrance(klucznik: Installation, place: Place, ksef: LocalKsef | None) -> _Entrance:
    from klucznik.services.accounts.account_links import make_setup_link

    if ksef is not None:
        from klucznik.server.demo import prepare
        from klucznik.server.demo_pages import demo_router

        made = await prepare(klucznik, ksef)
        return _Entrance({"serve.demo": f"{place.web.public_url}/demo/enter/{made.entry}"}, made, demo_router(made))
    token = await make_setup_link(klucznik)
    return _Entrance({} if token is None else {"serve.set_up": f"{place.web.public_url}/set-up/{token}"})


def _say_where(klucznik: Installation, place: Place, entrance: _Entrance, output: Output) -> None:
    from rich.text import Text

    words, url = output.words, place.web.public_url
    data: dict[str, Json] = {"outcome": "serving", "url": url, "set_up": entrance.links.get("serve.set_up")}
    lines = [
        words.say("serve.at", url=url),
        words.say("serve.ksef", name=klucznik.environment, url=klucznik.endpoint.api),
    ]
    lines += [words.say(key, url=link) for key, link in entrance.links.items()]
    if entrance.demo is not None:
        data |= {"demo": entrance.links["serve.demo"], "password": entrance.demo.password}
        lines += [words.say("serve.demo.password", email=entrance.demo.email, password=entrance.demo.password)]
        lines += [words.say("serve.demo.home", home=klucznik.home)]
    # Whole lines, however narrow the terminal: somebody clicks on the links in them.
    output.result(data, Text("\n".join([*lines, words.say("serve.end")]), no_wrap=True, overflow="ignore"))
    sys.stdout.flush()

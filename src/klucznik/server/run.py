"""Serves pages and API, with a worker beside them, until it is told to stop. What is served is `server.app`."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from socket import socket

from starlette.types import ASGIApp

from klucznik.access.settings import WebSettings
from klucznik.clock import SystemClock
from klucznik.errors import KlucznikError
from klucznik.operations.pages import Pages
from klucznik.operations.serving import Serving, listen, served, url_of
from klucznik.operations.sight import Sight
from klucznik.server import tls
from klucznik.server.layers import AccessLog, EndingStreams, Streams, WithHealth
from klucznik.server.reach import reach
from klucznik.server.settings import ServerSettings
from klucznik.services.checks import checking
from klucznik.services.engine import Engine
from klucznik.services.engines import engine_for
from klucznik.services.installation import Installation
from klucznik.services.telling.rounds import Outlets, telling

# What was asked before the signal is answered; a browser that takes longer with its upload is not waited for.
_FINISH_WITHIN_S = 60

_log = logging.getLogger("klucznik.server")


@dataclass(frozen=True)
class Place:
    """Where it is served: everything that can be wrong with it has been found out.

    Attributes:
        metrics: a second socket, for `/metrics`; None: there is none.
    """

    settings: ServerSettings
    web: WebSettings
    listening: socket
    tls: ssl.SSLContext | None
    metrics: socket | None

    @classmethod
    def take(cls, settings: ServerSettings) -> Place:
        """Listen; nobody is answered yet.

        Raises:
            InputError: see `reach`, `tls.load` and `serving.listen`.
        """
        reach(settings, port=settings.port)
        context = None
        if settings.tls_cert is not None and settings.tls_key is not None:
            context = tls.tls_context(settings.tls_cert, settings.tls_key, now=SystemClock().now())
        listening = listen(settings.host, settings.port, option="--port")
        try:
            web = reach(settings, port=listening.getsockname()[1])
            metrics = settings.metrics_port
            more = None if metrics is None else listen(settings.metrics_host, metrics, option="--metrics-port")
        except BaseException:
            listening.close()
            raise
        return cls(settings, web, listening, context, more)

    def close(self) -> None:
        self.listening.close()
        if self.metrics is not None:
            self.metrics.close()


async def serve(
    klucznik: Installation,
    app: ASGIApp,
    place: Place,
    sight: Sight,
    outlets: Outlets,
    *,
    ready: Callable[[], None],
) -> None:
    """Until SIGTERM or Ctrl-C.

    Requests that are being answered then are finished, and of each issuance its present step; streams of events end.
    Said twice, nothing is waited for. SIGHUP reads the files of TLS again.

    Args:
        outlets: where what happens is told, by the worker.
        ready: called once when requests are answered.
    """
    engine = engine_for(klucznik, listener=sight.hear) if place.settings.worker else None
    streams = Streams()
    health = Pages(klucznik, None, lambda: engine is None or engine.at_work)
    layers = WithHealth(AccessLog(EndingStreams(app, streams), sight.log), health)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_metrics(klucznik, place, sight, engine))
        serving = await stack.enter_async_context(
            served(
                layers,
                place.listening,
                finish_within_s=_FINISH_WITHIN_S,
                tls=place.tls,
                proxies=place.settings.behind_proxy,
            )
        )
        stop = _Stop(serving, streams, engine)
        stop.on_signals(place)
        ready()
        facts = {"environment": klucznik.environment.value, "database": klucznik.database.shown}
        sight.log.say(
            "serving", url=place.web.public_url, worker=engine is not None, version=version("klucznik"), **facts
        )
        if engine is not None:
            await stack.enter_async_context(checking(klucznik))
            await stack.enter_async_context(telling(klucznik, outlets))
            await engine.run()
        await stop.said.wait()
    sight.log.say("stopped")


@asynccontextmanager
async def _metrics(klucznik: Installation, place: Place, sight: Sight, engine: Engine | None) -> AsyncIterator[None]:
    if place.metrics is None:
        yield
        return
    pages = Pages(klucznik, sight.metrics, lambda: engine is None or engine.at_work)
    async with served(pages, place.metrics, finish_within_s=1):
        sight.log.say("metrics", pages=url_of(place.metrics))
        yield


@dataclass
class _Stop:
    """The end, said once or twice."""

    serving: Serving
    streams: Streams
    engine: Engine | None
    said: asyncio.Event = field(default_factory=asyncio.Event)

    def on_signals(self, place: Place) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self)
        loop.add_signal_handler(signal.SIGHUP, _read_tls_again, place)

    def __call__(self) -> None:
        if self.said.is_set():
            self.serving.break_off()
        self.said.set()
        self.serving.stop()
        self.streams.end()
        if self.engine is not None:
            self.engine.stop()


def _read_tls_again(place: Place) -> None:
    """Certificates of TLS are renewed while it serves; with files that are wrong it goes on with what it has."""
    settings = place.settings
    if place.tls is None or settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        tls.load(place.tls, settings.tls_cert, settings.tls_key, now=SystemClock().now())
    except KlucznikError as error:
        _log.warning("the files of TLS are wrong, those of before are used on: %s", error)
    else:
        _log.info("the files of TLS were read again")

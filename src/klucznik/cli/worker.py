"""Runs a worker in this process: its log, its pages, its signals. What it works on is `services.engine`."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from socket import socket
from typing import TYPE_CHECKING

from klucznik.cli.outlets import outlets_from_environment
from klucznik.cli.output import Output
from klucznik.cli.running import with_installation
from klucznik.cli.state import Settings
from klucznik.operations import LogFormat, LogLevel
from klucznik.operations.log import logging_to
from klucznik.operations.sight import Sight
from klucznik.services.checks import check_once, checking
from klucznik.services.engine import Engine
from klucznik.services.engines import engine_for
from klucznik.services.installation import Installation
from klucznik.services.telling.rounds import tell_until_idle, telling

if TYPE_CHECKING:
    from klucznik.operations.metrics import Metrics


def run(
    settings: Settings,
    output: Output,
    *,
    log_format: LogFormat | None,
    log_level: LogLevel,
    at_once: int,
    until_idle: bool,
    metrics_at: tuple[str, int] | None,
) -> None:
    """Work until SIGTERM or Ctrl-C, or until nothing is due.

    Args:
        log_format: None: text on a terminal, JSON elsewhere.
        metrics_at: host and port of the pages; None: there are none.

    Raises:
        InputError: the pages cannot be served there; nothing was begun.
    """
    gc.enable()  # unlike the other commands it may run for months
    listening, metrics = _counters(metrics_at)
    shape = log_format or (LogFormat.TEXT if output.person_reads_errors else LogFormat.JSON)
    to = logging_to(sys.stderr, shape, log_level, output.colours)
    with closing(listening) if listening else nullcontext(), to as log:
        sight, outlets = _Sight(log, metrics, listening), outlets_from_environment(output.words)

        async def work(klucznik: Installation) -> None:
            engine = engine_for(klucznik, at_once=at_once, listener=sight.hear)
            _stop_on_signals(engine)
            async with sight.shown(klucznik, engine):
                if until_idle:
                    await engine.run_until_idle()
                    await check_once(klucznik)
                    await tell_until_idle(klucznik, outlets)
                else:
                    async with checking(klucznik), telling(klucznik, outlets):
                        await engine.run()

        with_installation(settings, work, watcher=sight.watch)


def _counters(metrics_at: tuple[str, int] | None) -> tuple[socket | None, Metrics | None]:
    if metrics_at is None:
        return None, None
    from klucznik.operations.metrics import Metrics
    from klucznik.operations.serving import listen

    return listen(*metrics_at, option="--metrics-port"), Metrics()


@dataclass(frozen=True)
class _Sight(Sight):
    """What can be seen of a worker: its log, and its pages where they are asked for."""

    listening: socket | None

    @asynccontextmanager
    async def shown(self, klucznik: Installation, engine: Engine) -> AsyncIterator[None]:
        """From the first line of the log to the last, with the pages between."""
        facts = {"environment": klucznik.environment.value, "database": klucznik.database.shown}
        facts["version"] = version("klucznik")
        if self.metrics is None or self.listening is None:
            self.log.say("worker_started", at_once=engine.at_once, **facts)
            yield
        else:
            from klucznik.operations.pages import Pages
            from klucznik.operations.serving import served, url_of

            pages = Pages(klucznik, self.metrics, lambda: engine.at_work)
            async with served(pages, self.listening, finish_within_s=1):
                self.log.say("worker_started", at_once=engine.at_once, pages=url_of(self.listening), **facts)
                yield
        self.log.say("worker_stopped")


def _stop_on_signals(engine: Engine) -> None:
    """The present step of each issuance is finished, the rest is left to whoever comes next.

    Said twice, the step is not waited for; what it may have left in doubt is settled by whoever comes next.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.stop)

"""What can be seen of a process that works on issuances: its log, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from klucznik.ksef.calls import Exchange
from klucznik.operations.log import Log
from klucznik.services.progress import Progress

if TYPE_CHECKING:
    from klucznik.operations.metrics import Metrics


@dataclass(frozen=True)
class Sight:
    """A listener of services and a watcher of calls.

    Attributes:
        metrics: None: nobody asks for them.
    """

    log: Log
    metrics: Metrics | None

    def hear(self, progress: Progress) -> None:
        self.log.hear(progress)
        if self.metrics is not None:
            self.metrics.hear(progress)

    def watch(self, exchange: Exchange) -> None:
        self.log.watch(exchange)
        if self.metrics is not None:
            self.metrics.watch(exchange)

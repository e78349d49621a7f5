"""The one clock. Time is UTC inside; whoever needs it is given it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from, and how to wait for it."""

    def now(self) -> datetime:
        """The present moment, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def stopwatch() -> float:
    """Seconds by the machine's own counter, whatever clock is injected: for measuring how long something took."""
    return time.perf_counter()


async def by_the_machine(seconds: float) -> None:
    """Wait by the machine's own time, whatever clock is injected: for heartbeats and for looking around."""
    await asyncio.sleep(seconds)

"""Waiting for one's turn before a call to KSeF. The rules are `domain.pacing`; who sends is `transport`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from klucznik.clock import Clock
from klucznik.domain.pacing import SECOND, Booked, Counter, Later, Paces, micros, moment_of
from klucznik.errors import Paced

# What is waited for on the spot; whoever would have to wait longer is told so and gives up his place.
PATIENCE = timedelta(seconds=2)


class Pacer(Protocol):
    """Counts calls; shared by all that call KSeF from one address. Moments are microseconds since 1970."""

    async def book(self, counter: Counter, now: int, patience: int) -> Booked | Later:
        """Count one call more, at the first moment that KSeF's limits allow, unless that is beyond `patience`."""
        ...

    async def block(self, counter: Counter, now: int, until: int) -> Later:
        """KSeF has answered 429: nobody calls before `until`. Says when the one who was told may come back."""
        ...

    async def blocked_until(self, counter: Counter, now: int) -> int:
        """The end of the latest block, or 0."""
        ...


class MemoryPacer:
    """Counts for one client alone."""

    def __init__(self) -> None:
        self._paces = Paces()

    async def book(self, counter: Counter, now: int, patience: int) -> Booked | Later:
        return self._paces.book(counter, now, patience)

    async def block(self, counter: Counter, now: int, until: int) -> Later:
        return self._paces.block(counter, now, until)

    async def blocked_until(self, counter: Counter, now: int) -> int:
        return self._paces.blocked_until(counter, now)


async def wait_for_turn(pacer: Pacer, counter: Counter, clock: Clock, patience: timedelta) -> bool:
    """Returns when the call may be made, and has counted it.

    Returns:
        whether it had to wait.

    Raises:
        Paced: it would have to wait longer than `patience`. Nothing is counted.
    """
    now = micros(clock.now())
    deadline, waited = now + patience // timedelta(microseconds=1), False
    while True:
        answer = await pacer.book(counter, now, max(0, deadline - now))
        if isinstance(answer, Later):
            raise Paced(until=moment_of(answer.at), route=counter.route)
        if answer.at <= now:
            return waited
        waited = True
        await clock.sleep((answer.at - now) / SECOND)
        # Meanwhile another worker may have been told to stop.
        now = micros(clock.now())
        if await pacer.blocked_until(counter, now) <= now:
            return True


async def told_to_stop(pacer: Pacer, counter: Counter, clock: Clock, until: datetime) -> datetime:
    """Tells all others of a 429. When to come back: at `until` or, where others were told the same, a little later."""
    answer = await pacer.block(counter, micros(clock.now()), micros(until))
    return moment_of(answer.at)

"""Events, told on: numbered, handed to webhooks and notices, listed, and followed as they happen.

They are written with what they tell of (`audit.record`); here begins what comes after that commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection as Transaction

from klucznik.clock import by_the_machine, stopwatch
from klucznik.domain.events import Choice, PublicEvent
from klucznik.errors import KlucznikError
from klucznik.services.installation import Installation
from klucznik.services.telling.notices import put_down
from klucznik.storage import events, webhooks

PAGE = 100
_AT_ONCE = 500
_LOOK_EVERY_S = 1.0
# So many of the latest are kept at hand for all followers of a process; who is further behind reads pages.
_AT_HAND = 1000


@dataclass(frozen=True)
class Page:
    """Some events, and where to go on from.

    Attributes:
        upto: the number after which there may be more; all that was chosen up to it has been given.
        more: whether there are more already.
    """

    events: tuple[PublicEvent, ...]
    upto: int
    more: bool


async def tell(installation: Installation) -> int:
    """Give numbers to what has happened, and hand it to webhooks and notices; how many events there were.

    Anybody may do it at any time, and does no harm.
    """
    environment, database = installation.environment, installation.database
    if not await database.read(lambda transaction: events.any_unnumbered(transaction, environment)):
        return 0

    def commit(transaction: Transaction) -> int:
        now = installation.clock.now()
        found = events.number(transaction, environment, most=_AT_ONCE, now=now)
        if found:
            listening = webhooks.listed(transaction, environment, enabled=True)
            pairs = [(one.id, event.id) for event in found for one in listening if one.wants(event)]
            webhooks.add_deliveries(transaction, pairs, now=now)
            put_down(transaction, environment, found, now=now)
        return len(found)

    return await database.write(commit)


async def tell_everything(installation: Installation) -> None:
    while await tell(installation):
        pass


async def page(installation: Installation, *, after: int, choice: Choice, size: int = PAGE) -> Page:
    """Events after a number, in order."""
    await tell(installation)
    return await _page(installation, after=after, choice=choice, size=size)


async def newest(installation: Installation) -> int:
    """The number of the latest event that has happened; 0 where there is none."""
    await tell_everything(installation)
    return await _newest(installation)


async def _newest(installation: Installation) -> int:
    return await installation.database.read(lambda transaction: events.newest(transaction, installation.environment))


async def _page(installation: Installation, *, after: int, choice: Choice, size: int) -> Page:
    def read(transaction: Transaction) -> Page:
        found = events.page(transaction, installation.environment, after=after, size=size, choice=choice)
        if len(found) == size:
            return Page(tuple(found), found[-1].number, more=True)
        return Page(tuple(found), max(after, events.newest(transaction, installation.environment)), more=False)

    return await installation.database.read(read)


@dataclass
class Feed:
    """The events of one process, for any number of followers: one look a second for all of them together.

    Args:
        look_every_s: by the machine's clock.
    """

    installation: Installation
    look_every_s: float = _LOOK_EVERY_S
    _at_hand: deque[PublicEvent] = field(default_factory=deque, init=False, repr=False)
    # All events above this number are at hand.
    _floor: int = field(default=0, init=False, repr=False)
    _upto: int = field(default=0, init=False, repr=False)
    _followers: int = field(default=0, init=False, repr=False)
    _looking: asyncio.Task[None] | None = field(default=None, init=False, repr=False)
    _beginning: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition, init=False, repr=False)

    async def follow(
        self,
        *,
        after: int,
        choice: Choice,
        still: Callable[[], Awaitable[bool]],
        quiet_s: float = 15.0,
        lasts_s: float = 600.0,
    ) -> AsyncGenerator[PublicEvent | None]:
        """Events as they happen; None now and then while there are none, so that the connection is seen to live.

        Args:
            after: number of the last event that the follower has (`newest`: only new ones).
            still: whether the follower may hear of them still; asked whenever there is something to tell, and with
                each None. It ends where not.
            quiet_s: after so long without an event there is a None.
            lasts_s: it ends after so long; whoever comes again is asked again who they are.
        """
        ends = stopwatch() + lasts_s
        self._followers += 1
        try:
            await self._begin_to_look()
            position = after
            while stopwatch() < ends:
                found = await self._after(position, choice)
                if found.events and not await still():
                    return
                for event in found.events:
                    yield event
                position = found.upto
                if not found.more and not await self._wait(position, min(quiet_s, ends - stopwatch())):
                    if not await still():
                        return
                    yield None
        finally:
            self._leave()

    async def _after(self, position: int, choice: Choice) -> Page:
        if position < self._floor:
            return await _page(self.installation, after=position, choice=choice, size=PAGE)
        found = tuple(event for event in self._at_hand if event.number > position and choice.takes(event))
        return Page(found, max(position, self._upto), more=False)

    async def _wait(self, position: int, seconds: float) -> bool:
        """Whether there is something new within so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)), self._news:
                await self._news.wait_for(lambda: self._upto > position)
                return True
        return False

    async def _begin_to_look(self) -> None:
        async with self._beginning:
            if self._looking is None:
                self._floor = self._upto = await _newest(self.installation)
                self._at_hand.clear()
                self._looking = asyncio.create_task(self._look_for_ever())

    def _leave(self) -> None:
        """Waits for nothing: whoever is cut off by their connection is broken off once more at every wait."""
        self._followers -= 1
        if self._followers == 0 and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look_for_ever(self) -> None:
        while True:
            with suppress(KlucznikError):  # the next look is a second away
                await self._look()
            await by_the_machine(self.look_every_s)

    async def _look(self) -> None:
        await tell(self.installation)
        more = True
        while more:
            found = await _page(self.installation, after=self._upto, choice=Choice(), size=PAGE)
            more = found.more
            if not found.events:
                return
            self._at_hand.extend(found.events)
            while len(self._at_hand) > _AT_HAND:
                self._floor = self._at_hand.popleft().number
            async with self._news:
                self._upto = found.upto
                self._news.notify_all()

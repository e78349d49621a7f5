"""Work that outlasts the request which began it: whoever asked is answered, and the row tells how it ends.

What has to outlast this process is a row with a worker (`services.road`); here is what only this process can finish.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from klucznik.errors import KlucznikError

T = TypeVar("T")
# Is told when the rows say that the work is on its way.
Reached: TypeAlias = "Callable[[], None]"

_log = logging.getLogger("klucznik.background")


@dataclass
class Background:
    """The work that one process has begun and not ended.

    Attributes:
        answer_within_s: how long whoever asked waits for it once it is on its way. Nearly every sign-in is done by
            then; a proxy before us, or a browser, gives up after 60 seconds or 30.
        stop_within_s: how long the end of the process waits for it.
    """

    answer_within_s: float = 15.0
    stop_within_s: float = 10.0
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set, repr=False)

    async def see_to(self, work: Callable[[Reached], Coroutine[Any, Any, T]]) -> T | None:
        """Do it. What it returns or raises; None: it goes on, and its rows will tell.

        Args:
            work: calls what it is given when its rows say that it is on its way; until then it is waited for.
        """
        reached = asyncio.Event()
        task = asyncio.create_task(work(reached.set))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        on_its_way = asyncio.create_task(reached.wait())
        try:
            await asyncio.wait({task, on_its_way}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({task}, timeout=self.answer_within_s)
        finally:
            on_its_way.cancel()
            if not task.done():  # nobody waits any more
                task.add_done_callback(_tell)
        return task.result() if task.done() else None

    async def stop(self) -> None:
        """The end of the process: what is not done soon is broken off, and its rows say so."""
        if not self._tasks:
            return
        _, left = await asyncio.wait(self._tasks, timeout=self.stop_within_s)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)


def _tell(task: asyncio.Task[Any]) -> None:
    """An error that nobody waits for is in the rows; what nobody has foreseen is told with its trace."""
    if task.cancelled():
        _log.warning("work in the background was broken off, as the process ends")
        return
    error = task.exception()
    if isinstance(error, KlucznikError):
        _log.warning("work in the background failed: %s", error)
    elif error is not None:
        _log.error("work in the background failed", exc_info=error)

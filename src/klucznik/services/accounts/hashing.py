"""Hashes passwords, and opens files with them, on other threads, a few at a time: a flood takes neither the machine nor
its memory, and nobody else waits meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from klucznik.clock import Clock
from klucznik.domain.passwords import normalised
from klucznik.errors import TooManyAttempts
from klucznik.keys.passwords import Argon2

T = TypeVar("T")

# Each takes 64 MiB and most of a core for a fifth of a second.
AT_ONCE = 2
MOST_WAITING = 30
_COME_BACK = timedelta(seconds=5)


class Hashing:
    """Makes and compares hashes of passwords; whoever finds too many waiting is sent away for some seconds."""

    def __init__(self, argon2: Argon2 | None = None) -> None:
        self._argon2 = argon2 or Argon2()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._asked = 0

    async def hash(self, password: str, clock: Clock) -> str:
        """Raises TooManyAttempts."""
        return await self._run(lambda: self._argon2.hash(normalised(password)), clock)

    async def fits(self, password: str, hashed: str | None, clock: Clock) -> bool:
        """Whether it is the password; without a hash it takes as long and is not. Raises TooManyAttempts."""

        def compare() -> bool:
            nobody = self._argon2.of_nobody
            return self._argon2.fits(normalised(password), hashed or nobody)

        return await self._run(compare, clock) and hashed is not None

    def is_old(self, hashed: str) -> bool:
        """Whether a password shall be hashed anew when it is at hand."""
        return self._argon2.is_old(hashed)

    async def opened(self, work: Callable[[], T], clock: Clock) -> T:
        """What `work` reads out of a file under a password, which takes a second where its maker wanted that.

        Raises TooManyAttempts, and what `work` raises.
        """
        return await self._run(work, clock)

    async def _run(self, work: Callable[[], T], clock: Clock) -> T:
        if self._asked >= AT_ONCE + MOST_WAITING:
            raise TooManyAttempts(until=clock.now() + _COME_BACK)
        self._asked += 1
        try:
            async with self._places:
                return await asyncio.to_thread(work)
        finally:
            self._asked -= 1

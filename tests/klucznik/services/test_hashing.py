"""Passwords are hashed a few at a time, however many sign in at once."""

import asyncio
import threading
from dataclasses import dataclass, field

import pytest

from klucznik.clock import SystemClock
from klucznik.errors import TooManyAttempts
from klucznik.keys.passwords import Argon2
from klucznik.services.accounts.hashing import AT_ONCE, MOST_WAITING, Hashing

pytestmark = pytest.mark.sqlite


@dataclass
class Counted(Argon2):
    """Counts how many are at work, and lets nobody finish before the flood has come."""

    memory_kib: int = 8
    passes: int = 1
    gate: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_work: int = 0
    most: int = 0

    def hash(self, password: str) -> str:
        with self.lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        self.gate.wait()
        try:
            return super().hash(password)
        finally:
            with self.lock:
                self.at_work -= 1


async def test_a_flood_waits_and_the_rest_of_it_is_sent_away() -> None:
    argon2 = Counted()
    hashing, clock, more = Hashing(argon2), SystemClock(), 5
    asked = [
        asyncio.create_task(hashing.hash(f"password {number}", clock))
        for number in range(AT_ONCE + MOST_WAITING + more)
    ]
    await asyncio.sleep(0)
    argon2.gate.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, TooManyAttempts)]
    assert (len(refused), argon2.most) == (more, AT_ONCE)
    assert len({answer for answer in answers if isinstance(answer, str)}) == AT_ONCE + MOST_WAITING
    # It is over: the next one is served.
    assert await hashing.fits("password 0", await hashing.hash("password 0", clock), clock)


@pytest.mark.parametrize("hashed", [None, "", "no hash", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$"])
async def test_what_is_no_hash_fits_no_password(hashed: str | None) -> None:
    assert not await Hashing(Argon2(memory_kib=8, passes=1)).fits("password", hashed, SystemClock())


def test_what_is_hashed_with_less_than_now_is_old() -> None:
    weak = Argon2(memory_kib=8, passes=1).hash("password")
    assert Argon2().is_old(weak)
    assert weak.startswith("$argon2id$")

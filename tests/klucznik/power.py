"""A machine whose power fails before a chosen act: everything after it leaves no trace, not even the cleaning up.

An act is what others can see: a commit of the database or a request that leaves.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import httpx
from sqlalchemy import Connection
from tests.klucznik.mishaps import Mishap, Network
from tests.klucznik.world import installed

from klucznik.services.installation import Installation
from klucznik.storage.database import Database
from ksef_sandbox import Sandbox

T = TypeVar("T")


class PowerLoss(BaseException):
    """No code runs after this; what still does is denied every act."""


@dataclass
class Power:
    """Lasts for so many acts."""

    acts: int
    done: int = field(default=0, init=False)

    def spend(self) -> None:
        self.done += 1
        if self.done > self.acts:
            raise PowerLoss

    @property
    def failed(self) -> bool:
        return self.done > self.acts


class PoweredNetwork(Network):
    def __init__(self, power: Power, *mishaps: Mishap) -> None:
        super().__init__(*mishaps)
        self._power = power

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._power.spend()
        return await super().handle_async_request(request)


class PoweredDatabase(Database):
    """An open database on such a machine."""

    def __init__(self, opened: Database, power: Power) -> None:
        self._opened = opened
        self._power = power

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._opened.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        self._power.spend()
        return await self._opened.write(work)

    def close(self) -> None:
        self._opened.close()


@asynccontextmanager
async def powered(home: Path, ksef: Sandbox, power: Power, *mishaps: Mishap) -> AsyncIterator[Installation]:
    """An installation on such a machine. Opening it and closing it costs no power."""
    async with installed(home, ksef, transport=PoweredNetwork(power, *mishaps)) as opened:
        yield replace(opened, database=PoweredDatabase(opened.database, power))

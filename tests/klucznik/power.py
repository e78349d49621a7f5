"""A machine whose power fails before a chosen act: everything after it leaves no trace, not even the cleaning up.

An act is what others can see: a commit of the database or a request that leaves.

`DiskPower` also knows what is on the disk then: of a commit that had not returned, any part may be.
"""

import random
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import httpx
from sqlalchemy import Connection
from tests.klucznik.mishaps import Mishap, Network
from tests.klucznik.world import installed

from klucznik.services.installation import DATABASE_FILE, MASTER_KEY_FILE, Installation
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


@dataclass
class DiskPower(Power):
    """Keeps what the disk of the dead machine holds of SQLite's files: all that was synced, a part of what was not.

    Attributes:
        left: the files by name, from the failure on.
    """

    home: Path
    chance: random.Random
    left: dict[str, bytes] = field(default_factory=dict, init=False)

    def spend(self) -> None:
        try:
            super().spend()
        except PowerLoss:
            self.left = self.left or self.files()
            raise

    def files(self) -> dict[str, bytes]:
        names = (DATABASE_FILE, f"{DATABASE_FILE}-wal")
        return {name: path.read_bytes() for name in names if (path := self.home / name).exists()}

    def tear(self) -> None:
        """What was written after the failure was never synced: of it the disk may hold any beginning, the last of that
        garbled. A checkpoint, which would write elsewhere too, does not come within one issuance."""
        wal, written = f"{DATABASE_FILE}-wal", self.files()
        synced = self.left.get(wal, b"")
        assert written[DATABASE_FILE] == self.left[DATABASE_FILE]
        assert written[wal].startswith(synced)
        tail = written[wal][len(synced) :]
        kept = bytearray(tail[: self.chance.randint(0, len(tail))])
        garbled = min(len(kept), self.chance.choice([0, 512, 4096]))
        kept[len(kept) - garbled :] = self.chance.randbytes(garbled)
        self.left[wal] = synced + kept

    def machine_after(self, home: Path) -> None:
        """A home in which the machine finds itself when the power is back."""
        home.mkdir(mode=0o700)
        shutil.copy2(self.home / MASTER_KEY_FILE, home)
        for name, content in self.left.items():
            (home / name).write_bytes(content)


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
        alive = not self._power.failed
        try:
            self._power.spend()
        except PowerLoss:
            if alive and isinstance(self._power, DiskPower):
                await self._opened.write(work)  # it fails while this is being written
                self._power.tear()
            raise
        return await self._opened.write(work)

    def close(self) -> None:
        self._opened.close()


@asynccontextmanager
async def powered(home: Path, ksef: Sandbox, power: Power, *mishaps: Mishap) -> AsyncIterator[Installation]:
    """An installation on such a machine. Opening it and closing it costs no power."""
    async with installed(home, ksef, transport=PoweredNetwork(power, *mishaps)) as opened:
        yield replace(opened, database=PoweredDatabase(opened.database, power))

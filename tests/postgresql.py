"""A private PostgreSQL for tests: one cluster for each test process, reached by a socket in a directory of its own.
`database` is the address of a fresh empty one. The server ends with the test process, even with one that is killed.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import pytest
from tests import needs

USER = "postgres"
SECONDS_TO_START = 60
# Where there is room a server waits for this disk, which takes no time: nothing here outlives the machine.
_MEMORY = Path("/dev/shm")  # noqa: S108
_ROOM = 4 * 1024**3
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass(frozen=True)
class Cluster:
    """A running server. Its databases go with it."""

    programs: Path
    directory: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def address(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.directory}"

    def sql(self, statement: str, *, address: str | None = None) -> str:
        """What psql answers: values alone, a row a line."""
        command: list[str | Path] = [
            self.programs / "psql",
            "-XqAt",
            "-c",
            statement,
            address or self.address("postgres"),
        ]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """The address of a new database with nothing in it, which is dropped at the end, whoever is still connected."""
        name = f"fresh_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield self.address(name)
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running(programs: Path, *, durable: bool = False) -> Iterator[Cluster]:
    """A server of its own. Only a `durable` one waits for the disk, as a real one does."""
    directory = Path(tempfile.mkdtemp(prefix="klucznik-postgresql-", dir=_disk()))
    try:
        owner = _owner(directory)
        data, log = directory / "data", directory / "log"
        made: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            USER,
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "-N",
        ]
        subprocess.run(made, cwd=directory, stdout=subprocess.DEVNULL, check=True, **owner)
        settings = ["listen_addresses=", f"unix_socket_directories={directory}", *(() if durable else NOT_DURABLE)]
        # The kernel stops the server when the test process dies: no `finally` survives a SIGKILL.
        command: list[str | Path] = ["setpriv", "--pdeathsig", "QUIT", programs / "postgres", "-D", data]
        command += [part for setting in settings for part in ("-c", setting)]
        with log.open("wb") as lines, subprocess.Popen(command, cwd=directory, stderr=lines, **owner) as server:
            try:
                _wait_until_ready(programs, directory, server)
                yield Cluster(programs, directory)
            finally:
                server.send_signal(signal.SIGQUIT)  # at once, saving nothing: its data go in a moment
    finally:
        shutil.rmtree(directory)


def _disk() -> Path | None:
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM else None


class Owner(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _owner(directory: Path) -> Owner:
    """PostgreSQL refuses to run as root, so that root hands it over to the account that Debian makes for it."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(USER)
    os.chown(directory, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _wait_until_ready(programs: Path, directory: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    asked: list[str | Path] = [programs / "pg_isready", "-q", "-h", directory]
    while subprocess.run(asked, check=False).returncode != 0:
        assert server.poll() is None, (directory / "log").read_text()
        assert time.monotonic() < deadline, (directory / "log").read_text()
        time.sleep(0.02)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    with running(needs.postgresql()) as cluster:
        yield cluster


@pytest.fixture
def database(postgresql: Cluster) -> Iterator[str]:
    with postgresql.fresh_database() as address:
        yield address

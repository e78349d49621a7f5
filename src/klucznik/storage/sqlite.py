"""SQLite: a private file, WAL, ``synchronous=FULL``; every write begins with ``BEGIN IMMEDIATE``.

So a commit that has returned is on disk, and two writers queue up instead of failing half-way.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from klucznik.errors import StorageError

T = TypeVar("T")

_BUSY_TIMEOUT_MS = 10_000


class Sqlite:
    """One file, one connection, on the thread of whoever asks: a commit takes less time than changing threads.

    What lasts has a thread and a connection of its own, beside which the file is read and written as ever (WAL).
    """

    begin_read = "BEGIN"
    begin_write = "BEGIN IMMEDIATE"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.shown = str(path)
        self.engine = _engine(path)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """The file is there, and no other process opens a database in its directory meanwhile.

        Raises:
            StorageError: the file cannot be made or opened.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _one_at_a_time(self._path.parent)
            try:
                _make_private_file(self._path)
            except OSError:
                os.close(lock)
                raise
        except OSError as error:
            raise StorageError(_os_reason(error), file=self.shown) from None
        try:
            yield
        finally:
            os.close(lock)

    def revision(self, connection: Connection) -> str | None:
        known = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").scalar()
        if known is None:
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()

    @contextmanager
    def migrating(self) -> Iterator[None]:
        """Tables are changed by making them anew; the rows that refer to the old one must not go with it."""
        self._set("foreign_keys=OFF")
        try:
            yield
        finally:
            self._set("foreign_keys=ON")

    def _set(self, setting: str) -> None:
        with self.engine.connect() as connection:  # it is always the same one
            connection.exec_driver_sql(f"PRAGMA {setting}")

    async def run(self, call: Callable[[], T]) -> T:
        return call()

    async def run_apart(self, call: Callable[[Engine], T]) -> T:
        def with_a_connection_of_its_own() -> T:
            engine = _engine(self._path)
            try:
                return call(engine)
            finally:
                engine.dispose()

        return await asyncio.to_thread(with_a_connection_of_its_own)

    def again(self, _: SQLAlchemyError) -> bool:
        return False

    def reason(self, error: SQLAlchemyError) -> str:
        said = str(error.orig).lower() if isinstance(error, DBAPIError) else ""
        # SQLite knows a full disk only by ENOSPC while it writes the database; a used-up quota, a limit on the size of
        # files and no room for its shared memory reach us as I/O errors of these kinds.
        if isinstance(error, DBAPIError) and getattr(error.orig, "sqlite_errorname", "") in _NO_ROOM:
            return "disk_full"
        return next((reason for words, reason in _REASONS if words in said), "database_failed")

    def close(self) -> None:
        self.engine.dispose()


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),  # a home may be called anything, also "50%20?"
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_MS / 1000},
        isolation_level="AUTOCOMMIT",  # the transactions are begun and ended in `database`
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _settings(connection: sqlite3.Connection, _record: object) -> None:
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {setting}")

    return engine


def _one_at_a_time(directory: Path) -> int:
    """Whoever else opens a database here waits: SQLite turns away, not queues, those who switch a new file to WAL.

    Closing the descriptor that comes back lets the next one in.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _make_private_file(path: Path) -> None:
    """The file exists, readable by its owner alone, before SQLite writes the first byte.

    A file that exists is never opened here. Closing it again would drop the locks that another connection of this very
    process holds (POSIX), and another process could then take away the write-ahead log under it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS)) from None
        if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


_ERRNO = {
    errno.EACCES: "not_permitted",
    errno.EPERM: "not_permitted",
    errno.EROFS: "read_only_file_system",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
}


def _os_reason(error: OSError) -> str:
    return _ERRNO.get(error.errno or 0, "database_unreachable")


_REASONS = (
    ("not a database", "database_damaged"),
    ("malformed", "database_damaged"),
    ("readonly", "database_read_only"),
    ("disk is full", "disk_full"),
    ("locked", "database_busy"),
    ("unable to open", "database_unreachable"),
    ("disk i/o", "disk_failing"),
    ("no such table", "database_damaged"),
    ("no such column", "database_damaged"),
    ("already exists", "database_occupied"),
)

_NO_ROOM = frozenset({"SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE"})

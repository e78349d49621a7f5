"""One connection pool, one way to read and one way to write. Which tables there are is in `storage.schema`.

SQLite: WAL, ``synchronous=FULL``, every write begins with ``BEGIN IMMEDIATE``, so a commit that has returned is on disk
and two writers queue up instead of failing half-way.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from klucznik.errors import StorageError
from klucznik.storage.schema import HEAD, metadata

T = TypeVar("T")

_BUSY_TIMEOUT_MS = 10_000


class Database:
    """The database of one installation.

    Work is a function that takes a connection; it runs in one transaction, which is committed when it returns and
    rolled back when it raises. The faces are async, so that a database across a network can be given a thread.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, made (0600) and brought up to date where needed.

        Raises:
            StorageError: ``database_unreachable``, ``database_damaged``, ``database_read_only``, ``disk_full``,
                ``database_newer`` …
        """
        self._path = path
        with ExitStack() as alone:
            try:
                _make_private_directory(path.parent)
                alone.enter_context(_one_at_a_time(path.parent))
                _make_private_file(path)
            except OSError as error:
                raise StorageError(os_reason(error, "database_unreachable"), file=str(path)) from None
            self._engine = _sqlite_engine(path)
            try:
                self._bring_up_to_date()
            except BaseException:
                self._engine.dispose()
                raise

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` against one consistent view. It must not write."""
        return self._run(work, writing=False)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction. When this returns, it is on disk."""
        return self._run(work, writing=True)

    def close(self) -> None:
        self._engine.dispose()

    def _run(self, work: Callable[[Connection], T], *, writing: bool) -> T:
        try:
            with self._engine.connect() as connection:
                # Also a read begins its transaction by hand: two SELECTs of one `work` must see the same state.
                connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
                try:
                    result = work(connection)
                except BaseException:
                    connection.exec_driver_sql("ROLLBACK")
                    raise
                connection.exec_driver_sql("COMMIT")
                return result
        except SQLAlchemyError as error:
            # SQLAlchemy's own text shows statement and parameters; neither may reach a log or a screen.
            raise StorageError(_reason(error), file=str(self._path)) from None

    def _bring_up_to_date(self) -> None:
        revision = self._run(_revision, writing=False)
        if revision == HEAD:
            return
        if revision is None:
            self._run(_make_tables, writing=True)
            return
        from klucznik.storage.migrate import upgrade  # alembic is heavy and seldom needed

        upgrade(self._engine, from_revision=revision, file=str(self._path))


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),  # a home may be called anything, also "50%20?"
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_MS / 1000},
        isolation_level="AUTOCOMMIT",  # the transactions are ours, begun and ended in `_run`
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _settings(connection: sqlite3.Connection, _record: object) -> None:
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {setting}")

    return engine


def _make_private_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Whoever else opens a database here waits: SQLite turns away, not queues, those who switch a new file to WAL."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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


def _revision(connection: Connection) -> str | None:
    known = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").scalar()
    if known is None:
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _make_tables(connection: Connection) -> None:
    if _revision(connection) is not None:
        return  # another process was faster
    metadata.create_all(connection)
    connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


_ERRNO = {
    errno.EACCES: "not_permitted",
    errno.EPERM: "not_permitted",
    errno.EROFS: "read_only_file_system",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
}


def os_reason(error: OSError, otherwise: str) -> str:
    """The reason behind an operating system error, for a message that helps."""
    return _ERRNO.get(error.errno or 0, otherwise)


_SQLITE_REASONS = (
    ("not a database", "database_damaged"),
    ("malformed", "database_damaged"),
    ("readonly", "database_read_only"),
    ("disk is full", "disk_full"),
    ("locked", "database_busy"),
    ("unable to open", "database_unreachable"),
    ("disk i/o", "disk_failing"),
    ("no such table", "database_damaged"),
    ("no such column", "database_damaged"),
)


_NO_ROOM = frozenset({"SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE"})


def _reason(error: SQLAlchemyError) -> str:
    said = str(error.orig).lower() if isinstance(error, DBAPIError) else ""
    # SQLite knows a full disk only by ENOSPC while it writes the database; a used-up quota, a limit on the size of
    # files and no room for its shared memory reach us as I/O errors of these kinds.
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlite_errorname", "") in _NO_ROOM:
        return "disk_full"
    return next((reason for words, reason in _SQLITE_REASONS if words in said), "database_failed")

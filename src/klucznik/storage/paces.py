"""Where the workers of an installation share their counts of calls to KSeF: a small file beside SQLite's database.

The rules are `domain.pacing`. With PostgreSQL the counts are in the database: `storage.paces_postgresql`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from struct import error as StructError
from struct import pack, unpack
from typing import TypeAlias, TypeVar

from klucznik.domain.pacing import Booked, Counter, Later, Pace, Paces, believed, block, book, forgettable

Answer = TypeVar("Answer")
_Row: TypeAlias = tuple[bytes, int, int, int]

BUSY_S = 0.5
LOOKED_OVER = 8  # rows that a new one has looked over for some to be forgotten

_log = logging.getLogger("klucznik.storage")

# Losing the file costs nothing but politeness, so nothing waits for the disk. A write-ahead log all the same: without
# a journal a killed process would leave it damaged.
_SETTINGS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF"
_TABLE = """
CREATE TABLE paces (
    key INTEGER PRIMARY KEY,
    taken BLOB NOT NULL,
    turn INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    touched INTEGER NOT NULL
)
"""
_COLUMNS = "taken, turn, blocked_until, touched"
_READ = f"SELECT {_COLUMNS} FROM paces WHERE key = ?"  # noqa: S608
_WRITE = f"INSERT OR REPLACE INTO paces (key, {_COLUMNS}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
# The keys are random numbers: a few neighbours of a new one are a fair sample of all.
_NEIGHBOURS = f"SELECT key, {_COLUMNS} FROM paces WHERE key > ? ORDER BY key LIMIT {LOOKED_OVER}"  # noqa: S608
_FORGET = "DELETE FROM paces WHERE key = ?"


class SqlitePacer:
    """Counts in a file that several processes share. It never fails: without the file it counts for itself alone.

    Args:
        path: made (0600) at the first call to KSeF.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None
        self._alone: Paces | None = None

    async def book(self, counter: Counter, now: int, patience: int) -> Booked | Later:
        return self._change(
            counter,
            now,
            lambda pace: book(pace, counter.quota, now, patience),
            lambda alone: alone.book(counter, now, patience),
        )

    async def block(self, counter: Counter, now: int, until: int) -> Later:
        return self._change(
            counter,
            now,
            lambda pace: block(pace, counter.quota, now, until),
            lambda alone: alone.block(counter, now, until),
        )

    async def blocked_until(self, counter: Counter, now: int) -> int:
        def read(connection: sqlite3.Connection) -> int:
            row = connection.execute(_READ, (counter.key,)).fetchone()
            return believed(_pace(row), now).blocked_until if row else 0

        return self._tried(read, lambda alone: alone.blocked_until(counter, now))

    async def aclose(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _change(
        self,
        counter: Counter,
        now: int,
        change: Callable[[Pace], tuple[Pace, Answer]],
        otherwise: Callable[[Paces], Answer],
    ) -> Answer:
        def write(connection: sqlite3.Connection) -> Answer:
            connection.execute("BEGIN IMMEDIATE")
            try:
                row = connection.execute(_READ, (counter.key,)).fetchone()
                if row is None:
                    _forget_some(connection, counter.key, now)
                pace, answer = change(_pace(row) if row else Pace())
                connection.execute(_WRITE, (counter.key, *_row(pace)))
                connection.execute("COMMIT")
            except BaseException:
                # A commit that failed may have ended the transaction by itself.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            return answer

        return self._tried(write, otherwise)

    def _tried(self, work: Callable[[sqlite3.Connection], Answer], otherwise: Callable[[Paces], Answer]) -> Answer:
        if self._alone is None:
            try:
                return self._with_a_fresh_file(work)
            except (sqlite3.Error, OSError, StructError) as error:
                self._close()
                self._alone = Paces()
                _log.warning("%s cannot be used (%s): calls are counted for this process alone", self._path, error)
        return otherwise(self._alone)

    def _with_a_fresh_file(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        try:
            return work(self._connection())
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):  # a table or column of another release
                raise
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise
        self._close()
        for file in (f"{self._path}-wal", f"{self._path}-shm", self._path):
            Path(file).unlink(missing_ok=True)
        return work(self._connection())

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            if not self._path.exists():
                _make(self._path)
            self._open = _connect(self._path)
        return self._open


def _make(path: Path) -> None:
    """The file appears whole: SQLite turns away those who come while another is giving a new file its settings."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(_connect(new)) as connection:
            connection.execute(_TABLE)
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(_SETTINGS)
    except BaseException:
        connection.close()
        raise
    return connection


def _forget_some(connection: sqlite3.Connection, key: int, now: int) -> None:
    for neighbour, *row in connection.execute(_NEIGHBOURS, (key,)).fetchall():
        if forgettable(_pace((row[0], row[1], row[2], row[3])), now):
            connection.execute(_FORGET, (neighbour,))


def _pace(row: _Row) -> Pace:
    taken, turn, blocked_until, touched = row
    return Pace(unpack(f"<{len(taken) // 8}q", taken), turn, blocked_until, touched)


def _row(pace: Pace) -> _Row:
    return pack(f"<{len(pace.taken)}q", *pace.taken), pace.turn, pace.blocked_until, pace.touched

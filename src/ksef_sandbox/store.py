"""One SQLite file that keeps the sandbox's state over restarts and kills.
Rows are small: a table's name, a record's key and the record as JSON; nothing here knows what they mean.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (kind, key)
)
"""
# The upsert keeps a row's id, so rows come back in the order in which their records were born.
UPSERT = (
    "INSERT INTO records (kind, key, value) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value=excluded.value"
)
FORMAT = 1


class StoreError(Exception):
    """The file cannot be used; the message is a whole sentence."""


class Store:
    """Write-through journal: changes of one request are one transaction, committed before the answer leaves.

    A killed process loses nothing that was answered: WAL pages already belong to the operating system.
    A power cut may lose the last moments (`synchronous=NORMAL`), which a test server can afford.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises StoreError when it is not ours, not readable, or in use."""
        self.path = path
        self._adapters: dict[type[object], TypeAdapter[Any]] = {}
        try:
            path.touch(mode=0o600, exist_ok=True)  # it holds the keys of the sandbox's CA and of its tokens
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The state file {path} cannot be used: {error}.") from error
        try:
            self._open()
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"The state file {path} cannot be used: {error}.") from error
            raise

    def _open(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        # One sandbox, one file: a second process would answer from a memory of its own.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version != FORMAT and tables:
            raise StoreError(f"The state file {self.path} was not written by this version of ksef-sandbox.")
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(SCHEMA)
        self._db.execute(f"PRAGMA user_version={FORMAT}")
        self._db.execute("COMMIT")

    def put(self, kind: str, key: str, record: object) -> None:
        """Write a record (a dataclass or a plain JSON value) at the next commit."""
        self._begin()
        self._db.execute(UPSERT, (kind, key, self._adapter(type(record)).dump_json(record)))

    def delete(self, kind: str, key: str) -> None:
        self._begin()
        self._db.execute("DELETE FROM records WHERE kind=? AND key=?", (kind, key))

    def delete_all(self) -> None:
        self._begin()
        self._db.execute("DELETE FROM records")

    def commit(self) -> None:
        """End the transaction, if one is open."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def read(self, kind: str, record_type: type[object]) -> Iterator[Any]:
        """Records of one kind, oldest first."""
        adapter = self._adapter(record_type)
        for (value,) in self._db.execute("SELECT value FROM records WHERE kind=? ORDER BY id", (kind,)):
            yield adapter.validate_json(value)

    def close(self) -> None:
        self.commit()
        self._db.close()

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def _adapter(self, record_type: type[object]) -> TypeAdapter[Any]:
        adapter = self._adapters.get(record_type)
        if adapter is None:
            adapter = self._adapters[record_type] = TypeAdapter(record_type)
        return adapter

"""Tables of records in memory, with indexes, that report every change to a journal.
They know nothing of KSeF; which tables there are is `state.py`, how they reach a disk is `store.py`.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar

R = TypeVar("R")


class Journal(Protocol):
    """Where changes of records are written down."""

    def put(self, kind: str, key: str, record: object) -> None: ...

    def delete(self, kind: str, key: str) -> None: ...


class NoJournal:
    """Memory only: nothing is written down."""

    def put(self, kind: str, key: str, record: object) -> None:
        """Forget it."""

    def delete(self, kind: str, key: str) -> None:
        """Forget it."""


class Index(Generic[R]):
    """Keys of the records that share a value, oldest first."""

    def __init__(self, value_of: Callable[[R], Hashable]) -> None:
        self.value_of = value_of
        self._keys: dict[Hashable, dict[str, None]] = {}

    def keys(self, value: Hashable) -> list[str]:
        return list(self._keys.get(value, ()))

    def add(self, key: str, record: R) -> None:
        self._keys.setdefault(self.value_of(record), {})[key] = None

    def remove(self, key: str, record: R) -> None:
        value = self.value_of(record)
        keys = self._keys[value]
        del keys[key]
        if not keys:
            del self._keys[value]

    def clear(self) -> None:
        self._keys.clear()


class Table(Generic[R]):
    """Records by their key, oldest first; `kind` names the table in the journal."""

    def __init__(self, kind: str, record_type: type[R], key_of: Callable[[R], str], journal: Journal) -> None:
        self.kind = kind
        self.record_type = record_type
        self._key_of = key_of
        self._journal = journal
        self._records: dict[str, R] = {}
        self._indexes: list[Index[R]] = []

    def index(self, value_of: Callable[[R], Hashable]) -> Index[R]:
        """Add an index; before the first record."""
        index = Index(value_of)
        self._indexes.append(index)
        return index

    def put(self, record: R) -> R:
        """Insert the record, or replace the one with its key, and write it down."""
        key = self._key_of(record)
        self._journal.put(self.kind, key, record)
        self.restore(record)
        return record

    def restore(self, record: R) -> None:
        """Take over a record that is already written down."""
        key = self._key_of(record)
        previous = self._records.get(key)
        self._records[key] = record
        for index in self._indexes:
            if previous is None:
                index.add(key, record)
            elif index.value_of(previous) != index.value_of(record):
                index.remove(key, previous)
                index.add(key, record)

    def delete(self, key: str) -> None:
        """Remove a record if it is there."""
        record = self._records.pop(key, None)
        if record is None:
            return
        self._journal.delete(self.kind, key)
        for index in self._indexes:
            index.remove(key, record)

    def get(self, key: str) -> R | None:
        return self._records.get(key)

    def where(self, index: Index[R], value: Hashable) -> list[R]:
        """Records with that value in the index, oldest first."""
        return [self._records[key] for key in index.keys(value)]

    def clear(self) -> None:
        """Forget everything, without a word in the journal."""
        self._records.clear()
        for index in self._indexes:
            index.clear()

    def __iter__(self) -> Iterator[R]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: str) -> bool:
        return key in self._records

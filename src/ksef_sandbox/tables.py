"""Tables of records in memory, with indexes and orders, that report every change to a journal.
They know nothing of KSeF; which tables there are is `state.py`, how they reach a disk is `store.py`.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, Protocol, TypeVar

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


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

    def count(self, value: Hashable) -> int:
        return len(self._keys.get(value, ()))

    def changed(self, key: str, previous: R, record: R) -> None:
        if self.value_of(previous) != self.value_of(record):
            self.remove(key, previous)
            self.add(key, record)

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


class Watcher(Protocol[R_contra]):
    """What a table tells of its records: an index, an order, or the members of several tables."""

    def changed(self, key: str, previous: R_contra, record: R_contra) -> None: ...

    def add(self, key: str, record: R_contra) -> None: ...

    def remove(self, key: str, record: R_contra) -> None: ...

    def clear(self) -> None: ...


class Order(Generic[R]):
    """All records sorted by a value of theirs and then by key, so that a page starts anywhere without a scan."""

    def __init__(self, value_of: Callable[[R], Any]) -> None:  # Any: anything that can be compared
        self.value_of = value_of
        self._places: list[tuple[Any, str]] = []

    def last(self, count: int, before: tuple[Any, str] | None = None) -> list[tuple[Any, str]]:
        """The places of up to `count` records before that place, the highest first."""
        end = len(self._places) if before is None else bisect_left(self._places, before)
        return self._places[max(0, end - count) : end][::-1]

    def changed(self, key: str, previous: R, record: R) -> None:
        if self.value_of(previous) != self.value_of(record):
            self.remove(key, previous)
            self.add(key, record)

    def add(self, key: str, record: R) -> None:
        insort(self._places, (self.value_of(record), key))

    def remove(self, key: str, record: R) -> None:
        del self._places[bisect_left(self._places, (self.value_of(record), key))]

    def clear(self) -> None:
        self._places.clear()


class Members:
    """Whoever is named in records of several tables, each once, sorted."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()
        self._sorted: list[str] = []

    def after(self, member: str, count: int) -> list[str]:
        """Up to `count` members that come after that text."""
        start = bisect_right(self._sorted, member)
        return self._sorted[start : start + count]

    def of(self, value_of: Callable[[R], str]) -> "Membership[R]":
        """What one table contributes."""
        return Membership(self, value_of)

    def named(self, member: str) -> None:
        self._times[member] += 1
        if self._times[member] == 1:
            insort(self._sorted, member)

    def forgotten(self, member: str) -> None:
        self._times[member] -= 1
        if not self._times[member]:
            del self._times[member]
            del self._sorted[bisect_left(self._sorted, member)]

    def clear(self) -> None:
        self._times.clear()
        self._sorted.clear()

    def __contains__(self, member: str) -> bool:
        return member in self._times

    def __len__(self) -> int:
        return len(self._sorted)


class Membership(Generic[R]):
    """One table's share in `Members`; a table that is cleared clears all, because a world is cleared as a whole."""

    def __init__(self, members: Members, value_of: Callable[[R], str]) -> None:
        self._members, self._value_of = members, value_of

    def changed(self, key: str, previous: R, record: R) -> None:
        before, now = self._value_of(previous), self._value_of(record)
        if before != now:
            self._members.named(now)
            self._members.forgotten(before)

    def add(self, key: str, record: R) -> None:
        self._members.named(self._value_of(record))

    def remove(self, key: str, record: R) -> None:
        self._members.forgotten(self._value_of(record))

    def clear(self) -> None:
        self._members.clear()


class Table(Generic[R]):
    """Records by their key, oldest first; `kind` names the table in the journal."""

    def __init__(self, kind: str, record_type: type[R], key_of: Callable[[R], str], journal: Journal) -> None:
        self.kind = kind
        self.record_type = record_type
        self._key_of = key_of
        self._journal = journal
        self._records: dict[str, R] = {}
        self._watchers: list[Watcher[R]] = []

    def index(self, value_of: Callable[[R], Hashable]) -> Index[R]:
        """Add an index; before the first record."""
        index = Index(value_of)
        self._watchers.append(index)
        return index

    def order(self, value_of: Callable[[R], Any]) -> Order[R]:
        """Add an order; before the first record."""
        order = Order(value_of)
        self._watchers.append(order)
        return order

    def tell(self, watcher: Watcher[R]) -> None:
        """Tell someone of every record; before the first one."""
        self._watchers.append(watcher)

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
        for watcher in self._watchers:
            if previous is None:
                watcher.add(key, record)
            else:
                watcher.changed(key, previous, record)

    def delete(self, key: str) -> None:
        """Remove a record if it is there."""
        record = self._records.pop(key, None)
        if record is None:
            return
        self._journal.delete(self.kind, key)
        for watcher in self._watchers:
            watcher.remove(key, record)

    def get(self, key: str) -> R | None:
        return self._records.get(key)

    def where(self, index: Index[R], value: Hashable) -> list[R]:
        """Records with that value in the index, oldest first."""
        return [self._records[key] for key in index.keys(value)]

    def clear(self) -> None:
        """Forget everything, without a word in the journal."""
        self._records.clear()
        for watcher in self._watchers:
            watcher.clear()

    def __iter__(self) -> Iterator[R]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: str) -> bool:
        return key in self._records

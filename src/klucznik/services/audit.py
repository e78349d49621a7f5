"""The audit log: recorded in the very transaction of what it tells of, verified and exported page by page.

Each subject has its own chain; a row holds the MAC of the row before it, and a chain's head is sealed on its own.
The keys are derived from the vault's data keys, so that write access to the database alone forges nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from klucznik.domain.audit import (
    INSTALLATION,
    Entry,
    Head,
    Place,
    Record,
    Wanted,
    canonical_facts,
    chain_of,
    company_of,
    head_bytes,
    moment,
    row_bytes,
)
from klucznik.domain.environments import Environment
from klucznik.domain.events import happenings
from klucznik.domain.identifiers import Subject
from klucznik.errors import InputError
from klucznik.keys.vault import Vault
from klucznik.storage import audit, events

if TYPE_CHECKING:
    from klucznik.services.installation import Installation

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_REMEMBERED = 10_000


def record(installation: Installation, connection: Connection, subject: Subject | None, *entries: Entry) -> None:
    """Part of the transaction that does what `entries` tell of. What of it is public becomes events.

    Args:
        subject: whose chain; None: that of the installation.
    """
    chain = INSTALLATION if subject is None else chain_of(installation.environment, subject)
    actor, now = installation.actor or installation.owner, installation.clock.now()
    pen = Pen(installation.vault, actor, installation.heads)
    pen.write(connection, chain, entries, now=now, environment=installation.environment)
    events.add(connection, installation.environment, happenings(subject, entries), actor=actor, now=now)


@dataclass(frozen=True)
class Pen:
    """Adds rows to chains.

    Attributes:
        heads: those that this process has written last. A guess, which saves asking: the database has the last word.
    """

    vault: Vault
    actor: str
    heads: dict[str, Head] = field(default_factory=dict)

    def write(
        self,
        connection: Connection,
        chain: str,
        entries: Sequence[Entry],
        *,
        now: datetime,
        environment: Environment | None = None,
    ) -> None:
        """Add what `entries` tell of.

        Args:
            environment: where the companies are that they name; None: they name none.
        """
        told = [(entry, _company(entry, environment)) for entry in entries]
        seen = self.heads.get(chain)
        if seen is not None and self._extend(connection, seen, told, now, whole=True):
            return
        seen = audit.head_to_extend(connection, chain)
        # A head that somebody has changed is never sealed again, lest the next row hide what was cut off before it.
        whole = seen.number == 0 or _seal_holds(self.vault, seen)
        self._extend(connection, seen, told, now, whole=whole)

    def _extend(
        self,
        connection: Connection,
        seen: Head,
        told: Sequence[tuple[Entry, str | None]],
        now: datetime,
        *,
        whole: bool,
    ) -> bool:
        at, key_id, previous = moment(now), self.vault.current_key_id, seen.mac
        rows: list[tuple[Record, str | None]] = []
        for number, (entry, company) in enumerate(told, seen.number + 1):
            facts = canonical_facts(entry.facts)
            row = Record(
                seen.chain, number, at, self.actor, entry.event.value, entry.issuance_id, facts, key_id, previous
            )
            previous = self.vault.mac(row_bytes(row), key_id)
            rows.append((row._replace(mac=previous), company))
        head = Head(seen.chain, seen.number + len(rows), key_id, previous)
        if whole:
            head = head._replace(seal=self.vault.mac(head_bytes(head), key_id))
        if not audit.extend(connection, rows, head, seen=seen):
            return False
        if len(self.heads) >= _REMEMBERED:
            self.heads.clear()
        if whole:
            self.heads[seen.chain] = head
        return True


def _company(entry: Entry, environment: Environment | None) -> str | None:
    """The company that an entry names; None: that of its issuance, if any."""
    context = entry.facts.get("context")
    return company_of(environment, context) if environment is not None and isinstance(context, str) else None


def _seal_holds(vault: Vault, head: Head) -> bool:
    return vault.knows(head.key_id) and hmac.compare_digest(vault.mac(head_bytes(head), head.key_id), head.seal)


class Flaw(StrEnum):
    """What is wrong at one place of the log."""

    ROW_CHANGED = "row_changed"
    ROW_MISSING = "row_missing"
    KEY_UNKNOWN = "key_unknown"
    END_CUT_OFF = "end_cut_off"  # the head tells of rows that are not there
    HEAD_CHANGED = "head_changed"
    HEAD_MISSING = "head_missing"
    BEHIND_THE_HEAD = "behind_the_head"  # rows after the one that the head names
    NOT_AS_EXPORTED = "not_as_exported"


@dataclass(frozen=True)
class Broken:
    """The first place of a chain where it is not what was recorded."""

    chain: str
    number: int
    flaw: Flaw


@dataclass(frozen=True)
class Verified:
    """What a look through the whole log has found; `broken` names at most `MOST` chains."""

    chains: int
    rows: int
    compared: int
    broken: tuple[Broken, ...]


MOST = 20


async def verify(installation: Installation, known: Iterable[Head] = ()) -> Verified:
    """Look through the whole log, as it stands at one moment.

    Args:
        known: heads that were exported earlier; each must still be there.
    """
    return await installation.database.survey(lambda connection: _verify(connection, installation.vault, known))


def _verify(connection: Connection, vault: Vault, known: Iterable[Head]) -> Verified:
    broken: list[Broken] = []
    chains = rows = compared = 0
    for head in audit.heads(connection):
        chains += 1
        found = _Chain(vault, head)
        broken += [flaw for flaw in [found.first_flaw(audit.rows_of(connection, head.chain))] if flaw]
        rows += found.rows
        del broken[MOST:]
    if orphan := audit.without_head(connection):
        broken.append(Broken(orphan.chain, orphan.number, Flaw.HEAD_MISSING))
    for head in known:
        compared += 1
        row = audit.row_at(connection, head.chain, head.number)
        if (row is None or row.mac != head.mac) and len(broken) < MOST:
            broken.append(Broken(head.chain, head.number, Flaw.NOT_AS_EXPORTED))
    return Verified(chains, rows, compared, tuple(broken))


class _Chain:
    """One chain, row by row."""

    def __init__(self, vault: Vault, head: Head) -> None:
        self._vault, self._head = vault, head
        self.rows = 0

    def first_flaw(self, rows: Iterable[Record]) -> Broken | None:
        head, previous, mac_at_head = self._head, b"", b""
        for row in rows:
            self.rows += 1
            if row.number != self.rows:
                return self._at(self.rows, Flaw.ROW_MISSING)
            if row.number > head.number:
                return self._at(row.number, Flaw.BEHIND_THE_HEAD)
            if (flaw := self._flaw_of(row, previous)) is not None:
                return self._at(row.number, flaw)
            previous = mac_at_head = row.mac
        if self.rows < head.number:
            return self._at(self.rows + 1, Flaw.END_CUT_OFF)
        if not _seal_holds(self._vault, head) or head.mac != mac_at_head:
            return self._at(head.number, Flaw.HEAD_CHANGED)
        return None

    def _flaw_of(self, row: Record, previous: bytes) -> Flaw | None:
        if not self._vault.knows(row.key_id):
            return Flaw.KEY_UNKNOWN
        mac = self._vault.mac(row_bytes(row), row.key_id)
        if row.previous != previous or not hmac.compare_digest(mac, row.mac):
            return Flaw.ROW_CHANGED
        return None

    def _at(self, number: int, flaw: Flaw) -> Broken:
        return Broken(self._head.chain, number, flaw)


PAGE = 100


async def newest(installation: Installation, *, after: str = "") -> list[Record]:
    """A page of the log, the newest first.

    Args:
        after: ``chain/number`` of the last row of the page before; what is no such row begins anew.
    """
    chain, _, number = after.rpartition("/")

    def read(connection: Connection) -> list[Record]:
        # Nine digits: what the database can compare.
        known = number.isascii() and number.isdigit() and len(number) < 10
        before = audit.row_at(connection, chain, int(number)) if known else None
        return audit.newest(connection, Wanted(), limit=PAGE, before=None if before is None else before.place)

    return await installation.database.read(read)


def mark_of(row: Record) -> bytes:
    """Names a row to those who may know neither its chain nor its number; whoever has not seen it cannot guess it."""
    return row.mac[: audit.MARK_BYTES]


async def place_of(installation: Installation, at: str, mark: bytes) -> Place:
    """Where the row of that moment and that mark stands; raises InputError ``cursor_malformed``."""
    found = await installation.database.read(lambda connection: audit.marked(connection, at, mark))
    if found is None:
        raise InputError("cursor_malformed")
    return found


async def page(installation: Installation, wanted: Wanted, *, before: Place | None, size: int) -> list[Record]:
    """A page of those rows of the log that are wanted, the newest first.

    Args:
        before: where the last row of the page before stands.
    """
    return await installation.database.read(
        lambda connection: audit.newest(connection, wanted, limit=size, before=before)
    )


async def export(
    installation: Installation, tell: Callable[[Record | Head], None], *, since: datetime | None = None
) -> int:
    """Tell every row from a moment on, and then the head of every chain; how many rows there were.

    `tell` is called in the middle of a transaction that sees the log at one moment; on PostgreSQL on another thread.
    """

    def read(connection: Connection) -> int:
        rows = 0
        for row in audit.since(connection, moment(since or _BEGINNING)):
            rows += 1
            tell(row)
        for head in audit.heads(connection):
            tell(head)
        return rows

    return await installation.database.read(read)

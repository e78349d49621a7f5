"""Rows and heads of the audit log. Rows are only ever added; what they mean and what seals them is not known here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, func, literal, select, tuple_

from klucznik.domain.audit import Head, Place, Record, Wanted
from klucznik.storage.schema import audit_heads, audit_log
from klucznik.storage.written_out import in_words_of

_PAGE = 500
# How much of its MAC tells a row from every other.
MARK_BYTES = 16
_COLUMNS = tuple(audit_log.c[name] for name in Record._fields)

# With every step of an issuance.
_HEAD = "SELECT chain, number, key_id, mac, seal FROM audit_heads WHERE chain = ?"
_FIRST_HEAD = "INSERT INTO audit_heads (chain, number, key_id, mac, seal) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_LAST = "SELECT number, key_id, mac FROM audit_log WHERE chain = ? ORDER BY number DESC LIMIT 1"
_ADD = (
    "INSERT INTO audit_log (chain, number, at, actor, event, issuance_id, facts, key_id, previous, mac, company)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
    " COALESCE(?, (SELECT environment || ':' || context_value FROM issuances WHERE id = ?)))"
)
_MOVE_HEAD = (
    "UPDATE audit_heads SET number = ?, key_id = ?, mac = ?, seal = ? WHERE chain = ? AND number = ? AND mac = ?"
)


def head_to_extend(connection: Connection, chain: str) -> Head:
    """The head of a chain, or that of an empty one. Until the transaction ends nobody else extends this chain."""
    query = in_words_of(connection, _HEAD)
    if connection.dialect.name == "postgresql":
        query += " FOR UPDATE"
    row = connection.exec_driver_sql(query, (chain,)).one_or_none()
    if row is None:
        first = _found_without_head(connection, chain)
        connection.exec_driver_sql(in_words_of(connection, _FIRST_HEAD), first)
        row = connection.exec_driver_sql(query, (chain,)).one()
    return Head._make(row)


def _found_without_head(connection: Connection, chain: str) -> Head:
    """Of an empty chain; where somebody has taken the head away, one without a seal at the last row."""
    last = connection.exec_driver_sql(in_words_of(connection, _LAST), (chain,)).one_or_none()
    return Head(chain, 0, "", b"") if last is None else Head(chain, last.number, last.key_id, last.mac)


def extend(connection: Connection, records: Sequence[tuple[Record, str | None]], head: Head, *, seen: Head) -> bool:
    """Add rows after `seen` and make `head` the head; False, and nothing is done, where `seen` is the head no more.

    Args:
        records: with each, the company it tells of; None: that of its issuance, where it has one.
    """
    move = (head.number, head.key_id, head.mac, head.seal, seen.chain, seen.number, seen.mac)
    if connection.exec_driver_sql(in_words_of(connection, _MOVE_HEAD), move).rowcount != 1:
        return False
    add = in_words_of(connection, _ADD)
    rows = [(*record, company, record.issuance_id) for record, company in records]
    connection.exec_driver_sql(add, rows[0] if len(rows) == 1 else rows)
    return True


def heads(connection: Connection) -> Iterator[Head]:
    """The heads of all chains, page by page."""
    query, last = select(audit_heads).order_by(audit_heads.c.chain), ""
    while True:
        rows = connection.execute(query.where(audit_heads.c.chain > last).limit(_PAGE)).all()
        yield from map(_head, rows)
        if len(rows) < _PAGE:
            return
        last = rows[-1].chain


def rows_of(connection: Connection, chain: str) -> Iterator[Record]:
    """The rows of a chain in their order, page by page."""
    query, last = select(*_COLUMNS).where(audit_log.c.chain == chain).order_by(audit_log.c.number), None
    while True:
        found = query if last is None else query.where(audit_log.c.number > last)
        rows = connection.execute(found.limit(_PAGE)).all()
        yield from map(_record, rows)
        if len(rows) < _PAGE:
            return
        last = rows[-1].number


def row_at(connection: Connection, chain: str, number: int) -> Record | None:
    row = connection.execute(
        select(*_COLUMNS).where(audit_log.c.chain == chain, audit_log.c.number == number)
    ).one_or_none()
    return None if row is None else _record(row)


def marked(connection: Connection, at: str, mark: bytes) -> Place | None:
    """The place of the row of that moment whose MAC begins so."""
    table = audit_log
    wanted = (table.c.at == at, func.substr(table.c.mac, 1, MARK_BYTES) == mark)
    row = connection.execute(select(table.c.at, table.c.chain, table.c.number).where(*wanted)).first()
    return None if row is None else Place(*row)


def of_issuance(connection: Connection, chain: str, issuance_id: str, event: str) -> list[Record]:
    """What is told of one issuance by one kind of event, in its order."""
    table = audit_log
    wanted = (table.c.chain == chain, table.c.issuance_id == issuance_id, table.c.event == event)
    return [_record(row) for row in connection.execute(select(*_COLUMNS).where(*wanted).order_by(table.c.number))]


def since(connection: Connection, at: str) -> Iterator[Record]:
    """Rows of all chains from a moment on, chain by chain, page by page."""
    table = audit_log
    query: Select[Any] = select(*_COLUMNS).where(table.c.at >= at).order_by(table.c.chain, table.c.number)
    last: Record | None = None
    while True:
        found = query
        if last is not None:
            same = (table.c.chain == last.chain) & (table.c.number > last.number)
            found = query.where((table.c.chain > last.chain) | same)
        rows = connection.execute(found.limit(_PAGE)).all()
        for row in rows:
            last = _record(row)
            yield last
        if len(rows) < _PAGE:
            return


def newest(connection: Connection, wanted: Wanted, *, limit: int, before: Place | None = None) -> list[Record]:
    """A page of rows of all chains, the newest first, from behind `before` on."""
    table = audit_log
    place = (table.c.at, table.c.chain, table.c.number)
    query = select(*_COLUMNS).order_by(*(column.desc() for column in place)).limit(limit)
    if before is not None:
        query = query.where(tuple_(*place) < before)
    if wanted.company is not None:
        query = query.where(table.c.company == wanted.company)
    if wanted.event is not None:
        # Beside a company no index is asked for it: the few rows of that company are looked through.
        event = table.c.event if wanted.company is None else table.c.event + literal("")
        query = query.where(event == wanted.event.value)
    if wanted.since is not None:
        query = query.where(table.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(table.c.at < wanted.until)
    return [_record(row) for row in connection.execute(query)]


def without_head(connection: Connection) -> Record | None:
    """A row whose chain has no head."""
    row = connection.execute(
        select(*_COLUMNS)
        .outerjoin(audit_heads, audit_heads.c.chain == audit_log.c.chain)
        .where(audit_heads.c.chain.is_(None))
        .order_by(audit_log.c.chain, audit_log.c.number)
        .limit(1)
    ).one_or_none()
    return None if row is None else _record(row)


def _record(row: Row[Any]) -> Record:
    return Record._make(row)


def _head(row: Row[Any]) -> Head:
    return Head._make(row)

"""Connections as the board asks for them: any order, any filter, paged by key, each page from an index.

The columns are kept by `connection_dates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, Select, func, literal_column, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from klucznik.domain.board import Order, Wanted
from klucznik.domain.connections import Connection, Method
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import ContextType
from klucznik.storage import connections as stored
from klucznik.storage.connection_dates import PLACES, known
from klucznik.storage.schema import connections

_NIP_LENGTH = 10
_COLUMNS = {
    Order.URGENT: connections.c.attention_from,
    Order.NEXT: connections.c.act_at,
    Order.NAME: connections.c.search_name,
    Order.HEALTH: connections.c.severity,
}


@dataclass(frozen=True)
class Place:
    """Where a row stands in an order: after it the next page begins.

    Attributes:
        key: what is sorted by; None: by the company alone, which decides between equals everywhere.
    """

    key: str | int | datetime | None
    context_type: str
    context_value: str


@dataclass(frozen=True)
class Placed:
    """A row of the board.

    Attributes:
        act_at, ends_at: as in `domain.dates.Dates`; None: never.
    """

    connection: Connection
    place: Place
    act_at: datetime | None
    ends_at: datetime | None


def page(
    transaction: Transaction,
    environment: Environment,
    wanted: Wanted,
    order: Order,
    *,
    after: Place | None,
    size: int,
    now: datetime,
) -> list[Placed]:
    """A page in an order; `after` is where the last one of the page before stands."""
    query = _wanted(select(connections), environment, wanted, order, now)
    place = _place(wanted, order)
    if after is not None:
        key = () if order is Order.NIP else (after.key,)
        query = query.where(tuple_(*place) > (*key, after.context_type, after.context_value))
    return [_placed(row, order) for row in transaction.execute(query.order_by(*place).limit(size))]


def count(transaction: Transaction, environment: Environment, wanted: Wanted, *, most: int, now: datetime) -> int:
    """How many there are; counted no further than `most`."""
    some = _wanted(select(literal_column("1")), environment, wanted, Order.URGENT, now).limit(most).subquery()
    return transaction.execute(select(func.count()).select_from(some)).scalar_one()


def between(
    transaction: Transaction,
    environment: Environment,
    *,
    ends: bool,
    from_: datetime,
    to: datetime,
    after: Place | None,
    inclusive: bool,
    size: int,
    nip: str | None = None,
) -> list[Placed]:
    """Connections with a date in a span of time, in the order of their dates.

    Args:
        ends: by what ends; False: by when certificates are due for renewal.
        from_, to: the span, without `to`.
        inclusive: begin at `after`, not behind it.
    """
    column = connections.c.ends_at if ends else connections.c.act_at
    place = (column, connections.c.context_type, connections.c.context_value)
    query = select(connections).where(connections.c.environment == environment.value, column >= from_, column < to)
    if not ends:
        query = query.where(connections.c.method != Method.TOKEN.value)  # nobody renews a token
    if nip is not None:
        query = query.where(*_company(nip))
    if after is not None:
        here, there = tuple_(*place), (after.key, after.context_type, after.context_value)
        query = query.where(here >= there if inclusive else here > there)
    rows = transaction.execute(query.order_by(*place).limit(size))
    return [_with_key(row, row.ends_at if ends else row.act_at) for row in rows]


def _wanted(query: Select[Any], environment: Environment, wanted: Wanted, order: Order, now: datetime) -> Select[Any]:
    some = _few(wanted, order)
    query = query.where(connections.c.environment == environment.value)
    if wanted.nip is not None:
        query = query.where(*_company(wanted.nip))
    if wanted.nip_begins is not None:
        last = wanted.nip_begins.ljust(_NIP_LENGTH, "9")
        query = query.where(
            connections.c.context_type == ContextType.NIP.value,
            connections.c.context_value.between(wanted.nip_begins, last),
        )
    if wanted.name_has is not None:
        query = query.where(connections.c.search_name.contains(wanted.name_has, autoescape=True))
    if wanted.method is not None:
        query = query.where(_unless(some, connections.c.method) == wanted.method.value)
    if wanted.health is not None:
        query = query.where(_unless(some, connections.c.severity) == PLACES[wanted.health])
    if wanted.attention:
        query = query.where(connections.c.attention_from <= now)
    if wanted.ends_within is not None:
        query = query.where(connections.c.ends_at <= now + wanted.ends_within)
    return query


def _few(wanted: Wanted, order: Order) -> bool:
    """Whether a filter names a span of another index than the order's: those few are found by it, and then sorted."""
    spans = wanted.ends_within is not None or wanted.nip is not None
    spans = spans or (wanted.attention and order is not Order.URGENT)
    return spans or (wanted.nip_begins is not None and order is not Order.NIP)


def _place(wanted: Wanted, order: Order) -> tuple[ColumnElement[Any], ...]:
    few = _few(wanted, order)
    keys = [] if order is Order.NIP else [_COLUMNS[order]]
    return tuple(_unless(few, one) for one in (*keys, connections.c.context_type, connections.c.context_value))


def _unless(few: bool, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column; where few rows are found otherwise, as no index has it: SQLite cannot tell which finds fewer."""
    return func.coalesce(column, column) if few else column


def _company(nip: str) -> tuple[ColumnElement[bool], ...]:
    return connections.c.context_type == ContextType.NIP.value, connections.c.context_value == nip


def _placed(row: Row[Any], order: Order) -> Placed:
    return _with_key(row, None if order is Order.NIP else getattr(row, _COLUMNS[order].name))


def _with_key(row: Row[Any], key: str | int | datetime | None) -> Placed:
    place = Place(key, row.context_type, row.context_value)
    return Placed(stored.from_row(row), place, known(row, "act_at"), known(row, "ends_at"))

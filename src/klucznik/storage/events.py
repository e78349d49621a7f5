"""Events as rows: added with what they tell of, given their number later, read by it.

Transactions of PostgreSQL end in another order than they began, so whatever is counted while they run cannot be read
by a cursor: a row may still appear before the last one that was read. So an event has no number at first. Numbers are
given to rows that are committed, by one transaction at a time, each above all before: nothing appears below a number
that anybody has seen. SQLite, with its one writer, does the same.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, exists, func, select, update

from klucznik.domain.environments import Environment
from klucznik.domain.events import Choice, Happening, PublicEvent
from klucznik.storage.races import add_unless_there, alone_or_not
from klucznik.storage.schema_people import events, webhook_deliveries
from klucznik.storage.written_out import as_moment, in_words_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# With every step of an issuance. Where the company is not said, it is that of the issuance.
_ADD = (
    "INSERT INTO events (id, environment, at, kind, issuance_id, actor, data, context_value)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, COALESCE(?, (SELECT context_value FROM issuances WHERE id = ?)))"
)
_NUMBER = update(events).where(events.c.id == bindparam("of")).values(number=bindparam("place"))
_UNNUMBERED = (
    select(events)
    .where(events.c.environment == bindparam("where"), events.c.number.is_(None))
    .order_by(events.c.id)
    .limit(bindparam("most"))
)
_ANY_UNNUMBERED = select(exists().where(events.c.environment == bindparam("where"), events.c.number.is_(None)))


def add(
    connection: Connection,
    environment: Environment,
    happenings: Sequence[Happening],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Part of the transaction that does what they tell of, in one statement."""
    at = as_moment(connection, now)
    rows = [
        (
            _id_at(now, place),
            environment.value,
            at,
            one.kind.value,
            one.issuance_id,
            actor,
            json.dumps(dict(one.data)),
            one.nip,
            one.issuance_id,
        )
        for place, one in enumerate(happenings)
    ]
    if rows:
        connection.exec_driver_sql(in_words_of(connection, _ADD), rows if len(rows) > 1 else rows[0])


def add_once(
    connection: Connection, environment: Environment, happenings: Sequence[Happening], *, actor: str, now: datetime
) -> None:
    """Add those that are not there yet, by what they are about (`Happening.once`)."""
    rows = [
        {
            "id": _id_about(environment, str(one.once)),
            "environment": environment.value,
            "at": now,
            "kind": one.kind.value,
            "context_value": one.nip,
            "issuance_id": one.issuance_id,
            "actor": actor,
            "data": dict(one.data),
        }
        for one in happenings
    ]
    add_unless_there(connection, events, rows)


def _id_at(now: datetime, place: int) -> str:
    """Sorts by time, and within a transaction by place."""
    return f"{_microseconds(now):014x}{place:04x}{secrets.token_hex(7)}"


def _id_about(environment: Environment, about: str) -> str:
    return hashlib.sha256(f"{environment.value} {about}".encode()).hexdigest()[:32]


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def any_unnumbered(connection: Connection, environment: Environment) -> bool:
    return bool(connection.execute(_ANY_UNNUMBERED, {"where": environment.value}).scalar_one())


def number(connection: Connection, environment: Environment, *, most: int, now: datetime) -> list[PublicEvent]:
    """Give numbers to committed events that have none, at most so many; none where somebody else is at it.

    The numbers follow the clock, so that after a restore from a backup no number comes that somebody has seen.
    """
    if not alone_or_not(connection, f"events {environment.value}"):
        return []
    rows = connection.execute(_UNNUMBERED, {"where": environment.value, "most": most}).all()
    if not rows:
        return []
    first = max(newest(connection, environment) + 1, _microseconds(now))
    places = [{"of": row.id, "place": first + place} for place, row in enumerate(rows)]
    connection.execute(_NUMBER, places)
    return [_event(row, each["place"]) for row, each in zip(rows, places, strict=True)]


def newest(connection: Connection, environment: Environment) -> int:
    """The highest number; 0 where there is none."""
    found = connection.execute(select(func.max(events.c.number)).where(events.c.environment == environment.value))
    return found.scalar_one() or 0


def page(
    connection: Connection, environment: Environment, *, after: int, size: int, choice: Choice
) -> list[PublicEvent]:
    """Events by their numbers, from the one after `after` on."""
    query = _chosen(environment, choice).where(events.c.number > after)
    return [_event(row, row.number) for row in connection.execute(query.order_by(events.c.number).limit(size))]


def since(connection: Connection, environment: Environment, *, number: int, choice: Choice, most: int) -> list[str]:
    """Ids of the events from a number on."""
    query = _chosen(environment, choice).where(events.c.number >= number)
    return [row.id for row in connection.execute(query.order_by(events.c.number).limit(most))]


def of_ids(connection: Connection, ids: Sequence[str]) -> dict[str, PublicEvent]:
    """Numbered events in one query."""
    rows = connection.execute(select(events).where(events.c.id.in_(ids)))
    return {row.id: _event(row, row.number) for row in rows}


def forget(connection: Connection, environment: Environment, *, before: datetime, most: int) -> int:
    """Forget old events, and their deliveries, at most so many; how many there were."""
    old = (
        select(events.c.id)
        .where(events.c.environment == environment.value, events.c.at < before, events.c.number.is_not(None))
        .order_by(events.c.at)
        .limit(most)
    )
    ids = list(connection.execute(old).scalars())
    if ids:
        connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.event_id.in_(ids)))
        connection.execute(delete(events).where(events.c.id.in_(ids)))
    return len(ids)


def _chosen(environment: Environment, choice: Choice) -> Select[Any]:
    query = select(events).where(events.c.environment == environment.value)
    if choice.nip is not None:
        query = query.where(events.c.context_value == choice.nip)
    if choice.kinds:
        query = query.where(events.c.kind.in_(sorted(choice.kinds)))
    return query


def _event(row: Row[Any], place: int) -> PublicEvent:
    return PublicEvent(row.id, place, row.at, row.kind, row.context_value, row.issuance_id, row.actor, row.data)

"""Connections. Every change says which version it saw; a stale one changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, Select, delete, insert, select, update

from klucznik.domain.connections import Connection, Health, Method
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, ContextType, Subject, SubjectType
from klucznik.errors import StorageError
from klucznik.storage import certificates, connection_dates, races
from klucznik.storage.schema import connections


def add(transaction: Transaction, connection: Connection, *, now: datetime) -> None:
    transaction.execute(insert(connections).values(**_values(connection, now), **_dated(transaction, connection)))


def add_unless_there(transaction: Transaction, these: Sequence[Connection], *, now: datetime) -> list[Connection]:
    """Add those whose company nobody has connected meanwhile, all at once; which those are. None is by certificate."""
    rows = [{**_values(one, now), **connection_dates.dated(one, [])} for one in these]
    races.add_unless_there(transaction, connections, rows)
    found = transaction.execute(select(connections.c.id).where(connections.c.id.in_([one.id for one in these])))
    added = set(found.scalars())
    return [one for one in these if one.id in added]


def among(transaction: Transaction, environment: Environment, contexts: Sequence[Context]) -> set[str]:
    """Of these companies, the numbers of those that are connected."""
    found = transaction.execute(
        select(connections.c.context_value).where(
            connections.c.environment == environment.value,
            connections.c.context_type == ContextType.NIP.value,
            connections.c.context_value.in_([one.value for one in contexts]),
        )
    )
    return set(found.scalars())


def save(transaction: Transaction, connection: Connection, *, now: datetime) -> Connection:
    """Save what has changed since `connection.version`; the saved connection comes back.

    Raises:
        StorageError: ``state_moved_on``: somebody else changed it meanwhile.
    """
    saved = replace(connection, version=connection.version + 1)
    changed = transaction.execute(
        update(connections)
        .where(connections.c.id == connection.id, connections.c.version == connection.version)
        .values(updated_at=now, **_changing(saved))
    )
    if changed.rowcount != 1:
        raise StorageError("state_moved_on", connection=connection.id)
    # After the row is ours: whoever changes a certificate meanwhile waits for it, and moves its dates once more.
    transaction.execute(update(connections).where(connections.c.id == saved.id).values(_dated(transaction, saved)))
    return saved


def name_the_nameless(
    transaction: Transaction, environment: Environment, context: Context, name: str, *, now: datetime
) -> None:
    """Give a connection the name that people call the company by, where it has none."""
    there = of_context(transaction, environment, context)
    if there is not None and there.name is None:
        save(transaction, replace(there, name=name), now=now)


def remove(transaction: Transaction, connection: Connection) -> None:
    """Forget a connection; its certificates stay in the vault."""
    transaction.execute(delete(connections).where(connections.c.id == connection.id))


def of_context(transaction: Transaction, environment: Environment, context: Context) -> Connection | None:
    row = transaction.execute(
        select(connections).where(
            connections.c.environment == environment.value,
            connections.c.context_type == context.type.value,
            connections.c.context_value == context.value,
        )
    ).one_or_none()
    return None if row is None else from_row(row)


def names_of(transaction: Transaction, environment: Environment, nips: Collection[str]) -> dict[str, str]:
    """What people call these companies, where they have said."""
    rows = transaction.execute(
        select(connections.c.context_value, connections.c.name).where(
            connections.c.environment == environment.value,
            connections.c.context_type == ContextType.NIP.value,
            connections.c.context_value.in_(list(nips)),
            connections.c.name.is_not(None),
        )
    )
    return {row.context_value: row.name for row in rows}


def of_subject(
    transaction: Transaction, environment: Environment, subject: Subject, *, most: int | None = None
) -> list[Connection]:
    """The companies for which this subject signs in; no more than `most`."""
    rows = transaction.execute(
        select(connections)
        .where(
            connections.c.environment == environment.value,
            connections.c.subject_type == subject.type.value,
            connections.c.subject_value == subject.value,
        )
        .order_by(connections.c.context_value, connections.c.id)
        .limit(most)
    )
    return [from_row(row) for row in rows]


def page(
    transaction: Transaction,
    environment: Environment,
    *,
    size: int,
    after: Context | None = None,
    method: Method | None = None,
) -> list[Connection]:
    """Connections by their context; `after` is that of the last one of the page before."""
    rows = transaction.execute(_further(environment, after, method).limit(size))
    return [from_row(row) for row in rows]


def next_to_be_checked(
    transaction: Transaction,
    environment: Environment,
    methods: Sequence[Method],
    *,
    looked_at_before: datetime,
    awaited_before: datetime,
    after: Connection | None,
) -> Connection | None:
    """The next one by its context that was looked at last before a moment; a grant is awaited more impatiently.

    Args:
        after: the one before it in this round.
    """
    awaited = connections.c.health == Health.AWAITING_GRANT.value
    query = _further(environment, None if after is None else after.context, None).where(
        connections.c.method.in_([one.value for one in methods]),
        connections.c.checked_at.is_(None)
        | (connections.c.checked_at < looked_at_before)
        | (awaited & (connections.c.checked_at < awaited_before)),
    )
    row = transaction.execute(query.limit(1)).one_or_none()
    return None if row is None else from_row(row)


def _further(environment: Environment, after: Context | None, method: Method | None) -> Select[Any]:
    """By context, from the one after `after` on."""
    query = select(connections).where(connections.c.environment == environment.value)
    if method is not None:
        query = query.where(connections.c.method == method.value)
    if after is not None:
        kind, value = after.type.value, after.value
        further = (connections.c.context_type == kind) & (connections.c.context_value > value)
        query = query.where((connections.c.context_type > kind) | further)
    return query.order_by(connections.c.context_type, connections.c.context_value)


def _dated(transaction: Transaction, connection: Connection) -> dict[str, Any]:
    subject = connection.subject if connection.method.is_by_certificate else None
    held = [] if subject is None else certificates.of_subject(transaction, connection.environment, subject)
    return connection_dates.dated(connection, held)


def _values(connection: Connection, now: datetime) -> dict[str, Any]:
    return {
        "id": connection.id,
        "environment": connection.environment.value,
        "context_type": connection.context.type.value,
        "context_value": connection.context.value,
        "created_at": connection.created_at,
        "updated_at": now,
        **_changing(connection),
    }


def _changing(connection: Connection) -> dict[str, Any]:
    subject = connection.subject
    return {
        "name": connection.name,
        "method": connection.method.value,
        "subject_type": None if subject is None else subject.type.value,
        "subject_value": None if subject is None else subject.value,
        "health": connection.health.value,
        "health_since": connection.health_since,
        "health_code": connection.health_code,
        "checked_at": connection.checked_at,
        "deploy_hook": connection.deploy_hook,
        "revokes_superseded": connection.revokes_superseded,
        "version": connection.version,
        **connection_dates.searched(connection),
    }


def from_row(row: Row[Any]) -> Connection:
    subject = None if row.subject_type is None else Subject(SubjectType(row.subject_type), row.subject_value)
    return Connection(
        id=row.id,
        environment=Environment(row.environment),
        context=Context(ContextType(row.context_type), row.context_value),
        method=Method(row.method),
        subject=subject,
        health=Health(row.health),
        health_since=row.health_since,
        created_at=row.created_at,
        name=row.name,
        health_code=row.health_code,
        checked_at=row.checked_at,
        deploy_hook=row.deploy_hook,
        revokes_superseded=row.revokes_superseded,
        version=row.version,
    )

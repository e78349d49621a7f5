"""Webhooks and their deliveries. A delivery is claimed before it is sent, so that two workers never send the same one;
who claimed it and does not come back has lost it when the claim runs out."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, tuple_, union_all, update

from klucznik.domain.environments import Environment
from klucznik.domain.webhooks import Delivery, DeliveryState, Disabled, Problem, Webhook
from klucznik.errors import StorageError
from klucznik.storage.races import add_unless_there, alone_or_not
from klucznik.storage.schema_people import webhook_deliveries, webhooks


def add(transaction: Connection, webhook: Webhook) -> None:
    transaction.execute(
        insert(webhooks).values(
            id=webhook.id,
            environment=webhook.environment.value,
            url=webhook.url,
            nip=webhook.nip,
            created_by=webhook.created_by,
            created_at=webhook.created_at,
            **_changing(webhook),
        )
    )


def save(transaction: Connection, webhook: Webhook) -> Webhook:
    """Save what has changed since `webhook.version`.

    Raises:
        StorageError: ``state_moved_on``: somebody else changed it meanwhile.
    """
    saved = replace(webhook, version=webhook.version + 1)
    changed = transaction.execute(
        update(webhooks)
        .where(webhooks.c.id == webhook.id, webhooks.c.version == webhook.version)
        .values(**_changing(saved))
    )
    if changed.rowcount != 1:
        raise StorageError("state_moved_on", webhook=webhook.id)
    return saved


def remove(transaction: Connection, webhook_id: str) -> None:
    transaction.execute(delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id))
    transaction.execute(delete(webhooks).where(webhooks.c.id == webhook_id))


def load(transaction: Connection, environment: Environment, webhook_id: str) -> Webhook | None:
    row = transaction.execute(
        select(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.environment == environment.value)
    ).one_or_none()
    return None if row is None else _webhook(row)


def listed(
    transaction: Connection, environment: Environment, *, nip: str | None = None, enabled: bool = False
) -> list[Webhook]:
    """All of them, the oldest first; there are never many.

    Args:
        nip: only those bound to this company.
        enabled: only those that something is sent to.
    """
    query = select(webhooks).where(webhooks.c.environment == environment.value)
    if nip is not None:
        query = query.where(webhooks.c.nip == nip)
    if enabled:
        query = query.where(webhooks.c.disabled_at.is_(None))
    return [_webhook(row) for row in transaction.execute(query.order_by(webhooks.c.created_at, webhooks.c.id))]


def count(transaction: Connection, environment: Environment) -> int:
    query = select(func.count()).select_from(webhooks).where(webhooks.c.environment == environment.value)
    return transaction.execute(query).scalar_one()


def add_deliveries(transaction: Connection, pairs: Sequence[tuple[str, str]], *, now: datetime) -> None:
    """Deliveries of events to webhooks (pairs of their ids), due now; those that are there stay as they are.

    Their moments differ by microseconds, so that they are listed in the order of their events.
    """
    rows = [
        {
            "id": f"msg_{secrets.token_hex(14)}",
            "webhook_id": webhook_id,
            "event_id": event_id,
            "state": DeliveryState.WAITING.value,
            "attempts": 0,
            "due_at": now,
            "created_at": now + timedelta(microseconds=place),
            "asked_at": now,
            "version": 1,
        }
        for place, (webhook_id, event_id) in enumerate(pairs)
    ]
    add_unless_there(transaction, webhook_deliveries, rows)


def ask_again(
    transaction: Connection,
    webhook_id: str,
    *,
    now: datetime,
    delivery_id: str | None = None,
    event_ids: Sequence[str] = (),
) -> int:
    """Deliveries that have been made or not are due once more, with the ids they have; how many."""
    one = webhook_deliveries.c.id == delivery_id
    again = transaction.execute(
        update(webhook_deliveries)
        .where(
            webhook_deliveries.c.webhook_id == webhook_id,
            or_(one, webhook_deliveries.c.event_id.in_(list(event_ids))),
        )
        .values(
            state=DeliveryState.WAITING.value,
            attempts=0,
            due_at=now,
            asked_at=now,
            ended_at=None,
            version=webhook_deliveries.c.version + 1,
        )
    )
    return again.rowcount


def drop(transaction: Connection, webhook_id: str, *, now: datetime) -> None:
    """What waits for a webhook is not sent any more."""
    transaction.execute(
        update(webhook_deliveries)
        .where(webhook_deliveries.c.webhook_id == webhook_id, webhook_deliveries.c.due_at.is_not(None))
        .values(state=DeliveryState.DROPPED.value, due_at=None, ended_at=now, version=webhook_deliveries.c.version + 1)
    )


def claim(
    transaction: Connection,
    environment: Environment,
    *,
    each: int,
    now: datetime,
    until: datetime,
    besides: Collection[str] = (),
) -> list[tuple[Webhook, Delivery]]:
    """Take due deliveries, at most so many of each webhook. Nobody else is given them before `until`.

    Args:
        besides: none of these webhooks.
    """
    if not alone_or_not(transaction, f"deliveries {environment.value}"):
        return []
    ready = [one for one in _ready(transaction, environment, now) if one.id not in besides]
    if not ready:
        return []
    due = webhook_deliveries.c.due_at
    firsts = [
        select(
            select(webhook_deliveries)
            .where(webhook_deliveries.c.webhook_id == one.id, due <= now)
            .order_by(due)
            # While nothing is accepted there, one knocks for all.
            .limit(each if one.failing_since is None else 1)
            .subquery()
        )
        for one in ready
    ]
    rows = transaction.execute(union_all(*firsts)).all()
    taken = [_delivery(row) for row in rows]
    if taken:
        transaction.execute(
            update(webhook_deliveries)
            .where(webhook_deliveries.c.id.in_([one.id for one in taken]))
            .values(due_at=until, attempts=webhook_deliveries.c.attempts + 1, version=webhook_deliveries.c.version + 1)
        )
    of = {one.id: one for one in ready}
    claimed = (replace(one, due_at=until, attempts=one.attempts + 1, version=one.version + 1) for one in taken)
    return [(of[one.webhook_id], one) for one in claimed]


def any_due(transaction: Connection, environment: Environment, *, now: datetime) -> bool:
    ready = [one.id for one in _ready(transaction, environment, now)]
    table = webhook_deliveries
    query = select(table.c.id).where(table.c.webhook_id.in_(ready), table.c.due_at <= now).limit(1)
    return bool(ready) and transaction.execute(query).first() is not None


def _ready(transaction: Connection, environment: Environment, now: datetime) -> list[Webhook]:
    found = listed(transaction, environment, enabled=True)
    return [one for one in found if one.rests_until is None or one.rests_until <= now]


def save_delivery(transaction: Connection, delivery: Delivery) -> bool:
    """Save what came of it; False where the claim was lost, or somebody wants it anew, and then nothing is changed."""
    changed = transaction.execute(
        update(webhook_deliveries)
        .where(webhook_deliveries.c.id == delivery.id, webhook_deliveries.c.version == delivery.version)
        .values(
            state=delivery.state.value,
            attempts=delivery.attempts,
            due_at=delivery.due_at,
            status=delivery.status,
            problem=None if delivery.problem is None else delivery.problem.value,
            ended_at=delivery.ended_at,
            version=delivery.version + 1,
        )
    )
    return changed.rowcount == 1


def delivery(transaction: Connection, delivery_id: str) -> Delivery | None:
    row = transaction.execute(select(webhook_deliveries).where(webhook_deliveries.c.id == delivery_id)).one_or_none()
    return None if row is None else _delivery(row)


def deliveries(
    transaction: Connection, webhook_id: str, *, size: int, before: Delivery | None = None
) -> list[Delivery]:
    """Deliveries to a webhook, the newest first; `before` is the last one of the page before."""
    table = webhook_deliveries
    query = select(table).where(table.c.webhook_id == webhook_id)
    if before is not None:
        query = query.where(tuple_(table.c.created_at, table.c.id) < (before.created_at, before.id))
    rows = transaction.execute(query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(size))
    return [_delivery(row) for row in rows]


def _changing(webhook: Webhook) -> dict[str, Any]:
    because = webhook.disabled_because
    return {
        "kinds": sorted(webhook.kinds),
        "disabled_at": webhook.disabled_at,
        "disabled_because": None if because is None else because.value,
        "failing_since": webhook.failing_since,
        "rests_until": webhook.rests_until,
        "version": webhook.version,
    }


def _webhook(row: Row[Any]) -> Webhook:
    because = row.disabled_because
    return Webhook(
        id=row.id,
        environment=Environment(row.environment),
        url=row.url,
        kinds=frozenset(row.kinds),
        nip=row.nip,
        created_by=row.created_by,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        disabled_because=None if because is None else Disabled(because),
        failing_since=row.failing_since,
        rests_until=row.rests_until,
        version=row.version,
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        webhook_id=row.webhook_id,
        event_id=row.event_id,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
        asked_at=row.asked_at,
        status=row.status,
        problem=None if row.problem is None else Problem(row.problem),
        ended_at=row.ended_at,
        version=row.version,
    )

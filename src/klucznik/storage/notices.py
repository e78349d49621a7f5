"""Notices for people, until they have gone out by e-mail (table ``mails``). One that is being sent is claimed first.

What is sent to one person for itself, with its link, is `letters`: the same table, other kinds.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update

from klucznik.domain.accounts import User
from klucznik.domain.environments import Environment
from klucznik.domain.events import Kind, PublicEvent
from klucznik.domain.letters import LetterKind
from klucznik.domain.notices import Notice
from klucznik.storage.races import add_unless_there, alone_or_not
from klucznik.storage.schema_people import mails

# Of one recipient in one letter.
_MOST = 1000
_NOTICES = mails.c.kind.notin_([kind.value for kind in LetterKind])


def add(
    transaction: Connection,
    environment: Environment,
    found: Sequence[tuple[PublicEvent, User, datetime]],
    *,
    now: datetime,
) -> None:
    """Events, whom they are told, and when. Each is told to each once."""
    rows = [
        {
            "id": secrets.token_hex(16),
            "environment": environment.value,
            "recipient": user.email,
            "about": f"{event.id}:{user.id}",
            "kind": event.kind,
            "data": {"nip": event.nip, "at": event.at.isoformat(), "data": dict(event.data)},
            "attempts": 0,
            "due_at": due_at,
            "created_at": now,
        }
        for event, user, due_at in found
    ]
    add_unless_there(transaction, mails, rows)


def any_due(transaction: Connection, environment: Environment, *, now: datetime) -> bool:
    query = select(mails.c.id).where(mails.c.due_at <= now, mails.c.environment == environment.value, _NOTICES)
    return transaction.execute(query.limit(1)).first() is not None


def claim(
    transaction: Connection, environment: Environment, *, recipients: int, now: datetime, until: datetime
) -> list[Notice]:
    """Take what is due, of some recipients; nobody else is given it before `until`."""
    if not alone_or_not(transaction, f"mails {environment.value}"):
        return []
    due = (mails.c.due_at <= now) & (mails.c.environment == environment.value) & _NOTICES
    whose = select(mails.c.recipient).where(due).distinct().order_by(mails.c.recipient).limit(recipients)
    rows = transaction.execute(
        select(mails)
        .where(due, mails.c.recipient.in_(list(transaction.execute(whose).scalars())))
        .order_by(mails.c.recipient, mails.c.created_at, mails.c.id)
        .limit(_MOST)
    ).all()
    if rows:
        transaction.execute(
            update(mails)
            .where(mails.c.id.in_([row.id for row in rows]))
            .values(due_at=until, attempts=mails.c.attempts + 1)
        )
    return [replace(_notice(row), attempts=row.attempts + 1, claimed_until=until) for row in rows]


def sent(transaction: Connection, found: Collection[Notice], *, now: datetime) -> None:
    _settle(transaction, found, due_at=None, sent_at=now, problem=None)


def not_sent(transaction: Connection, found: Collection[Notice], *, problem: str, again_at: datetime | None) -> None:
    """Why not, and when to try again; None: never."""
    _settle(transaction, found, due_at=again_at, problem=problem)


def _settle(transaction: Connection, found: Collection[Notice], **values: Any) -> None:
    """Those whose claim still stands."""
    ids, until = [one.id for one in found], {one.claimed_until for one in found}
    claimed = mails.c.id.in_(ids) & mails.c.due_at.in_(until)
    transaction.execute(update(mails).where(claimed).values(**values))


def forget(
    transaction: Connection, environment: Environment, *, unsent_before: datetime, sent_before: datetime
) -> None:
    """What nobody could send is no news any more; what went out long ago cannot come twice."""
    transaction.execute(
        delete(mails).where(
            mails.c.environment == environment.value,
            or_(
                mails.c.due_at.is_not(None) & (mails.c.created_at < unsent_before),
                mails.c.due_at.is_(None) & (mails.c.created_at < sent_before),
            ),
        )
    )


def _notice(row: Row[Any]) -> Notice:
    return Notice(
        id=row.id,
        recipient=row.recipient,
        kind=Kind(row.kind),
        nip=row.data["nip"],
        at=datetime.fromisoformat(row.data["at"]),
        data=row.data["data"],
        attempts=row.attempts,
        created_at=row.created_at,
        claimed_until=row.due_at,
    )

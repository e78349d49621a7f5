"""Letters to one person, until they have gone out (table ``mails``). One that is being sent is claimed first.

Notices of what happens are `notices`: the same table, other kinds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, case, delete, insert, select, update

from klucznik.domain.environments import Environment
from klucznik.domain.languages import Language
from klucznik.domain.letters import Delivery, DeliveryState, Letter, LetterKind
from klucznik.storage import sealed_secrets
from klucznik.storage.races import alone_or_not
from klucznik.storage.schema_people import mails

# Under what the links of letters are sealed.
SEALED_AS = "letter"
_LETTERS = mails.c.kind.in_([kind.value for kind in LetterKind])


def put(transaction: Transaction, environment: Environment, letters: Sequence[Letter], *, due_at: datetime) -> None:
    """Letters in place of those about the same, whose links are forgotten."""
    if not letters:
        return
    take_back(transaction, [one.about for one in letters])
    rows = [
        {
            "id": one.id,
            "environment": environment.value,
            "recipient": one.recipient,
            "about": one.about,
            "kind": one.kind.value,
            "data": {"language": one.language, "data": dict(one.data)},
            "attempts": 0,
            "due_at": due_at,
            "created_at": one.created_at,
        }
        for one in letters
    ]
    transaction.execute(insert(mails), rows)


def take_back(transaction: Transaction, abouts: Collection[str]) -> None:
    """Those about this are gone, sent or not."""
    ids = list(transaction.execute(select(mails.c.id).where(mails.c.about.in_(abouts))).scalars())
    if ids:
        remove(transaction, ids)


def remove(transaction: Transaction, ids: Sequence[str]) -> None:
    sealed_secrets.forget(transaction, SEALED_AS, *ids)
    transaction.execute(delete(mails).where(mails.c.id.in_(ids)))


def any_due(transaction: Transaction, environment: Environment, *, now: datetime) -> bool:
    query = select(mails.c.id).where(mails.c.due_at <= now, mails.c.environment == environment.value, _LETTERS)
    return transaction.execute(query.limit(1)).first() is not None


def claim(
    transaction: Transaction, environment: Environment, *, most: int, now: datetime, until: datetime
) -> list[Letter]:
    """Take some that are due, first what somebody waits for; nobody else is given them before `until`."""
    if not alone_or_not(transaction, f"letters {environment}"):
        return []
    first = case((mails.c.kind == LetterKind.ASKED_FOR.value, 0), else_=1)
    rows = transaction.execute(
        select(mails)
        .where(mails.c.due_at <= now, mails.c.environment == environment.value, _LETTERS)
        .order_by(first, mails.c.due_at, mails.c.id)
        .limit(most)
    ).all()
    if rows:
        transaction.execute(
            update(mails)
            .where(mails.c.id.in_([row.id for row in rows]))
            .values(due_at=until, attempts=mails.c.attempts + 1)
        )
    return [replace(_letter(row), attempts=row.attempts + 1, claimed_until=until) for row in rows]


def sent(transaction: Transaction, letter: Letter, *, now: datetime) -> None:
    """It is gone, and its link is forgotten."""
    _settle(transaction, letter, due_at=None, sent_at=now, problem=None)
    sealed_secrets.forget(transaction, SEALED_AS, letter.id)


def not_sent(transaction: Transaction, letter: Letter, *, problem: str, again_at: datetime | None) -> None:
    """Why not, and when to try again; None: never, and its link is forgotten."""
    _settle(transaction, letter, due_at=again_at, problem=problem)
    if again_at is None:
        sealed_secrets.forget(transaction, SEALED_AS, letter.id)


def deliveries(transaction: Transaction, abouts: Collection[str]) -> dict[str, Delivery]:
    """What has become of letters, by what they are about; of those that are too old nothing is known."""
    rows = transaction.execute(select(mails).where(mails.c.about.in_(abouts)))
    return {row.about: _delivery(row) for row in rows}


def _settle(transaction: Transaction, letter: Letter, **values: Any) -> None:
    """Where the claim still stands."""
    claimed = (mails.c.id == letter.id) & (mails.c.due_at == letter.claimed_until)
    transaction.execute(update(mails).where(claimed).values(**values))


def _letter(row: Row[Any]) -> Letter:
    language = row.data["language"]
    return Letter(
        id=row.id,
        kind=LetterKind(row.kind),
        about=row.about,
        recipient=row.recipient,
        created_at=row.created_at,
        data=row.data["data"],
        language=None if language is None else Language(language),
    )


def _delivery(row: Row[Any]) -> Delivery:
    if row.sent_at is not None:
        return Delivery(row.recipient, DeliveryState.SENT, row.sent_at)
    if row.due_at is not None:
        return Delivery(row.recipient, DeliveryState.WAITING, row.due_at, row.problem)
    return Delivery(row.recipient, DeliveryState.FAILED, None, row.problem)

"""Passkeys of users: public keys, by which a browser or phone proves that it holds the private one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, delete, select, update

from klucznik.domain.accounts import Passkey
from klucznik.storage.races import insert_unless_there
from klucznik.storage.schema_people import passkeys


def add(transaction: Transaction, passkey: Passkey) -> bool:
    """Whether it was not there already."""
    return insert_unless_there(
        transaction,
        passkeys,
        id=passkey.id,
        user_id=passkey.user_id,
        name=passkey.name,
        public_key=passkey.public_key,
        sign_count=passkey.sign_count,
        created_at=passkey.created_at,
    )


def load(transaction: Transaction, passkey_id: bytes) -> Passkey | None:
    row = transaction.execute(select(passkeys).where(passkeys.c.id == passkey_id)).one_or_none()
    return None if row is None else _passkey(row)


def of_user(transaction: Transaction, user_id: str) -> list[Passkey]:
    found = select(passkeys).where(passkeys.c.user_id == user_id).order_by(passkeys.c.created_at, passkeys.c.id)
    return [_passkey(row) for row in transaction.execute(found)]


def owners_among(transaction: Transaction, user_ids: Sequence[str]) -> frozenset[str]:
    """Which of these users have any."""
    found = select(passkeys.c.user_id).where(passkeys.c.user_id.in_(user_ids)).distinct()
    return frozenset(transaction.execute(found).scalars())


def use(
    transaction: Transaction, passkey_id: bytes, *, sign_count: int, challenged_at: datetime, now: datetime
) -> bool:
    """Whether it has not been used since the challenge was given out: an answer is good once."""
    changed = transaction.execute(
        update(passkeys)
        .where(
            passkeys.c.id == passkey_id, passkeys.c.last_used_at.is_(None) | (passkeys.c.last_used_at < challenged_at)
        )
        .values(sign_count=sign_count, last_used_at=now)
    )
    return changed.rowcount == 1


def remove(transaction: Transaction, user_id: str, passkey_id: bytes | None = None) -> int:
    """One of a user's, or all; how many there were."""
    statement = delete(passkeys).where(passkeys.c.user_id == user_id)
    if passkey_id is not None:
        statement = statement.where(passkeys.c.id == passkey_id)
    return transaction.execute(statement).rowcount


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        public_key=row.public_key,
        sign_count=row.sign_count,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )

"""Users. Every change says which version it saw; a stale one changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, insert, select, update

from klucznik.domain.accounts import Digest, User
from klucznik.domain.languages import Language
from klucznik.domain.roles import Role
from klucznik.errors import StorageError
from klucznik.storage.races import alone, insert_unless_there
from klucznik.storage.schema_people import users


def add(transaction: Transaction, user: User, *, now: datetime) -> None:
    transaction.execute(insert(users).values(id=user.id, created_at=user.created_at, updated_at=now, **_changing(user)))


def add_unless_there(transaction: Transaction, user: User, *, now: datetime) -> bool:
    """Whether nobody had the e-mail address."""
    return insert_unless_there(
        transaction, users, id=user.id, created_at=user.created_at, updated_at=now, **_changing(user)
    )


def save(transaction: Transaction, user: User, *, now: datetime) -> User:
    """Save what has changed since `user.version`; the saved user comes back.

    Raises:
        StorageError: ``state_moved_on``: somebody else changed it meanwhile.
    """
    saved = replace(user, version=user.version + 1)
    changed = transaction.execute(
        update(users)
        .where(users.c.id == user.id, users.c.version == user.version)
        .values(updated_at=now, **_changing(saved))
    )
    if changed.rowcount != 1:
        raise StorageError("state_moved_on", user=user.id)
    return saved


def load(transaction: Transaction, user_id: str, *, to_let_in: bool = False) -> User | None:
    """The user of that id.

    Args:
        to_let_in: nobody else changes them until the transaction ends: a new password signs out all who came before it.
    """
    query = select(users).where(users.c.id == user_id)
    row = transaction.execute(query.with_for_update() if to_let_in else query).one_or_none()
    return None if row is None else user_of(row)


def by_email(transaction: Transaction, email: str) -> User | None:
    row = transaction.execute(select(users).where(users.c.email == email.lower())).one_or_none()
    return None if row is None else user_of(row)


def are_there(transaction: Transaction) -> bool:
    """Whether anybody may sign in here."""
    return transaction.execute(select(users.c.id).limit(1)).one_or_none() is not None


def administrators(transaction: Transaction) -> list[str]:
    """Who may sign in and change users, by id; nobody else changes them until the transaction is over."""
    alone(transaction, "administrators")
    can = select(users.c.id).where(
        users.c.role == Role.ADMINISTRATOR.value, users.c.disabled_at.is_(None), users.c.password_hash.is_not(None)
    )
    return list(transaction.execute(can).scalars())


def page(transaction: Transaction, *, limit: int, after: str = "") -> list[User]:
    """Users in the order of their e-mail addresses, from behind `after` on."""
    found = select(users).where(users.c.email > after).order_by(users.c.email).limit(limit)
    return [user_of(row) for row in transaction.execute(found)]


def names(transaction: Transaction, ids: Collection[str]) -> dict[str, str]:
    """What these users are called, by their ids."""
    rows = transaction.execute(select(users.c.id, users.c.name).where(users.c.id.in_(list(ids))))
    return {row.id: row.name for row in rows}


def by_emails(transaction: Transaction, emails: Collection[str]) -> dict[str, User]:
    """Those who sign in with one of these addresses, by it."""
    found = select(users).where(users.c.email.in_([email.lower() for email in emails]))
    return {row.email: user_of(row) for row in transaction.execute(found)}


def told(transaction: Transaction) -> list[User]:
    """Those who want to be told by e-mail what happens."""
    wanting = select(users).where(users.c.disabled_at.is_(None), users.c.digest != Digest.OFF.value)
    return [user_of(row) for row in transaction.execute(wanting.order_by(users.c.email))]


def _changing(user: User) -> dict[str, Any]:
    return {
        "email": user.email.lower(),
        "name": user.name,
        "role": user.role.value,
        "language": None if user.language is None else user.language.value,
        "digest": user.digest.value,
        "password_hash": user.password_hash,
        "totp_since": user.totp_since,
        "totp_step": user.totp_step,
        "disabled_at": user.disabled_at,
        "version": user.version,
    }


def user_of(row: Row[Any]) -> User:
    return User(
        id=row.id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        created_at=row.created_at,
        digest=Digest(row.digest),
        language=None if row.language is None else Language(row.language),
        password_hash=row.password_hash,
        totp_since=row.totp_since,
        totp_step=row.totp_step,
        disabled_at=row.disabled_at,
        version=row.version,
    )

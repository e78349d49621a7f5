"""Links that open an account once. Of each only the SHA-256 of its token is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, delete, insert, select, update

from klucznik.domain.accounts import AccountLink, LinkPurpose
from klucznik.storage.schema_people import account_links


def add(transaction: Transaction, link: AccountLink) -> None:
    transaction.execute(
        insert(account_links).values(
            token_hash=link.token_hash,
            purpose=link.purpose.value,
            user_id=link.user_id,
            created_at=link.created_at,
            expires_at=link.expires_at,
        )
    )


def load(transaction: Transaction, token_hash: str) -> AccountLink | None:
    row = transaction.execute(select(account_links).where(account_links.c.token_hash == token_hash)).one_or_none()
    return None if row is None else _link(row)


def load_all(transaction: Transaction, hashes: Sequence[str]) -> dict[str, AccountLink]:
    """Those with one of these hashes, by it."""
    found = select(account_links).where(account_links.c.token_hash.in_(hashes))
    return {row.token_hash: _link(row) for row in transaction.execute(found)}


def use(transaction: Transaction, token_hash: str, *, now: datetime) -> bool:
    """Whether it was not used already."""
    changed = transaction.execute(
        update(account_links)
        .where(account_links.c.token_hash == token_hash, account_links.c.used_at.is_(None))
        .values(used_at=now)
    )
    return changed.rowcount == 1


def remove_of(transaction: Transaction, user_id: str | None, *, purpose: LinkPurpose | None = None) -> None:
    """All of a user's, used or not; None: those that set up the installation.

    Args:
        purpose: of those that go; None: whatever they are for.
    """
    gone = delete(account_links).where(account_links.c.user_id == user_id)
    if purpose is not None:
        gone = gone.where(account_links.c.purpose == purpose.value)
    transaction.execute(gone)


def forget(transaction: Transaction, *, expired_before: datetime) -> None:
    transaction.execute(delete(account_links).where(account_links.c.expires_at < expired_before))


def _link(row: Row[Any]) -> AccountLink:
    return AccountLink(
        token_hash=row.token_hash,
        purpose=LinkPurpose(row.purpose),
        created_at=row.created_at,
        expires_at=row.expires_at,
        user_id=row.user_id,
        used_at=row.used_at,
    )

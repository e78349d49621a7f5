"""Secrets of users, webhooks and onboardings, sealed by the vault. What is saved here cannot be opened here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, delete, insert, select

from klucznik.domain.sealed import SealedSecret
from klucznik.storage.schema_people import sealed_secrets


def put(transaction: Transaction, sealed: SealedSecret, *, now: datetime, expires_at: datetime | None = None) -> None:
    """Save a secret in place of the one before; from `expires_at` on it is not found any more."""
    forget(transaction, sealed.kind, sealed.owner_id)
    add(transaction, [sealed], now=now, expires_at=expires_at)


def add(
    transaction: Transaction, these: Sequence[SealedSecret], *, now: datetime, expires_at: datetime | None = None
) -> None:
    """All at once; none of their owners has one of that kind. As `put` otherwise."""
    rows = [
        {
            "kind": one.kind,
            "owner_id": one.owner_id,
            "algorithm": one.algorithm,
            "data_key_id": one.data_key_id,
            "nonce": one.nonce,
            "ciphertext": one.ciphertext,
            "expires_at": expires_at,
            "created_at": now,
        }
        for one in these
    ]
    if rows:
        transaction.execute(insert(sealed_secrets), rows)


def load(transaction: Transaction, kind: str, owner_id: str, *, now: datetime) -> SealedSecret | None:
    """A secret, unless it is over."""
    row = transaction.execute(
        select(sealed_secrets).where(
            sealed_secrets.c.kind == kind,
            sealed_secrets.c.owner_id == owner_id,
            sealed_secrets.c.expires_at.is_(None) | (sealed_secrets.c.expires_at > now),
        )
    ).one_or_none()
    return None if row is None else _sealed(row)


def load_all(
    transaction: Transaction, kind: str, owner_ids: Sequence[str], *, now: datetime
) -> dict[str, SealedSecret]:
    """Those of some owners that are not over, by owner."""
    rows = transaction.execute(
        select(sealed_secrets).where(
            sealed_secrets.c.kind == kind,
            sealed_secrets.c.owner_id.in_(owner_ids),
            sealed_secrets.c.expires_at.is_(None) | (sealed_secrets.c.expires_at > now),
        )
    )
    return {row.owner_id: _sealed(row) for row in rows}


def forget_expired(transaction: Transaction, kind: str, *, now: datetime) -> None:
    """Leave none behind that is over."""
    transaction.execute(delete(sealed_secrets).where(sealed_secrets.c.kind == kind, sealed_secrets.c.expires_at <= now))


def forget(transaction: Transaction, kind: str, *owner_ids: str) -> None:
    transaction.execute(
        delete(sealed_secrets).where(sealed_secrets.c.kind == kind, sealed_secrets.c.owner_id.in_(owner_ids))
    )


def _sealed(row: Row[Any]) -> SealedSecret:
    return SealedSecret(row.kind, row.owner_id, row.algorithm, row.data_key_id, row.nonce, row.ciphertext)

"""Secrets of users, webhooks and onboardings, sealed by the vault. What is saved here cannot be opened here."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection as Transaction
from sqlalchemy import delete, insert, select

from klucznik.domain.sealed import SealedSecret
from klucznik.storage.schema_people import sealed_secrets


def put(transaction: Transaction, sealed: SealedSecret, *, now: datetime, expires_at: datetime | None = None) -> None:
    """Save a secret in place of the one before; from `expires_at` on it is not found any more."""
    forget(transaction, sealed.kind, sealed.owner_id)
    transaction.execute(
        insert(sealed_secrets).values(
            kind=sealed.kind,
            owner_id=sealed.owner_id,
            algorithm=sealed.algorithm,
            data_key_id=sealed.data_key_id,
            nonce=sealed.nonce,
            ciphertext=sealed.ciphertext,
            expires_at=expires_at,
            created_at=now,
        )
    )


def load(transaction: Transaction, kind: str, owner_id: str, *, now: datetime) -> SealedSecret | None:
    """A secret, unless it is over."""
    row = transaction.execute(
        select(sealed_secrets).where(
            sealed_secrets.c.kind == kind,
            sealed_secrets.c.owner_id == owner_id,
            sealed_secrets.c.expires_at.is_(None) | (sealed_secrets.c.expires_at > now),
        )
    ).one_or_none()
    if row is None:
        return None
    return SealedSecret(row.kind, row.owner_id, row.algorithm, row.data_key_id, row.nonce, row.ciphertext)


def forget_expired(transaction: Transaction, kind: str, *, now: datetime) -> None:
    """Leave none behind that is over."""
    transaction.execute(delete(sealed_secrets).where(sealed_secrets.c.kind == kind, sealed_secrets.c.expires_at <= now))


def forget(transaction: Transaction, kind: str, owner_id: str) -> None:
    transaction.execute(
        delete(sealed_secrets).where(sealed_secrets.c.kind == kind, sealed_secrets.c.owner_id == owner_id)
    )

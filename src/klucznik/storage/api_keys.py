"""Keys of the API. Of each only the SHA-256 is kept, by which it is found when a program brings it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, insert, select, tuple_, update

from klucznik.domain.api_keys import ApiKey
from klucznik.domain.roles import Action
from klucznik.storage.schema_people import api_keys


def add(transaction: Transaction, key: ApiKey, secret_hash: str) -> None:
    transaction.execute(
        insert(api_keys).values(
            id=key.id,
            name=key.name,
            shown=key.shown,
            secret_hash=secret_hash,
            scopes=sorted(scope.value for scope in key.scopes),
            nip=key.nip,
            created_by=key.created_by,
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


def by_hash(transaction: Transaction, secret_hash: str) -> ApiKey | None:
    row = transaction.execute(select(api_keys).where(api_keys.c.secret_hash == secret_hash)).one_or_none()
    return None if row is None else _key(row)


def load(transaction: Transaction, key_id: str) -> ApiKey | None:
    row = transaction.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
    return None if row is None else _key(row)


def newest(transaction: Transaction, *, limit: int, before: ApiKey | None = None) -> list[ApiKey]:
    """A page of all keys, the newest first, from behind `before` on."""
    found = select(api_keys).order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc()).limit(limit)
    if before is not None:
        found = found.where(tuple_(api_keys.c.created_at, api_keys.c.id) < (before.created_at, before.id))
    return [_key(row) for row in transaction.execute(found)]


def touch(transaction: Transaction, key_id: str, *, now: datetime) -> None:
    transaction.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now))


def revoke(transaction: Transaction, key_id: str, *, now: datetime) -> bool:
    """Whether it was not revoked already."""
    changed = transaction.execute(
        update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return changed.rowcount == 1


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        shown=row.shown,
        # A scope of a later release gives nothing here.
        scopes=frozenset(Action(name) for name in row.scopes if name in set(Action)),
        created_at=row.created_at,
        expires_at=row.expires_at,
        nip=row.nip,
        created_by=row.created_by,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )

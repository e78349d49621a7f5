"""Keys of the API. Of their secrets only the SHA-256 is kept, by which a key is found when a program brings one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, func, insert, or_, select, tuple_, update

from klucznik.domain.api_keys import ApiKey
from klucznik.domain.roles import Action
from klucznik.storage.schema_people import api_key_secrets, api_keys

_FORMER_UNTIL = (
    select(func.max(api_key_secrets.c.expires_at))
    .where(api_key_secrets.c.key_id == api_keys.c.id)
    .scalar_subquery()
    .label("former_until")
)
_KEYS = select(api_keys, _FORMER_UNTIL)


def add(transaction: Transaction, key: ApiKey, secret_hash: str) -> None:
    transaction.execute(
        insert(api_keys).values(
            id=key.id,
            name=key.name,
            shown=key.shown,
            scopes=sorted(scope.value for scope in key.scopes),
            nip=key.nip,
            created_by=key.created_by,
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )
    transaction.execute(insert(api_key_secrets).values(secret_hash=secret_hash, key_id=key.id))


def replace_secret(transaction: Transaction, key: ApiKey, secret_hash: str, *, former_until: datetime) -> bool:
    """Give a key another secret, the prefix and the end that `key` says; False, and nothing is done, where it is
    revoked. Former secrets end then, or as they would have ended.
    """
    # The row of the key is written first: two that do this at once come one after the other.
    changed = transaction.execute(
        update(api_keys)
        .where(api_keys.c.id == key.id, api_keys.c.revoked_at.is_(None))
        .values(shown=key.shown, expires_at=key.expires_at)
    )
    if changed.rowcount != 1:
        return False
    ends = api_key_secrets.c.expires_at
    transaction.execute(
        update(api_key_secrets)
        .where(api_key_secrets.c.key_id == key.id, or_(ends.is_(None), ends > former_until))
        .values(expires_at=former_until)
    )
    transaction.execute(insert(api_key_secrets).values(secret_hash=secret_hash, key_id=key.id))
    return True


def by_hash(transaction: Transaction, secret_hash: str) -> tuple[ApiKey, datetime | None] | None:
    """The key, and until when that secret opens it; None: as long as it is good."""
    row = transaction.execute(
        select(api_keys, api_key_secrets.c.expires_at.label("former_until"))
        .join(api_key_secrets, api_key_secrets.c.key_id == api_keys.c.id)
        .where(api_key_secrets.c.secret_hash == secret_hash)
    ).one_or_none()
    return None if row is None else (_key(row), row.former_until)


def load(transaction: Transaction, key_id: str) -> ApiKey | None:
    row = transaction.execute(_KEYS.where(api_keys.c.id == key_id)).one_or_none()
    return None if row is None else _key(row)


def newest(transaction: Transaction, *, limit: int, before: ApiKey | None = None) -> list[ApiKey]:
    """A page of all keys, the newest first, from behind `before` on."""
    found = _KEYS.order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc()).limit(limit)
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
        former_until=row.former_until,
    )

"""Sealed private keys and the wrapped data keys that seal them. What is saved here cannot be opened here."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import SubjectType
from klucznik.domain.sealed import KeyBinding, SealedKey, WrappedDataKey
from klucznik.storage.schema import data_keys, private_keys

_ADD = insert(private_keys)
_LOAD = select(private_keys).where(private_keys.c.id == bindparam("wanted"))


def load_data_keys(connection: Connection) -> list[WrappedDataKey]:
    """Every data key, oldest first."""
    columns = (data_keys.c.id, data_keys.c.master_key_id, data_keys.c.nonce, data_keys.c.ciphertext)
    rows = connection.execute(select(*columns).order_by(data_keys.c.created_at, data_keys.c.id))
    return [WrappedDataKey(row.id, row.master_key_id, row.nonce, row.ciphertext) for row in rows]


def add_data_key(connection: Connection, key: WrappedDataKey, *, now: datetime) -> None:
    connection.execute(
        insert(data_keys).values(
            id=key.data_key_id,
            master_key_id=key.master_key_id,
            nonce=key.nonce,
            ciphertext=key.ciphertext,
            created_at=now,
        )
    )


def add(connection: Connection, key: SealedKey, binding: KeyBinding, *, now: datetime) -> None:
    row = {
        "id": key.key_id,
        "environment": binding.environment.value,
        "subject_type": binding.subject_type.value,
        "subject_value": binding.subject_value,
        "algorithm": key.algorithm,
        "data_key_id": key.data_key_id,
        "nonce": key.nonce,
        "ciphertext": key.ciphertext,
        "created_at": now,
    }
    connection.execute(_ADD, row)


def known(connection: Connection, key_ids: Collection[str]) -> frozenset[str]:
    """Those of the ids that a key here has."""
    rows = connection.execute(select(private_keys.c.id).where(private_keys.c.id.in_(key_ids)))
    return frozenset(rows.scalars())


def load(connection: Connection, key_id: str) -> tuple[SealedKey, KeyBinding] | None:
    """A sealed key and what it is bound to, or None."""
    row = connection.execute(_LOAD, {"wanted": key_id}).one_or_none()
    if row is None:
        return None
    sealed = SealedKey(row.id, row.algorithm, row.data_key_id, row.nonce, row.ciphertext)
    return sealed, KeyBinding(Environment(row.environment), SubjectType(row.subject_type), row.subject_value)


def remove(connection: Connection, key_id: str) -> None:
    """Forget a key that nothing refers to any more."""
    connection.execute(delete(private_keys).where(private_keys.c.id == key_id))

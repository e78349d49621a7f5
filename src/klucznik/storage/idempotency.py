"""Keys of requests that may be repeated: who is at one, what it has made, and the sealed answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, delete, select, update
from sqlalchemy.sql.elements import ColumnElement

from klucznik.domain.sealed import SealedSecret
from klucznik.errors import StorageError
from klucznik.storage.races import insert_unless_there
from klucznik.storage.schema_people import idempotency_keys

_TABLE = idempotency_keys.c


@dataclass(frozen=True)
class Kept:
    """A key that has been used.

    Attributes:
        fingerprint: of the request that used it first.
        claimed_at: when somebody began to answer it.
        made: id of what it has made.
        status: of the answer; None: there is none yet.
    """

    fingerprint: str
    claimed_at: datetime
    made: str | None
    status: int | None
    headers: dict[str, str]
    body: SealedSecret | None = field(repr=False)


def claim(transaction: Transaction, principal: str, key: str, fingerprint: str, *, now: datetime) -> bool:
    """Whether the key is ours; False where it has been used before."""
    return insert_unless_there(
        transaction, idempotency_keys, principal=principal, key=key, fingerprint=fingerprint, created_at=now
    )


def load(transaction: Transaction, principal: str, key: str, owner_id: str) -> Kept | None:
    """The key as it stands; None: whoever had it has just given it up.

    Args:
        owner_id: to what its answer is bound in the seal.
    """
    query = select(idempotency_keys).where(_one(principal, key)).with_for_update()
    row = transaction.execute(query).one_or_none()
    if row is None:
        return None
    return Kept(row.fingerprint, row.created_at, row.made, row.status, dict(row.headers or {}), _body(row, owner_id))


def claim_again(transaction: Transaction, principal: str, key: str, *, now: datetime) -> None:
    """Take the key over from somebody who has not answered."""
    transaction.execute(update(idempotency_keys).where(_one(principal, key)).values(created_at=now))


def record_made(transaction: Transaction, principal: str, key: str, claimed_at: datetime, made: str) -> None:
    """Part of the transaction that makes something.

    Raises:
        StorageError: ``state_moved_on``: somebody else has taken the key over.
    """
    mine = _mine(principal, key, claimed_at)
    if transaction.execute(update(idempotency_keys).where(mine).values(made=made)).rowcount != 1:
        raise StorageError("state_moved_on")


def answer(
    transaction: Transaction,
    principal: str,
    key: str,
    claimed_at: datetime,
    *,
    status: int,
    headers: dict[str, str],
    body: SealedSecret,
) -> bool:
    """Keep the answer; False where somebody else has taken the key over."""
    kept = transaction.execute(
        update(idempotency_keys)
        .where(_mine(principal, key, claimed_at))
        .values(
            status=status,
            headers=headers,
            algorithm=body.algorithm,
            data_key_id=body.data_key_id,
            nonce=body.nonce,
            ciphertext=body.ciphertext,
        )
    )
    return kept.rowcount == 1


def release(transaction: Transaction, principal: str, key: str, claimed_at: datetime) -> None:
    """Forget a key that has made nothing and has no answer."""
    transaction.execute(delete(idempotency_keys).where(_mine(principal, key, claimed_at), _TABLE.made.is_(None)))


def forget(transaction: Transaction, *, before: datetime) -> None:
    transaction.execute(delete(idempotency_keys).where(_TABLE.created_at < before))


def _one(principal: str, key: str) -> ColumnElement[bool]:
    return (_TABLE.principal == principal) & (_TABLE.key == key)


def _mine(principal: str, key: str, claimed_at: datetime) -> ColumnElement[bool]:
    return _one(principal, key) & (_TABLE.created_at == claimed_at) & _TABLE.status.is_(None)


def _body(row: Row[tuple[object, ...]], owner_id: str) -> SealedSecret | None:
    if row.ciphertext is None:
        return None
    return SealedSecret("idempotency", owner_id, row.algorithm, row.data_key_id, row.nonce, row.ciphertext)

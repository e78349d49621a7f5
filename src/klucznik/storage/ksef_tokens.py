"""The sealed KSeF tokens of connections. What is saved here cannot be opened here."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from klucznik.domain.sealed import SealedToken
from klucznik.storage.schema import ksef_tokens


def put(transaction: Connection, token: SealedToken, *, now: datetime) -> None:
    """Save the token of a connection in place of the one before."""
    forget(transaction, token.connection_id)
    transaction.execute(
        insert(ksef_tokens).values(
            connection_id=token.connection_id,
            reference_number=token.reference_number,
            algorithm=token.algorithm,
            data_key_id=token.data_key_id,
            nonce=token.nonce,
            ciphertext=token.ciphertext,
            created_at=now,
        )
    )


def load(transaction: Connection, connection_id: str) -> SealedToken | None:
    row = transaction.execute(select(ksef_tokens).where(ksef_tokens.c.connection_id == connection_id)).one_or_none()
    if row is None:
        return None
    return SealedToken(
        row.connection_id, row.reference_number, row.algorithm, row.data_key_id, row.nonce, row.ciphertext
    )


def forget(transaction: Connection, connection_id: str) -> None:
    transaction.execute(delete(ksef_tokens).where(ksef_tokens.c.connection_id == connection_id))

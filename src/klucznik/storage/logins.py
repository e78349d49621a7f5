"""The sealed login of a running issuance. What is saved here cannot be opened here."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from klucznik.domain.sealed import SealedLogin
from klucznik.storage.schema import logins

_ADD = insert(logins)
_LOAD = select(logins).where(logins.c.issuance_id == bindparam("wanted"), logins.c.expires_at > bindparam("now"))
_FORGET = delete(logins).where(logins.c.issuance_id == bindparam("forgotten"))


def put(connection: Connection, login: SealedLogin, *, expires_at: datetime) -> None:
    """Save the login of an issuance in place of the one before."""
    forget(connection, login.issuance_id)
    row = {
        "issuance_id": login.issuance_id,
        "algorithm": login.algorithm,
        "data_key_id": login.data_key_id,
        "nonce": login.nonce,
        "ciphertext": login.ciphertext,
        "expires_at": expires_at,
    }
    connection.execute(_ADD, row)


def load(connection: Connection, issuance_id: str, *, now: datetime) -> SealedLogin | None:
    """The login of an issuance, unless it is over."""
    row = connection.execute(_LOAD, {"wanted": issuance_id, "now": now}).one_or_none()
    if row is None:
        return None
    return SealedLogin(row.issuance_id, row.algorithm, row.data_key_id, row.nonce, row.ciphertext)


def forget(connection: Connection, issuance_id: str) -> None:
    connection.execute(_FORGET, {"forgotten": issuance_id})

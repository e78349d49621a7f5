"""Codes that stand in for a second factor that is lost, once each. Only their SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection as Transaction
from sqlalchemy import delete, func, insert, select

from klucznik.storage.schema_people import recovery_codes


def replace_all(transaction: Transaction, user_id: str, hashes: Iterable[str], *, now: datetime) -> None:
    remove_all(transaction, user_id)
    transaction.execute(
        insert(recovery_codes), [{"user_id": user_id, "code_hash": one, "created_at": now} for one in hashes]
    )


def remove_all(transaction: Transaction, user_id: str) -> None:
    transaction.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))


def use(transaction: Transaction, user_id: str, code_hash: str) -> bool:
    """Whether it was one; it is none any more."""
    used = delete(recovery_codes).where(recovery_codes.c.user_id == user_id, recovery_codes.c.code_hash == code_hash)
    return transaction.execute(used).rowcount == 1


def count(transaction: Transaction, user_id: str) -> int:
    found = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user_id == user_id)
    return transaction.execute(found).scalar_one()

"""Counters of wrong guesses by what they were about. How long a pause is, is `domain.guesses`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection as Transaction
from sqlalchemy import delete, select

from klucznik.domain.guesses import Guesses
from klucznik.storage.races import alone, insert_unless_there
from klucznik.storage.schema_people import failed_sign_ins


def load(transaction: Transaction, name: str) -> Guesses | None:
    row = transaction.execute(select(failed_sign_ins).where(failed_sign_ins.c.about == name)).one_or_none()
    return None if row is None else Guesses(row.number, row.first_at, row.blocked_until)


def load_to_count(transaction: Transaction, name: str) -> Guesses | None:
    """As `load`; whoever else counts under this name waits until the transaction is over."""
    alone(transaction, f"guesses {name}")
    return load(transaction, name)


def put(transaction: Transaction, name: str, guesses: Guesses) -> None:
    forget(transaction, name)
    insert_unless_there(
        transaction,
        failed_sign_ins,
        about=name,
        number=guesses.number,
        first_at=guesses.first_at,
        blocked_until=guesses.blocked_until,
    )


def forget(transaction: Transaction, name: str) -> None:
    transaction.execute(delete(failed_sign_ins).where(failed_sign_ins.c.about == name))


def forget_old(transaction: Transaction, *, before: datetime) -> None:
    """Counters whose pauses were over, and which began, before a moment."""
    over = failed_sign_ins.c.blocked_until.is_(None) | (failed_sign_ins.c.blocked_until < before)
    transaction.execute(delete(failed_sign_ins).where(failed_sign_ins.c.first_at < before, over))

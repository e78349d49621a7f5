"""Which program got which certificate out of the vault."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from klucznik.domain.environments import Environment
from klucznik.storage.races import insert_unless_there
from klucznik.storage.schema import program_uses


def record(
    transaction: Connection, environment: Environment, serial_number: str, program: str, *, now: datetime
) -> None:
    """A program has got a certificate, for the first time or once more."""
    mine = {"environment": environment.value, "serial_number": serial_number, "program": program}
    if not insert_unless_there(transaction, program_uses, **mine, first_at=now, last_at=now):
        transaction.execute(
            update(program_uses)
            .where(*(program_uses.c[name] == value for name, value in mine.items()))
            .values(last_at=now)
        )


def forget(transaction: Connection, environment: Environment, serial_number: str, program: str) -> None:
    """A program has that certificate no more."""
    mine = {"environment": environment.value, "serial_number": serial_number, "program": program}
    transaction.execute(delete(program_uses).where(*(program_uses.c[name] == value for name, value in mine.items())))


def of_certificates(
    transaction: Connection, environment: Environment, serial_numbers: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """The programs of each of these certificates, in one query; a certificate that no program got is left out."""
    rows = transaction.execute(
        select(program_uses.c.serial_number, program_uses.c.program).where(
            program_uses.c.environment == environment.value, program_uses.c.serial_number.in_(list(serial_numbers))
        )
    )
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[row.serial_number].append(row.program)
    # Sorted here: for the sake of an order SQLite would look through the programs of everybody.
    return {serial_number: tuple(sorted(programs)) for serial_number, programs in found.items()}

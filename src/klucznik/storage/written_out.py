"""SQL that is written out, where it runs with every step of an issuance: what differs between the two databases.

SQLAlchemy's own SQL takes twice to four times the CPU to run, and milliseconds to put together in each new process.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from klucznik.storage.columns import in_utc


def in_words_of(connection: Connection, statement: str) -> str:
    """`statement` with its parameters, each a ``?``, as the driver of this database marks them."""
    return statement if connection.dialect.name == "sqlite" else statement.replace("?", "%s")


def as_moment(connection: Connection, moment: datetime) -> datetime | str:
    """A parameter for a column of `UtcDateTime`. SQLite keeps text, in UTC, which is compared letter by letter."""
    utc = in_utc(moment)
    return utc.replace(tzinfo=None).isoformat(" ", "microseconds") if connection.dialect.name == "sqlite" else utc

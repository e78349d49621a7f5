"""What keeps two writers apart on PostgreSQL. SQLite has one writer at a time and needs none of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from sqlalchemy import Connection, Insert, Table, text


def alone(connection: Connection, name: str) -> None:
    """Whoever else says this name in a transaction waits until ours has ended, and then sees what it did."""
    if connection.dialect.name == "postgresql":
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"klucznik {name}"}
        )


def alone_or_not(connection: Connection, name: str) -> bool:
    """Whether nobody else has said this name in a transaction that is not over; then it is ours until ours ends."""
    if connection.dialect.name != "postgresql":
        return True
    asked = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
    return bool(connection.execute(asked, {"name": f"klucznik {name}"}).scalar_one())


def insert_unless_there(connection: Connection, table: Table, **values: object) -> bool:
    """Whether the row is ours; False where one with the same key was there first."""
    statement = _insert_or_nothing(table, connection.dialect.name)
    return connection.execute(statement, values, execution_options={"preserve_rowcount": True}).rowcount == 1


def add_unless_there(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Add those rows of which none with the same key is there."""
    if rows:
        connection.execute(_insert_or_nothing(table, connection.dialect.name), rows)


@cache
def _insert_or_nothing(table: Table, dialect: str) -> Insert:
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]

    return insert(table).on_conflict_do_nothing()

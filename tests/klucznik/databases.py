"""Where the tests keep what Klucznik keeps: in SQLite files, or with `pytest --database postgresql` on a server.

Each home has a schema of its own there, made in two milliseconds, where a database of its own would take half a second.
The server is named in the environment, so that the processes which tests start find it too.
"""

import hashlib
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from klucznik.services.installation import DATABASE_FILE

SERVER = "TESTS_POSTGRESQL"
# For the parameters of a fixture that serves one or the other: each is tried where its database is.
EACH_ON_ITS_RUN = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("sqlite", "postgresql")]


def database_url(home: Path) -> str | None:
    """Where an installation with this home keeps its rows; None: in the file in its home."""
    server = os.environ.get(SERVER)
    return None if server is None else schema_url(server, "home_" + hashlib.sha256(bytes(home)).hexdigest()[:16])


def schema_url(server: str, schema: str) -> str:
    # Two that make it at the same moment meet in the catalogue: one of them may go away.
    made = suppress(psycopg.errors.UniqueViolation)
    with psycopg.connect(server, autocommit=True) as connection, made:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
    return f"{server}&options=-csearch_path%3D{schema}"


def database_in(home: Path) -> Path | str:
    """The same for `Database` itself."""
    return database_url(home) or home / DATABASE_FILE


def everything_in(home: Path) -> bytes:
    """Every byte that an installation keeps: its files, and the rows of its database where they are elsewhere."""
    kept = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    url = database_url(home)
    if url is not None:
        tables = look(home, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        cells = [cell for (table,) in tables for row in look(home, f"TABLE {table}") for cell in row]
        kept += [cell if isinstance(cell, bytes) else repr(cell).encode() for cell in cells]
    return b"\n".join(kept)


def tell(home: Path, statements: str) -> None:
    """What another program does to the database on the server."""
    with psycopg.connect(database_url(home) or "", autocommit=True) as server:
        server.execute(statements.encode())


def look(home: Path, query: str) -> list[tuple[object, ...]]:
    """What another process sees in the database: committed rows only."""
    url = database_url(home)
    if url is not None:
        with psycopg.connect(url) as server:
            return server.execute(query.encode()).fetchall()
    with closing(sqlite3.connect(f"file:{home / DATABASE_FILE}?mode=ro", uri=True)) as file:
        return file.execute(query).fetchall()

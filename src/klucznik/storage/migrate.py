"""Brings an older database to the present tables, by Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from klucznik.errors import StorageError

_SCRIPTS = Path(__file__).parent / "migrations"


def scripts() -> ScriptDirectory:
    """The migrations, oldest to newest."""
    return ScriptDirectory.from_config(_config())


def upgrade(connection: Connection, *, from_revision: str | None, file: str, to: str = "head") -> None:
    """Run the missing migrations in the transaction that `connection` is in.

    Raises:
        StorageError: ``database_newer``: a later release has already changed this database; ``database_damaged``:
            rows refer to rows that are not there.
    """
    if from_revision is not None and from_revision not in {script.revision for script in scripts().walk_revisions()}:
        raise StorageError("database_newer", file=file, revision=from_revision)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    # SQLite migrates with its foreign keys switched off.
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise StorageError("database_damaged", file=file)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config

"""Tables of an older release become today's tables, and every row in them stays."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    NullPool,
    String,
    create_engine,
    inspect,
)
from tests.klucznik.databases import database_in

from klucznik.errors import StorageError
from klucznik.storage.database import Database
from klucznik.storage.migrate import scripts, upgrade
from klucznik.storage.tables import HEAD, metadata

REVISIONS = [script.revision for script in scripts().walk_revisions()]
SOME: dict[type, Any] = {
    Boolean: True,
    DateTime: datetime(2026, 11, 23, 12, tzinfo=UTC),
    Integer: 1,
    LargeBinary: b"\0\1",
    JSON: ["Authentication"],
}
# Columns whose texts mean something to the tables or to a migration.
KNOWN = {"origin": "issued", "state": "underway", "type": "Offline", "key_type": "EcP256"}


@contextmanager
def connected(home: Path) -> Iterator[Connection]:
    where = database_in(home)
    url = f"sqlite:///{where}" if isinstance(where, Path) else where.replace("postgresql:", "postgresql+psycopg:")
    with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        yield connection


def migrated(home: Path, to: str = "head") -> Path:
    home.mkdir()
    with connected(home) as connection:
        connection.exec_driver_sql("BEGIN")
        upgrade(connection, from_revision=None, file="", to=to)
        connection.exec_driver_sql("COMMIT")
    return home


def made(home: Path) -> Path:
    Database(database_in(home)).close()
    return home


def schema_of(home: Path) -> dict[str, object]:
    """Everything the database knows about its tables, without the words in which they were made."""
    with connected(home) as connection:
        inspector = inspect(connection)
        return {
            table: {
                "columns": sorted(
                    (column["name"], str(column["type"]), column["nullable"], str(column["default"]))
                    for column in inspector.get_columns(table)
                ),
                "primary key": inspector.get_pk_constraint(table),
                "foreign keys": sorted(map(_without_schema, inspector.get_foreign_keys(table)), key=str),
                "unique": sorted(inspector.get_unique_constraints(table), key=str),
                "checks": sorted(inspector.get_check_constraints(table), key=str),
                "indexes": sorted(inspector.get_indexes(table), key=str),
            }
            for table in sorted(inspector.get_table_names())
            if table != "alembic_version"
        }


def _without_schema(found: Any) -> dict[str, object]:
    return {name: value for name, value in found.items() if name != "referred_schema"}


def fill(home: Path) -> None:
    """One row in each table, as the tables of that release want it."""
    with connected(home) as connection:
        tables = _tables(connection)
        for table in tables.sorted_tables:
            connection.execute(table.insert().values({column.name: _some(column) for column in table.columns}))


def _some(column: Column[Any]) -> object:
    for reference in column.foreign_keys:
        return _some(reference.column)
    if isinstance(column.type, String):
        return KNOWN.get(column.name, column.name[: column.type.length])
    return next(value for kind, value in SOME.items() if isinstance(column.type, kind))


def _tables(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    found.remove(found.tables["alembic_version"])
    return found


def rows_of(home: Path) -> dict[str, dict[str, object]]:
    with connected(home) as connection:
        return {
            table.name: dict(row)
            for table in _tables(connection).sorted_tables
            for row in connection.execute(table.select()).mappings()
        }


def test_a_new_database_equals_one_that_was_migrated_from_nothing(tmp_path: Path) -> None:
    new = schema_of(made(tmp_path / "new"))
    assert new == schema_of(migrated(tmp_path / "old"))
    assert set(new) == set(metadata.tables)


def test_the_newest_migration_is_the_one_that_new_databases_are_marked_with() -> None:
    assert scripts().get_current_head() == HEAD


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_an_older_release_keeps_its_rows(revision: str, tmp_path: Path) -> None:
    home = migrated(tmp_path / "old", to=revision)
    fill(home)
    before = rows_of(home)
    made(home)
    after = rows_of(home)
    for table, row in before.items():
        assert row.items() <= after[table].items()
    assert schema_of(home) == schema_of(migrated(tmp_path / "fresh"))


def test_migrations_leave_nothing_for_alembic_to_add(tmp_path: Path) -> None:
    with connected(migrated(tmp_path / "old")) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_of_a_later_release_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    home = made(tmp_path / "home")
    with connected(home) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = schema_of(home)
    with pytest.raises(StorageError) as caught:
        made(home)
    assert caught.value.reason == "database_newer"
    assert schema_of(home) == before


def test_tables_of_another_program_are_not_mixed_with_ours(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with connected(home) as connection:
        connection.exec_driver_sql("CREATE TABLE certificates (theirs INTEGER)")
    with pytest.raises(StorageError) as caught:
        made(home)
    assert caught.value.reason == "database_occupied"
    assert set(schema_of(home)) == {"certificates"}


def test_who_signed_in_for_a_company_until_now_is_said_by_a_connection(tmp_path: Path) -> None:
    """As it was chosen before: the newest certificate of those who had issued there, or of the company itself."""
    home = migrated(tmp_path / "old", to="0004")
    person, other, third, seal = (
        ("Pesel", "80010112340"),
        ("Pesel", "80010112357"),
        ("Pesel", "80010112364"),
        "5265877635",
    )
    own, of_person = ("Nip", seal), "7762811692"
    with connected(home) as connection:
        tables = _tables(connection).tables

        def put(table: str, **values: object) -> None:
            row = {column.name: _some(column) for column in tables[table].columns}
            connection.execute(tables[table].insert().values({**row, **values}))

        def hold(number: int, subject: tuple[str, str], year: int, **values: object) -> None:
            put("private_keys", id=f"key{number}", environment="test")
            known = {"type": "Authentication", "origin": "issued", "revoked_at": None, **values}
            whose = {"environment": "test", "subject_type": subject[0], "subject_value": subject[1]}
            starts = datetime(year, 5, 1, tzinfo=UTC)
            put(
                "certificates",
                serial_number=f"{number:016X}",
                key_id=f"key{number}",
                valid_from=starts,
                **whose,
                **known,
            )

        def ordered(number: int, subject: tuple[str, str], nip: str) -> None:
            whose = {"environment": "test", "subject_type": subject[0], "subject_value": subject[1]}
            put("issuances", id=f"issuance{number}", context_type="Nip", context_value=nip, **whose)

        put("data_keys")
        hold(1, person, 2025)
        hold(2, other, 2026)
        hold(3, third, 2026, revoked_at=datetime(2026, 6, 1, tzinfo=UTC))
        hold(4, own, 2025, origin="imported")
        hold(5, person, 2026, type="Offline")
        ordered(1, person, of_person)
        ordered(2, other, of_person)
        ordered(3, third, "1111111111")  # its only certificate is revoked
        ordered(4, person, "2222222222")
    made(home)
    with connected(home) as connection:
        found = connection.execute(_tables(connection).tables["connections"].select()).mappings().all()
    assert {(one["context_value"], one["method"], one["subject_value"], one["health"]) for one in found} == {
        (of_person, "certificates", other[1], "unchecked"),
        ("2222222222", "certificates", person[1], "unchecked"),
        (seal, "imported", seal, "unchecked"),
    }

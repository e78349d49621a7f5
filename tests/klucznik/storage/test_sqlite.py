"""The file itself: made private, durable, brought up to date, and honest about what is wrong with it."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.klucznik.keys.builders import unprivileged
from tests.klucznik.storage.rows import SUBJECT, save_data_key, save_underway

from klucznik.domain.environments import Environment
from klucznik.errors import StorageError
from klucznik.storage import issuances, private_keys
from klucznik.storage.database import Database

pytestmark = pytest.mark.sqlite


def reason_of(path: Path) -> str:
    with pytest.raises(StorageError) as caught:
        Database(path).close()
    return caught.value.reason


async def test_a_commit_is_on_disk_when_it_returns(database: Database) -> None:
    def settings(connection: Connection) -> list[object]:
        return [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert await database.read(settings) == ["wal", 2, 1]  # 2 is FULL


async def test_what_was_committed_survives_a_machine_that_stops_at_once(database: Database, tmp_path: Path) -> None:
    """The files as they are now, without the connection having been closed."""
    await database.write(save_data_key)
    await database.write(save_underway)
    (tmp_path / "after").mkdir()
    for file in tmp_path.glob("klucznik.db*"):
        shutil.copy(file, tmp_path / "after")
    found = Database(tmp_path / "after" / "klucznik.db")
    running = await found.read(lambda connection: issuances.running(connection, Environment.TEST, SUBJECT))
    assert running is not None
    assert len(await found.read(lambda connection: issuances.enrollments_of(connection, running.id))) == 2
    found.close()


def test_file_and_directory_are_the_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        Database(tmp_path / "home" / "klucznik.db").close()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home" / "klucznik.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["ą ę", "a?mode=memory", "50%20", "a#b", "a&b;c"])
async def test_any_name_of_a_directory_is_only_a_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name / "klucznik.db"
    database = Database(path)
    await database.write(save_data_key)
    database.close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [name]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("SELECT id FROM data_keys").fetchall() == [("data-key",)]


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all, whatever its name may say" * 100)


def _torn(path: Path) -> None:
    """The first page is whole, everything behind it is not."""
    Database(path).close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def _without_a_table(path: Path) -> None:
    Database(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE data_keys")


def _of_the_future(path: Path) -> None:
    Database(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(_garbage, "database_damaged"), (_of_the_future, "database_newer"), (Path.mkdir, "database_unreachable")],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_reason(
    spoil: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "klucznik.db"
    spoil(path)
    assert reason_of(path) == reason


@pytest.mark.parametrize("spoil", [_torn, _without_a_table])
async def test_damage_that_shows_only_when_it_is_read_is_told_then(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "klucznik.db"
    spoil(path)

    async def read() -> None:
        database = Database(path)
        try:
            await database.read(private_keys.load_data_keys)
        finally:
            database.close()

    with pytest.raises(StorageError) as caught:
        await read()
    assert caught.value.reason == "database_damaged"
    assert caught.value.data["file"] == str(path)


def test_a_refused_file_is_left_exactly_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "klucznik.db"
    _of_the_future(path)
    before = path.read_bytes()
    assert reason_of(path) == "database_newer"
    assert path.read_bytes() == before


def test_a_home_that_may_not_be_written_is_told() -> None:
    with unprivileged() as home:
        home.chmod(0o500)
        assert reason_of(home / "klucznik.db") == "not_permitted"


OTHER_PROCESS = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from klucznik.domain.sealed import WrappedDataKey
from klucznik.storage import private_keys
from klucznik.storage.database import Database

database = Database(Path(sys.argv[1]))
key = WrappedDataKey("of another process", "master", b"n" * 12, b"c" * 48)
asyncio.run(database.write(lambda connection: private_keys.add_data_key(connection, key, now=datetime.now(UTC))))
database.close()
"""


async def test_opening_it_twice_in_one_process_never_lets_another_take_away_the_log(tmp_path: Path) -> None:
    """What the first connection commits afterwards must still be there for everybody."""
    path = tmp_path / "klucznik.db"
    first = Database(path)
    await first.read(private_keys.load_data_keys)
    second = Database(path)
    second.close()
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(path)], check=True, timeout=60)
    await first.write(save_data_key)
    third = Database(path)
    seen = {key.data_key_id for key in await third.read(private_keys.load_data_keys)}
    first.close()
    third.close()
    assert seen == {"of another process", "data-key"}


async def test_two_processes_that_make_the_database_at_once_make_one(tmp_path: Path) -> None:
    first, second = Database(tmp_path / "klucznik.db"), Database(tmp_path / "klucznik.db")
    await first.write(save_data_key)
    assert len(await second.read(private_keys.load_data_keys)) == 1
    first.close()
    second.close()

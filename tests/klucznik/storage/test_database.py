"""One way to read and one way to write, the same on every database."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Connection
from tests.klucznik.databases import database_in
from tests.klucznik.storage.rows import SUBJECT, save_data_key, save_underway

from klucznik.domain.environments import Environment
from klucznik.errors import StorageError
from klucznik.storage import issuances, private_keys
from klucznik.storage.database import Database


async def test_work_that_raises_leaves_nothing_behind(database: Database) -> None:
    def work(connection: Connection) -> None:
        save_data_key(connection)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(work)
    assert await database.read(private_keys.load_data_keys) == []


async def test_a_row_that_breaks_a_rule_of_the_tables_is_an_error_without_its_contents(database: Database) -> None:
    await database.write(save_data_key)
    with pytest.raises(StorageError) as caught:
        await database.write(save_data_key)
    assert caught.value.reason == "database_failed"
    assert "master" not in f"{caught.value!s} {caught.value!r} {caught.value.data}"
    assert caught.value.__cause__ is None


def test_processes_that_make_the_database_at_once_make_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as processes:
        opened = list(processes.map(lambda _: Database(database_in(tmp_path)), range(4)))
    try:
        asyncio.run(opened[0].write(save_data_key))
        assert [len(asyncio.run(each.read(private_keys.load_data_keys))) for each in opened] == [1] * 4
    finally:
        for each in opened:
            each.close()


async def test_a_reader_sees_one_state_throughout(database: Database, tmp_path: Path) -> None:
    """Also where another process commits in between."""
    other = Database(database_in(tmp_path))
    await database.write(save_data_key)

    def look_twice(connection: Connection) -> tuple[bool, bool]:
        before = issuances.running(connection, Environment.TEST, SUBJECT)
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(lambda: asyncio.run(other.write(save_underway))).result()
        return before is None, issuances.running(connection, Environment.TEST, SUBJECT) is None

    assert await database.read(look_twice) == (True, True)
    other.close()
    assert await database.read(lambda each: issuances.running(each, Environment.TEST, SUBJECT)) is not None


async def test_others_write_while_a_survey_lasts_and_it_sees_one_state(database: Database) -> None:
    written = Event()

    def look_before_and_after(connection: Connection) -> tuple[int, int]:
        before = len(private_keys.load_data_keys(connection))
        assert written.wait(timeout=60)
        return before, len(private_keys.load_data_keys(connection))

    survey = asyncio.create_task(database.survey(look_before_and_after))
    await asyncio.sleep(0)
    await database.write(save_data_key)
    written.set()
    before, after = await survey
    assert before == after
    assert len(await database.survey(private_keys.load_data_keys)) == 1

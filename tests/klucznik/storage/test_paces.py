"""Counts of calls that several workers share, on both stores: the same answers as the rules give, and no failure."""

import asyncio
import itertools
import logging
import multiprocessing
import os
import random
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.klucznik.databases import EACH_ON_ITS_RUN
from tests.postgresql import Cluster

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context
from klucznik.domain.pacing import HOUR, MINUTE, SECOND, Booked, Counter, Later, Paces
from klucznik.storage.paces import SqlitePacer
from klucznik.storage.paces_postgresql import PostgresqlPacer

NOW = 1_800_000_000 * SECOND
PATIENCE = 2 * SECOND
ROUTES = ("/auth/challenge", "/certificates/limits", "/certificates/query")

StorePacer: TypeAlias = SqlitePacer | PostgresqlPacer
# Opens as many pacers as asked for on one store that is empty.
Workers: TypeAlias = Callable[[int], AbstractAsyncContextManager[list[StorePacer]]]


@pytest.fixture
def server_database(postgresql: Cluster) -> Iterator[str]:
    with postgresql.fresh_database() as address:
        yield address


@pytest.fixture(params=EACH_ON_ITS_RUN)
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Workers:
    if request.param == "sqlite":
        return lambda number: _opened([SqlitePacer(tmp_path / "pace.db") for _ in range(number)])
    url: str = request.getfixturevalue("server_database")
    return lambda number: _opened([PostgresqlPacer(url) for _ in range(number)])


@asynccontextmanager
async def _opened(pacers: list[StorePacer]) -> AsyncIterator[list[StorePacer]]:
    try:
        yield pacers
    finally:
        for pacer in pacers:
            await pacer.aclose()


def counter(route: str = ROUTES[1], nip: str = "5265877635") -> Counter:
    return Counter.of(Environment.TEST, "GET", route, Context.of_nip(nip))


@pytest.fixture
def fresh_nips() -> Iterator[str]:
    """Each story in a context of its own."""
    return (f"123{number}" for number in itertools.count(10**6))


# What several workers do one after the other: a pause, then one of them calls, or hears of a block for so long.
Step: TypeAlias = tuple[int, int, str, int | None]
_STEP = st.tuples(
    st.integers(-10 * MINUTE, 2 * HOUR) | st.integers(0, 3 * SECOND),
    st.integers(0, 2),
    st.sampled_from(ROUTES[1:]),
    st.none() | st.integers(0, 2 * HOUR),
)


def _burst_after(step: Step, calls: int) -> list[Step]:
    _, worker, route, _ = step
    return [step, *[(0, worker, route, None)] * calls]


# Most stories are bursts: only then do the windows matter.
STEPS = st.lists(st.builds(_burst_after, _STEP, st.integers(1, 40)), max_size=12).map(
    lambda bursts: list(itertools.chain(*bursts))
)


async def play(workers: Workers, steps: list[Step], nip: str) -> None:
    rules, now = Paces(), NOW
    async with workers(3) as pacers:
        for pause, worker, route, blocked_for in steps:
            now += pause
            pacer, asked = pacers[worker], counter(route, nip)
            if blocked_for is None:
                assert await pacer.book(asked, now, PATIENCE) == rules.book(asked, now, PATIENCE)
            else:
                until = now + blocked_for
                assert await pacer.block(asked, now, until) == rules.block(asked, now, until)
            assert await pacer.blocked_until(asked, now) == rules.blocked_until(asked, now)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_store_answers_as_the_rules_do(workers: Workers, steps: list[Step], fresh_nips: Iterator[str]) -> None:
    asyncio.run(play(workers, steps, next(fresh_nips)))


async def test_the_counters_of_the_address_answer_as_the_rules_do(workers: Workers) -> None:
    steps: list[Step] = [(SECOND // 100, number % 3, ROUTES[0], None) for number in range(400)]
    await play(workers, [*steps, (0, 1, ROUTES[0], 30 * SECOND), *steps], "5265877635")


async def test_workers_that_ask_at_once_get_each_place_once(workers: Workers) -> None:
    async with workers(4) as pacers:
        answers = await asyncio.gather(*(pacers[turn % 4].book(counter(), NOW, HOUR) for turn in range(200)))
    moments = sorted(answer.at for answer in answers if isinstance(answer, Booked))
    rules = Paces()
    assert moments == [answer.at for _ in range(200) if isinstance(answer := rules.book(counter(), NOW, HOUR), Booked)]


async def test_who_comes_while_a_block_lasts_is_turned_away_in_every_worker(workers: Workers) -> None:
    async with workers(2) as (one, other):
        assert await one.block(counter(), NOW, NOW + MINUTE) == Later(NOW + MINUTE)
        assert await other.book(counter(), NOW, PATIENCE) == Later(NOW + MINUTE + SECOND * 3 // 20)
        assert await other.blocked_until(counter(), NOW) == NOW + MINUTE
        assert isinstance(await other.book(counter(ROUTES[2]), NOW, PATIENCE), Booked)


async def test_counts_outlive_the_worker(workers: Workers) -> None:
    async with workers(1) as (pacer,):
        await pacer.block(counter(), NOW, NOW + MINUTE)
    async with workers(1) as (pacer,):
        assert isinstance(await pacer.book(counter(), NOW, PATIENCE), Later)


def _burst(path: Path, turns: int) -> list[int]:
    async def run() -> list[int]:
        pacer = SqlitePacer(path)
        answers = [await pacer.book(counter(), NOW, HOUR) for _ in range(turns)]
        await pacer.aclose()
        return [answer.at for answer in answers]

    return asyncio.run(run())


def test_processes_that_start_together_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "pace.db"
    with multiprocessing.get_context("spawn").Pool(4) as processes:
        moments = sorted(itertools.chain(*processes.starmap(_burst, [(path, 25)] * 4)))
    rules = Paces()
    assert moments == [rules.book(counter(), NOW, HOUR).at for _ in range(100)]


def rows(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        (number,) = connection.execute("SELECT count(*) FROM paces").fetchone()
    connection.close()
    assert isinstance(number, int)
    return number


def some_nips(number: int) -> list[str]:
    return [f"123{nip}" for nip in random.Random(1).sample(range(10**6, 10**7), number)]


async def test_the_file_forgets_in_passing_and_does_not_grow_for_ever(tmp_path: Path) -> None:
    pacer = SqlitePacer(tmp_path / "pace.db")
    for day in range(10):
        for nip in some_nips(2000)[day * 200 : day * 200 + 200]:
            await pacer.book(counter(nip=nip), NOW + day * 24 * HOUR, PATIENCE)
    await pacer.aclose()
    assert 200 <= rows(tmp_path / "pace.db") < 400


async def test_the_table_forgets_in_passing_and_does_not_grow_for_ever(
    postgresql: Cluster, server_database: str
) -> None:
    pacer = PostgresqlPacer(server_database)
    for day in range(10):
        for nip in some_nips(2000)[day * 200 : day * 200 + 200]:
            await pacer.book(counter(nip=nip), NOW + day * 24 * HOUR, PATIENCE)
    await pacer.aclose()
    assert 200 <= int(postgresql.sql("SELECT count(*) FROM paces", address=server_database)) < 400


def test_the_file_is_for_its_owner_alone_and_made_at_the_first_call(tmp_path: Path) -> None:
    path = tmp_path / "pace.db"
    pacer = SqlitePacer(path)
    assert os.listdir(tmp_path) == []
    asyncio.run(pacer.book(counter(), NOW, PATIENCE))
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    assert "5265877635" not in path.read_bytes().decode("latin-1")
    asyncio.run(pacer.aclose())
    assert os.listdir(tmp_path) == ["pace.db"]


@pytest.mark.parametrize("damage", ["a diary", "cut short", "another release"])
async def test_a_damaged_file_is_replaced(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "pace.db"
    pacer = SqlitePacer(path)
    await pacer.book(counter(), NOW, PATIENCE)
    await pacer.aclose()
    whole = path.read_bytes()
    if damage == "another release":
        with sqlite3.connect(path) as connection:
            connection.execute("ALTER TABLE paces RENAME COLUMN turn TO place")
        connection.close()
    else:
        path.write_bytes(b"This is a diary. " * 500 if damage == "a diary" else whole[:1000])
    for again in (SqlitePacer(path), SqlitePacer(path)):
        assert await again.book(counter(), NOW, PATIENCE) == Booked(NOW)
        await again.aclose()
    assert caplog.records == []
    assert rows(path) == 1


async def test_without_the_file_a_worker_counts_for_itself_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pacer = SqlitePacer(tmp_path / "no such directory" / "pace.db")
    with caplog.at_level(logging.WARNING):
        answers = [await pacer.book(counter(), NOW, 0) for _ in range(11)]
    assert [type(answer) for answer in answers] == [Booked] * 10 + [Later]
    assert await pacer.block(counter(), NOW, NOW + HOUR) == Later(NOW + HOUR)
    assert await pacer.blocked_until(counter(), NOW) == NOW + HOUR
    assert len(caplog.records) == 1


async def test_without_the_server_a_worker_counts_for_itself_and_goes_back_to_it(
    postgresql: Cluster, server_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    pacer = PostgresqlPacer(server_database)
    assert await pacer.book(counter(), NOW, 0) == Booked(NOW)
    postgresql.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'klucznik'"
        " AND datname = current_database()",
        address=server_database,
    )
    with caplog.at_level(logging.WARNING):
        answers = [await pacer.book(counter(), NOW, 0) for _ in range(10)]
    await pacer.aclose()
    assert all(isinstance(answer, Booked) for answer in answers)
    assert len(caplog.records) == 1
    assert server_database not in caplog.text


async def test_a_server_that_is_not_there_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pacer = PostgresqlPacer(f"postgresql://user:secret@/none?host={tmp_path}")
    with caplog.at_level(logging.WARNING):
        answers = [await pacer.book(counter(), NOW, 0) for _ in range(11)]
        assert await pacer.block(counter(), NOW, NOW + HOUR) == Later(NOW + HOUR)
        assert await pacer.blocked_until(counter(), NOW) == NOW + HOUR
    assert [type(answer) for answer in answers] == [Booked] * 10 + [Later]
    assert "secret" not in caplog.text + repr(pacer)

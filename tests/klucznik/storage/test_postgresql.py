"""A server: durable whatever its defaults, never in the way of the event loop, honest about what is wrong with it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event

import psycopg
import pytest
from sqlalchemy import Connection, text
from tests import needs
from tests.klucznik.databases import database_url
from tests.klucznik.storage.rows import NOW, OTHER_SUBJECT, SUBJECT, save_data_key
from tests.postgresql import Cluster, running

from klucznik.access.statuses import status_of
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject
from klucznik.errors import InputError, StorageError, SubjectBusy
from klucznik.storage import leases, private_keys, users
from klucznik.storage.database import Database
from klucznik.storage.postgresql import Postgresql

pytestmark = pytest.mark.postgresql

PASSWORD = "kanarek-haslo-7f3a9c"


def said(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(cluster.address("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


def refused(url: str) -> StorageError:
    with pytest.raises(StorageError) as caught:
        Database(url).close()
    assert PASSWORD not in f"{caught.value!s} {caught.value!r} {caught.value.data}"
    assert caught.value.__cause__ is None
    return caught.value


@pytest.fixture(scope="module")
def guest(server: Cluster) -> str:
    """The address of a user who needs a password and owns nothing."""
    rules = server.directory / "data" / "pg_hba.conf"
    rules.write_text(f"local all guest scram-sha-256\n{rules.read_text()}")
    said(server, f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'; SELECT pg_reload_conf()")
    return f"postgresql://guest:{PASSWORD}@/postgres?host={server.directory}"


def test_nobody_listens(tmp_path: Path) -> None:
    error = refused(f"postgresql://me:{PASSWORD}@localhost:1/books?host={tmp_path}")
    assert error.reason == "database_not_reached"
    assert error.data["file"] == f"postgresql://me@{tmp_path}:1/books"


def test_a_wrong_password(guest: str) -> None:
    assert refused(guest.replace(PASSWORD, "wrong")).reason == "database_login_refused"


def test_a_database_that_is_not_there(server: Cluster) -> None:
    assert refused(server.address("nowhere")).reason == "database_missing"


def test_a_user_who_may_make_no_tables(guest: str) -> None:
    assert refused(guest).reason == "database_not_permitted"


def test_an_encoding_that_cannot_hold_polish_names(server: Cluster) -> None:
    said(server, "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    error = refused(server.address("ascii"))
    assert (error.reason, error.data["encoding"]) == ("database_not_utf8", "SQL_ASCII")


def test_a_server_that_does_not_wait_for_its_disk() -> None:
    with running(needs.postgresql()) as careless:
        assert refused(careless.address("postgres")).reason == "database_not_durable"


@pytest.mark.parametrize(
    "url",
    ["", "postgresql", f"mysql://me:{PASSWORD}@h/x", f"postgresql://me:{PASSWORD}%zz@h/x", "postgresql://h/x?y=1"],
)
def test_what_is_no_address_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(InputError) as caught:
        Database(url)
    assert (caught.value.reason, caught.value.data) == ("database_url_malformed", {})


def test_the_password_is_nowhere_in_what_can_be_printed() -> None:
    server = Postgresql(f"postgresql://me:{PASSWORD}@db.example:5433/books?sslmode=require&sslpassword={PASSWORD}")
    assert server.shown == "postgresql://me@db.example:5433/books"
    assert PASSWORD not in f"{server!r} {server.engine!r} {server.engine.url} {server.engine.pool!r}"
    server.close()


async def test_a_commit_is_on_disk_when_it_returns_whatever_the_server_thinks(server: Cluster, tmp_path: Path) -> None:
    said(server, "ALTER ROLE postgres SET synchronous_commit = off")
    try:
        database = Database(database_url(tmp_path) or "")
        seen = await database.write(lambda connection: connection.execute(text("SHOW synchronous_commit")).scalar())
        database.close()
    finally:
        said(server, "ALTER ROLE postgres RESET synchronous_commit")
    assert seen == "on"


async def test_a_session_that_the_server_ends_is_told_and_the_next_one_works(database: Database) -> None:
    def ended(connection: Connection) -> None:
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(_address(connection), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (mine,))
        save_data_key(connection)

    with pytest.raises(StorageError) as caught:
        await database.write(ended)
    assert caught.value.reason == "database_connection_lost"
    assert await database.read(private_keys.load_data_keys) == []


async def test_a_text_that_the_server_cannot_hold_is_an_error_of_whoever_gave_it(database: Database) -> None:
    with pytest.raises(StorageError) as caught:
        await database.read(lambda connection: users.by_email(connection, "a\0b@example.pl"))
    assert (caught.value.reason, status_of(caught.value)) == ("text_with_nul", 422)


async def test_a_session_that_ended_while_nobody_used_it_is_replaced_unnoticed(database: Database) -> None:
    await database.write(save_data_key)
    end_all = text("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with psycopg.connect(await database.read(_address), autocommit=True) as other:
        other.execute(str(end_all) + " AND application_name = 'klucznik'")
    assert len(await database.read(private_keys.load_data_keys)) == 1


async def test_the_event_loop_is_free_while_the_database_works(database: Database) -> None:
    """It sets the event for which the work waits."""
    go_on = Event()
    working = asyncio.ensure_future(database.read(lambda _: go_on.wait(30)))
    await asyncio.sleep(0)
    go_on.set()
    assert await working


async def test_a_transaction_under_way_ends_before_its_cancelled_caller_goes_on(database: Database) -> None:
    begun, go_on = Event(), Event()

    def slow(connection: Connection) -> None:
        begun.set()
        go_on.wait(30)
        save_data_key(connection)

    writing = asyncio.ensure_future(database.write(slow))
    await asyncio.to_thread(begun.wait, 30)
    writing.cancel()
    await asyncio.sleep(0)
    assert not writing.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert len(await database.read(private_keys.load_data_keys)) == 1


async def test_two_writers_that_block_each_other_both_succeed(database: Database) -> None:
    """The server ends one of them, which is done once more."""
    await database.write(lambda connection: _lease(connection, SUBJECT, "a"))
    await database.write(lambda connection: _lease(connection, OTHER_SUBJECT, "b"))
    together, attempts = Barrier(2), []

    def cross(connection: Connection, first: str, second: str) -> None:
        attempts.append(first)
        _touch(connection, first)
        if len(attempts) <= 2:
            together.wait(30)
        _touch(connection, second)

    await asyncio.gather(
        database.write(lambda connection: cross(connection, "a", "b")),
        database.write(lambda connection: cross(connection, "b", "a")),
    )
    assert len(attempts) > 2  # whoever comes back fast may meet the other once more


def _lease(connection: Connection, subject: Subject, owner: str) -> None:
    leases.take(connection, Environment.TEST, subject, owner=owner, now=NOW, lasts=timedelta())


def _touch(connection: Connection, owner: str) -> None:
    connection.execute(text("UPDATE leases SET token = token + 1 WHERE owner = :owner"), {"owner": owner})


def test_of_many_who_take_a_lease_at_once_one_has_it(tmp_path: Path) -> None:
    together = Barrier(6)
    opened = [Database(database_url(tmp_path) or "") for _ in range(6)]

    def take(number: int) -> int | None:
        together.wait()
        try:
            lease = asyncio.run(
                opened[number].write(
                    lambda connection: leases.take(
                        connection, Environment.TEST, SUBJECT, owner=str(number), now=NOW, lasts=timedelta(minutes=2)
                    )
                )
            )
        except SubjectBusy:
            return None
        return lease.token

    with ThreadPoolExecutor(6) as processes:
        tokens = list(processes.map(take, range(6)))
    for each in opened:
        each.close()
    assert sorted(token for token in tokens if token is not None) == [1]


def test_a_user_of_sqlite_loads_nothing_of_postgresql(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from klucznik.services.installation import Installation\n"
        "async def main():\n"
        "    async with await Installation.open(Path(sys.argv[1])): pass\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('psycopg', 'procrastinate')])"
    )
    ran = subprocess.run([sys.executable, "-c", program, tmp_path / "home"], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def _address(connection: Connection) -> str:
    """Where this very connection goes."""
    info = connection.connection.dbapi_connection.info  # type: ignore[union-attr]
    return f"postgresql://{info.user}@/{info.dbname}?host={info.host}"


@pytest.fixture(autouse=True)
def _no_session_is_left_open(server: Cluster) -> Iterator[None]:
    """No connection is held while nothing is done: in a transaction there is nobody in the end."""
    yield
    with psycopg.connect(server.address("postgres")) as connection:
        left = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
        assert left.fetchone() == (0,)

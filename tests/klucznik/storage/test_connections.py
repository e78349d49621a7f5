"""Connections and the operator: what is saved comes back, and whoever is late changes nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection as Transaction

from klucznik.domain.connections import Connection, Health, Method, Operator
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.errors import StorageError
from klucznik.storage import connections, operators
from klucznik.storage.database import Database

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
PERSON = Subject(SubjectType.PESEL, "80010112345")


def connection(nip: str = "5265877635", **changes: object) -> Connection:
    plain = Connection(
        id=f"{int(nip):032x}",
        environment=Environment.SANDBOX,
        context=Context.of_nip(nip),
        method=Method.CERTIFICATES,
        subject=PERSON,
        health=Health.UNCHECKED,
        health_since=NOW,
        created_at=NOW,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


async def add(database: Database, *those: Connection) -> None:
    def work(transaction: Transaction) -> None:
        for one in those:
            connections.add(transaction, one, now=NOW)

    await database.write(work)


async def test_a_connection_comes_back_as_it_was_saved(database: Database) -> None:
    whole = connection(
        name="Zażółć sp. z o.o.",
        health=Health.PERMISSION_LOST,
        health_code=415,
        checked_at=NOW + timedelta(hours=1),
        deploy_hook="/usr/local/bin/deploy",
        revokes_superseded=True,
    )
    await add(database, whole)
    found = await database.read(
        lambda transaction: connections.of_context(transaction, Environment.SANDBOX, whole.context)
    )
    assert found == whole


async def test_a_company_has_one_connection_in_each_environment(database: Database) -> None:
    await add(database, connection(), connection(id="b" * 32, environment=Environment.TEST))
    with pytest.raises(StorageError):
        await add(database, connection(id="c" * 32))


async def test_a_change_that_saw_an_older_version_changes_nothing(database: Database) -> None:
    seen = connection()
    await add(database, seen)
    healthy = replace(seen, health=Health.HEALTHY)
    saved = await database.write(lambda transaction: connections.save(transaction, healthy, now=NOW))
    with pytest.raises(StorageError, match="state_moved_on"):
        await database.write(
            lambda transaction: connections.save(transaction, replace(seen, health=Health.BLOCKED), now=NOW)
        )
    assert (
        await database.read(lambda transaction: connections.of_context(transaction, seen.environment, seen.context))
        == saved
    )


async def test_pages_show_every_connection_once_by_its_number(database: Database) -> None:
    nips = [f"11111111{number:02d}" for number in range(11, 34)]
    await add(database, *(connection(nip) for nip in reversed(nips)))
    shown: list[str] = []
    after: Context | None = None
    while True:
        page = await database.read(partial(connections.page, environment=Environment.SANDBOX, size=5, after=after))
        if not page:
            break
        shown += [one.context.value for one in page]
        after = page[-1].context
    assert shown == nips


async def test_the_companies_of_one_person_are_found_by_the_person(database: Database) -> None:
    theirs = [connection("1111111111"), connection("2222222222")]
    await add(database, *theirs, connection("3333333333", method=Method.PERMISSION, subject=None))
    found = await database.read(lambda transaction: connections.of_subject(transaction, Environment.SANDBOX, PERSON))
    assert found == theirs


async def test_a_new_operator_takes_the_place_of_the_one_before(database: Database) -> None:
    first = Operator(Environment.SANDBOX, "1111111111", "Biuro Pierwsze")
    second = Operator(Environment.SANDBOX, "2222222222", "Biuro Drugie", certificate=b"der")
    for operator in (first, second):
        await database.write(partial(operators.put, operator=operator, now=NOW))
    assert await database.read(lambda transaction: operators.load(transaction, Environment.SANDBOX)) == second
    assert await database.read(lambda transaction: operators.load(transaction, Environment.TEST)) is None

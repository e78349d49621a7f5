"""The board: every order and filter, each connection once, from an index, whatever changes meanwhile."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from bench.portfolio import fill
from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, event
from tests.klucznik.world import context_of, installed, owner, some_nip

from klucznik.domain.board import Order, Wanted, folded, looked_for, order_of
from klucznik.domain.connections import WORST_FIRST, Connection, Dated, Health, Method
from klucznik.errors import InputError
from klucznik.services.board import board_page, counts, everything
from klucznik.services.connections import ConnectionStatus, new_connection
from klucznik.services.installation import Installation
from klucznik.services.issue import issue
from klucznik.services.revoke import revoke
from klucznik.storage import board, connections
from klucznik.storage.board import Place
from ksef_sandbox import Sandbox

NUMBER = 120
WANTED: dict[str, Wanted] = {
    "all": Wanted(),
    "by certificates": Wanted(method=Method.CERTIFICATES),
    "by permission": Wanted(method=Method.PERMISSION),
    "healthy": Wanted(health=Health.HEALTHY),
    "healthy tokens": Wanted(health=Health.HEALTHY, method=Method.TOKEN),
    "attention": Wanted(attention=True),
    "soon": Wanted(ends_within=timedelta(days=90)),
    "soon, by certificates": Wanted(ends_within=timedelta(days=90), method=Method.CERTIFICATES),
    "a name": Wanted(name_has="zolw bud"),
    "a number": Wanted(nip_begins="11111111"),
    "one company": Wanted(nip="1111111115"),
}


@pytest.fixture
async def office(ksef: Sandbox, tmp_path: Path) -> AsyncIterator[Installation]:
    async with installed(tmp_path, ksef) as klucznik:
        await fill(klucznik, NUMBER)
        yield klucznik


async def walk(
    klucznik: Installation, wanted: Wanted, order: Order, *, size: int, between: Callable[[], Any] | None = None
) -> list[ConnectionStatus]:
    """All pages, one after the other, and something that happens between them."""
    found: list[ConnectionStatus] = []
    cursor: str | None = None
    while True:
        page = await board_page(klucznik, wanted, order, cursor=cursor, size=size)
        found += page.rows
        if page.following is None:
            return found
        cursor = page.following
        if between is not None:
            await between()


def is_wanted(one: ConnectionStatus, wanted: Wanted, now: datetime) -> bool:
    """The filters, told once more in other words."""
    it, date = one.connection, one.next_date
    late = date is not None and date.about in (Dated.CERTIFICATE_ENDS, Dated.CERTIFICATE_ENDED, Dated.TOKENS_END)
    ends = [held.valid_to for held in one.certificates]
    if date is not None and date.about is not Dated.RENEWAL_DUE:
        ends.append(date.at)
    return all(
        (
            wanted.nip in (None, it.context.value),
            it.context.value.startswith(wanted.nip_begins or ""),
            (wanted.name_has or "") in folded(it.name or ""),
            wanted.method in (None, it.method),
            wanted.health in (None, it.health),
            not wanted.attention or it.health.is_trouble or late,
            wanted.ends_within is None or any(end <= now + wanted.ends_within for end in ends),
        )
    )


def key_of(one: ConnectionStatus, order: Order) -> Any:
    it = one.connection
    first = {
        Order.NIP: "",
        Order.NAME: folded(it.name or "") or it.context.value,
        Order.HEALTH: WORST_FIRST.index(it.health),
        Order.NEXT: "",
        Order.URGENT: "",
    }[order]
    return first, it.context.value


async def test_every_walk_shows_each_connection_that_is_wanted_once_and_in_order(office: Installation) -> None:
    now = office.clock.now()
    whole = [one async for page in everything(office, Wanted(), Order.NIP) for one in page.rows]
    assert len(whole) == NUMBER
    for (name, wanted), order in product(WANTED.items(), Order):
        found = await walk(office, wanted, order, size=7)
        expected = {one.connection.id for one in whole if is_wanted(one, wanted, now)}
        assert expected, name
        assert sorted(one.connection.id for one in found) == sorted(expected), name
        if order not in (Order.NEXT, Order.URGENT):
            assert found == sorted(found, key=lambda one: key_of(one, order)), name


async def test_what_has_to_be_done_first_comes_first(office: Installation) -> None:
    found = await walk(office, Wanted(), Order.NEXT, size=11)
    kinds = [None if one.next_date is None else one.next_date.about for one in found]
    late = (Dated.CERTIFICATE_ENDED, Dated.CERTIFICATE_ENDS, Dated.TOKENS_END)
    assert kinds == sorted(kinds, key=lambda kind: 2 if kind is None else 0 if kind in late else 1)
    dues = [one.next_date.at for one in found if one.next_date and one.next_date.about is Dated.RENEWAL_DUE]
    assert dues == sorted(dues)
    assert len(dues) > NUMBER / 4


async def test_what_needs_somebody_comes_before_all_else(office: Installation) -> None:
    now = office.clock.now()
    found = await walk(office, Wanted(), Order.URGENT, size=11)
    needs = [is_wanted(one, Wanted(attention=True), now) for one in found]
    assert needs == sorted(needs, reverse=True)
    assert 0 < sum(needs) < NUMBER


@pytest.mark.parametrize("order", list(Order))
async def test_what_stays_as_it_is_is_shown_once_also_when_everything_around_it_changes(
    office: Installation, order: Order
) -> None:
    chance = random.Random(order.value)
    before = [one.connection async for page in everything(office, Wanted(), Order.NIP) for one in page.rows]
    restless = {one.id for one in before if chance.random() < 0.4}
    left = [one for one in before if one.id in restless]

    async def something_happens() -> None:
        for _ in range(3):
            if not left:
                return
            one = left.pop(chance.randrange(len(left)))
            await office.database.write(lambda transaction: change(transaction, one))  # noqa: B023

    def change(transaction: Transaction, one: Connection) -> None:
        now = office.clock.now()
        if chance.random() < 0.3:
            connections.remove(transaction, one)
            return
        name, health = chance.choice(["Aaa", "Zzz", None]), chance.choice(list(Health))
        connections.save(transaction, replace(one, name=name, health=health), now=now)
        connections.add(transaction, new_connection(office, context_of(some_nip()), one.method, one.subject), now=now)

    found = [one.connection.id for one in await walk(office, Wanted(), order, size=7, between=something_happens)]
    calm = [one.id for one in before if one.id not in restless]
    assert sorted(one for one in found if one in calm) == sorted(calm)


async def test_the_dates_on_the_board_follow_the_certificates(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        nip = some_nip()
        await issue(klucznik, context_of(nip), owner(nip, ksef))
        (healthy,) = (await board_page(klucznik, Wanted(), Order.NEXT)).rows
        authentication, offline = healthy.certificates
        assert healthy.next_date is not None
        assert healthy.next_date.about is Dated.RENEWAL_DUE
        assert (await counts(klucznik)).attention == 0
        ksef.advance(seconds=int((healthy.next_date.at - klucznik.clock.now()).total_seconds()) + 1)
        assert (await counts(klucznik)).attention == 1
        soon = Wanted(ends_within=authentication.valid_to - klucznik.clock.now() + timedelta(seconds=1))
        assert len((await board_page(klucznik, soon, Order.NIP)).rows) == 1
        for one in (offline, authentication):
            await revoke(klucznik, context_of(nip), one.serial_number, None, confirm=lambda _: True)
        (gone,) = (await board_page(klucznik, Wanted(), Order.NEXT)).rows
        assert (gone.certificates, gone.next_date) == ((), None)
        assert (await board_page(klucznik, soon, Order.NIP)).rows == ()


async def test_a_search_finds_a_number_by_its_beginning_and_a_name_by_any_part_of_it() -> None:
    assert looked_for(" 526-58 ") == ("52658", None)
    assert looked_for("PL5265877635") == ("5265877635", None)
    assert looked_for("ŻÓŁW-bud  Sp.") == (None, "zolw bud sp")
    assert looked_for("100% _") == (None, "100")
    assert looked_for(" .. ") == (None, None)
    assert folded("Gęślą JAŹŃ") == "gesla jazn"
    assert folded("Ǿ") == folded(folded("Ǿ")) == "o"  # so that a cursor leads to where it was taken


async def test_a_cursor_that_is_none_or_of_another_order_is_refused(office: Installation) -> None:
    by_name = (await board_page(office, Wanted(), Order.NAME, size=5)).following
    for cursor in ("", "!", "bm9uZQ", "WzFd", "W10", "WyJuaXAiLG51bGwsIk5pcCIsIlx1MDAwMCJd", "x" * 5000, by_name):
        for order in (Order.NIP, Order.NEXT, Order.HEALTH):
            with pytest.raises(InputError, match="list_place_malformed"):
                await board_page(office, Wanted(), order, cursor=cursor)


@pytest.mark.sqlite
async def test_no_page_is_found_by_looking_through_everything(office: Installation) -> None:
    """Where a filter names a span, those few are sorted; everything else comes from an index as it is shown."""
    for (name, wanted), order in product(WANTED.items(), Order):
        spans = wanted.ends_within is not None or wanted.nip is not None
        spans = spans or (wanted.attention and order is not Order.URGENT)
        spans = spans or (wanted.nip_begins is not None and order is not Order.NIP)
        plans = await plans_of(office, wanted, order)
        assert len(plans) == 2
        for plan in plans:
            assert "SCAN" not in plan, (name, order, plan)
            assert spans or "TEMP B-TREE" not in plan, (name, order, plan)
            assert "attention_from" in plan or not wanted.attention
            assert "ends_at_place" in plan or wanted.ends_within is None


_KEYS: dict[Order, Any] = {
    Order.NIP: None,
    Order.NAME: "a",
    Order.HEALTH: 1,
    Order.NEXT: datetime(2027, 1, 1, tzinfo=UTC),
    Order.URGENT: datetime(2026, 1, 1, tzinfo=UTC),
}


async def plans_of(klucznik: Installation, wanted: Wanted, order: Order) -> list[str]:
    """How SQLite finds the first page and the next."""
    plans: list[str] = []

    def look(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith("SELECT"):
            steps = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append(" | ".join(step[3] for step in steps))

    def read(transaction: Transaction) -> None:
        served = order_of(wanted, order)
        for after in (None, Place(_KEYS[served], "Nip", "1111111111")):
            board.page(transaction, klucznik.environment, wanted, served, after=after, size=2, now=klucznik.clock.now())

    event.listen(Engine, "before_cursor_execute", look)
    await klucznik.database.read(read)
    event.remove(Engine, "before_cursor_execute", look)
    return plans

"""Events: what is told, to whom, in which order; no follower misses one, whatever transactions do."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import psycopg
import pytest
from tests.klucznik.databases import database_url
from tests.klucznik.receivers import ALL, happened, kinds_of
from tests.klucznik.world import context_of, installed, owner, set_limits, some_nip

from klucznik.domain.audit import Entry, Event
from klucznik.domain.events import Choice, Kind, PublicEvent, told
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.preflight import Refusal
from klucznik.services import audit
from klucznik.services.issue import Issued, issue
from klucznik.services.telling.events import Feed, newest, page, tell
from ksef_sandbox import Sandbox


async def always() -> bool:
    return True


async def test_an_issuance_is_told_step_by_step_in_order(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        assert isinstance(await issue(klucznik.acting("user:anna"), context_of(nip), owner(nip, ksef)), Issued)
        found = (await page(klucznik, after=0, choice=ALL)).events
    assert [one.kind for one in found] == [
        Kind.ISSUANCE_ORDERED,
        Kind.CERTIFICATE_ISSUED,
        Kind.CERTIFICATE_ISSUED,
        Kind.CONNECTION_MADE,
        Kind.ISSUANCE_DONE,
    ]
    assert {one.nip for one in found} == {nip}
    assert len({one.issuance_id for one in found} - {None}) == 1
    assert [one.number for one in found] == sorted({one.number for one in found})
    assert told(found[0], klucznik.environment)["actor"] == "user:anna"


async def test_a_refusal_is_told_with_its_numbers_and_without_the_whole_pesel(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = owner(nip, ksef)
    subject = credential.holder.signs_in_as
    set_limits(ksef, subject, enrollment=1)
    async with installed(tmp_path, ksef) as klucznik:
        assert isinstance(await issue(klucznik, context_of(nip), credential), Refusal)
        found = (await page(klucznik, after=0, choice=ALL)).events
    assert [one.kind for one in found] == [Kind.ISSUANCE_ORDERED, Kind.ISSUANCE_REFUSED]
    event = told(found[-1], klucznik.environment)
    data = event["data"]
    assert isinstance(data, dict)
    assert data["reasons"] == ["request_limit_below_needed"]
    assert data["needed"] == 2
    assert data["limits"]["requests"] == {"remaining": 1, "limit": 1}
    assert data["subject"] == {"type": "Pesel", "shown": subject.shown()}
    assert subject.value not in json.dumps(event)
    assert event["actor"] is None  # the name of a process is nobody's business
    assert klucznik.owner not in json.dumps(event)


async def test_a_change_that_is_undone_is_not_told(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:

        def undone(transaction: object) -> None:
            subject = Subject(SubjectType.NIP, some_nip())
            audit.record(klucznik, transaction, subject, Entry(Event.CONNECTION_MADE, {}))  # type: ignore[arg-type]
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await klucznik.database.write(undone)
        assert await kinds_of(klucznik) == []


async def test_whoever_may_see_one_company_sees_no_other(ksef: Sandbox, tmp_path: Path) -> None:
    mine, theirs = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        await happened(klucznik, mine)
        await happened(klucznik, theirs)
        found = await page(klucznik, after=0, choice=Choice(nip=mine))
        assert [one.nip for one in found.events] == [mine]
        # What was passed over is not read again.
        assert found.upto == await newest(klucznik)
        assert await kinds_of(klucznik, Choice(kinds=frozenset({Kind.CONNECTION_MADE}))) == []


async def test_pages_follow_each_other_without_a_gap(ksef: Sandbox, tmp_path: Path) -> None:
    nip, seen, after, more = some_nip(), 0, 0, True
    async with installed(tmp_path, ksef) as klucznik:
        for _ in range(7):
            await happened(klucznik, nip)
        while more:
            found = await page(klucznik, after=after, choice=ALL, size=3)
            assert all(one.number > after for one in found.events)
            seen, after, more = seen + len(found.events), found.upto, found.more
        assert seen == 7


async def test_numbers_never_come_twice_even_after_older_rows_were_put_back(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        await happened(klucznik, some_nip())
        before = (await page(klucznik, after=0, choice=ALL)).upto
        await klucznik.database.write(lambda transaction: transaction.exec_driver_sql("DELETE FROM events"))
        ksef.advance(seconds=1)
        await happened(klucznik, some_nip())
        assert len((await page(klucznik, after=before, choice=ALL)).events) == 1


_INSERT = (
    "INSERT INTO events (id, environment, at, kind, context_value, actor, data)"
    " VALUES (%s, 'sandbox', now(), 'connection.made', '1111111111', 'x', '{}')"
)


@pytest.mark.postgresql
async def test_an_event_whose_transaction_ends_late_is_behind_no_cursor(ksef: Sandbox, tmp_path: Path) -> None:
    """Two open transactions: the one that began first, and has the lower id, is committed last."""
    async with installed(tmp_path, ksef) as klucznik:
        url = database_url(tmp_path) or ""
        with psycopg.connect(url) as slow, psycopg.connect(url) as quick:
            slow.execute(_INSERT, ("a" * 32,))
            quick.execute(_INSERT, ("b" * 32,))
            quick.commit()
            first = await page(klucznik, after=0, choice=ALL)
            assert [one.id for one in first.events] == ["b" * 32]
            slow.commit()
        second = await page(klucznik, after=first.upto, choice=ALL)
        assert [one.id for one in second.events] == ["a" * 32]


@pytest.mark.postgresql
async def test_while_numbers_are_being_given_nobody_else_gives_any(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, installed(tmp_path, ksef) as other:
        await happened(klucznik, some_nip())
        with psycopg.connect(database_url(tmp_path) or "") as numbering:
            key = "SELECT pg_advisory_xact_lock(hashtextextended('klucznik events sandbox', 0))"
            numbering.execute(key)
            assert (await tell(klucznik), await tell(other)) == (0, 0)
            numbering.commit()
        assert sum([await tell(klucznik), await tell(other)]) == 1


async def test_followers_miss_nothing_and_hear_nothing_twice(ksef: Sandbox, tmp_path: Path) -> None:
    """Some join in the middle, from the beginning or from now on; events come from two installations at once."""
    nips = [some_nip() for _ in range(30)]
    async with installed(tmp_path, ksef) as klucznik, installed(tmp_path, ksef) as other:
        feed = Feed(klucznik, look_every_s=0.01)

        async def hear(number: int, after: int, choice: Choice = ALL) -> list[PublicEvent]:
            heard: list[PublicEvent] = []
            async for event in feed.follow(after=after, choice=choice, still=always, quiet_s=30):
                assert event is not None
                heard.append(event)
                if len(heard) == number:
                    break
            return heard

        listening = [asyncio.create_task(hear(30, 0)) for _ in range(3)]
        one = asyncio.create_task(hear(1, 0, Choice(nip=nips[20])))
        for nip in nips[:10]:
            await happened(klucznik, nip)
        listening.append(asyncio.create_task(hear(30, 0)))
        await asyncio.gather(*(happened(klucznik if place % 2 else other, nip) for place, nip in enumerate(nips[10:])))
        heard = await asyncio.wait_for(asyncio.gather(*listening), timeout=60)
        assert [event.nip for event in await one] == [nips[20]]
        # Whoever comes again goes on where he was.
        again = await hear(5, heard[0][24].number)
    assert all([event.number for event in mine] == [event.number for event in heard[0]] for mine in heard)
    assert sorted(str(event.nip) for event in heard[0]) == sorted(nips)
    assert again == heard[0][25:]


async def test_a_quiet_stream_is_seen_to_live_and_ends_in_time(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        await happened(klucznik, some_nip())
        after = await newest(klucznik)
        async with asyncio.timeout(60):
            async with aclosing(Feed(klucznik).follow(after=after, choice=ALL, still=always, quiet_s=0.01)) as quiet:
                assert await anext(quiet) is None
            ending = Feed(klucznik).follow(after=after, choice=ALL, still=always, quiet_s=3600, lasts_s=0.05)
            assert {one async for one in ending} <= {None}

"""The calendar by month, and the feed that calendar programs subscribe to."""

import re
from pathlib import Path

import icalendar
from bench.portfolio import fill
from tests.klucznik.web.worlds import browser
from tests.klucznik.world import installed

from klucznik.domain.board import Order, Wanted
from klucznik.domain.connections import Dated, Method
from klucznik.domain.roles import Action, Role
from klucznik.services.accounts.api_keys import make_key
from klucznik.services.board import everything
from klucznik.services.calendar import Event, Month, feed, month_page
from klucznik.services.installation import Installation
from ksef_sandbox import Sandbox


async def test_every_date_of_every_company_is_in_its_month_once(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        await fill(klucznik, 300)
        month, pages = Month.of(klucznik.clock.now()).previous, 0
        found: list[Event] = []
        for _ in range(30):
            cursor = None
            while True:
                page = await month_page(klucznik, month, cursor=cursor, size=7)
                found += page.events
                pages += 1
                cursor = page.following
                if cursor is None:
                    break
            month = month.next
        assert pages > 60
        assert [event.at for event in found] == sorted(event.at for event in found)
        told = [(event.connection.id, event.about) for event in found]
        assert len(set(told)) == len(told)
        rows = [one async for page in everything(klucznik, Wanted(), Order.NIP) for one in page.rows]
        ending = {one.connection.id for one in rows if one.next_date is not None}
        assert {one for one, about in told if about is not Dated.RENEWAL_DUE} == ending
        tokens = {one.connection.id for one in rows if one.connection.method is Method.TOKEN}
        recent = {one for one, about in told if about is Dated.RENEWAL_DUE}
        assert not recent & tokens
        assert len(recent) > 150


async def test_the_page_leads_to_the_months_that_have_something(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.AUDITOR) as auditor:
        assert "nic nie przypada" in (await auditor.get("/calendar")).text
        await fill(klucznik, 20)
        assert "Najbliższy termin" in (await auditor.get("/calendar?month=2025-01")).text
        first = await feed(klucznik)
        month = Month.of(first[-1].at)
        text = (await auditor.get(f"/calendar?month={month}")).text
        assert f"/companies/{first[-1].connection.context.value}" in text
        for query in ("month=2026-13", "month=x", "after=x", "after=WzFd"):
            assert (await auditor.get(f"/calendar?{query}")).status_code == 422


async def test_a_calendar_program_subscribes_with_a_key_as_password_and_no_secret_in_the_address(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik) as program:
        nips = await fill(klucznik, 30)
        bare = await program.get("/calendar.ics")
        assert (bare.status_code, bare.headers["www-authenticate"][:5]) == (401, "Basic")
        for password in ("", "klk_wrong", await key(klucznik, Action.CONNECT)):
            refused = await program.get("/calendar.ics", auth=("anna", password))
            assert refused.status_code in (401, 403)
        answer = await program.get("/calendar.ics", auth=("anna", await key(klucznik, Action.SEE)))
        assert answer.headers["content-type"].startswith("text/calendar")
        calendar = icalendar.Calendar.from_ical(answer.content)
        events = calendar.walk("VEVENT")
        assert len(events) > 20
        assert len({str(event["uid"]) for event in events}) == len(events)
        assert not re.search(r"Pesel|PESEL|800101\d{5}", answer.text)
        again = await program.get("/calendar.ics", auth=("x", await key(klucznik, Action.SEE)))
        assert [str(one["uid"]) for one in icalendar.Calendar.from_ical(again.content).walk("VEVENT")] == [
            str(one["uid"]) for one in events
        ]
        bound = await program.get("/calendar.ics", auth=("x", await key(klucznik, Action.SEE, nip=nips[0])))
        assert set(re.findall(r"NIP (\d+)", bound.text)) <= {nips[0]}
        async with browser(klucznik, Role.AUDITOR) as auditor:
            assert (await auditor.get("/calendar.ics")).status_code == 200


async def key(klucznik: Installation, scope: Action, nip: str | None = None) -> str:
    secret, _ = await make_key(klucznik, "kalendarz", [scope], days=30, nip=nip)
    return secret

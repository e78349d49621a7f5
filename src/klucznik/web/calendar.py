"""The calendar of renewals and ends: a page for each month, and a feed for calendar programs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from klucznik.access.cookies import LANGUAGE_COOKIE
from klucznik.access.feeds import RequiresOrKey
from klucznik.access.gate import Caller, Requires, Visitor, settings_of
from klucznik.domain.roles import Action
from klucznik.messages import Words, words_for_pages
from klucznik.services import calendar
from klucznik.services.calendar import Event, Month
from klucznik.web.pages import render

router = APIRouter()

ICALENDAR = "text/calendar; charset=utf-8"


@router.get("/calendar")
async def show(
    request: Request,
    visitor: Annotated[Visitor, Depends(Requires(Action.SEE))],
    month: str | None = None,
    after: str | None = None,
) -> HTMLResponse:
    present = Month.of(visitor.klucznik.clock.now())
    chosen = present if month is None else Month.parse(month)
    nip = visitor.principal.nip
    page = await calendar.month_page(visitor.klucznik, chosen, cursor=after, nip=nip)
    following = None if page.events else await calendar.next_month(visitor.klucznik, after=chosen, nip=nip)
    return render(
        request,
        "calendar.html",
        month=chosen,
        present=present,
        days=[(day, list(events)) for day, events in groupby(page.events, key=lambda event: event.day)],
        following=page.following,
        next_month=following,
        feed=f"{settings_of(request).public_url}/calendar.ics",
    )


@router.get("/calendar.ics")
async def feed(
    request: Request,
    caller: Annotated[Caller, Depends(RequiresOrKey(Action.SEE))],
    language: str | None = None,
) -> Response:
    """The same for calendar programs; they have no cookie that says a language, so the address may say it."""
    words = words_for_pages(language or request.cookies.get(LANGUAGE_COOKIE, ""))
    events = await calendar.feed(caller.klucznik, nip=caller.principal.nip)
    home, now = settings_of(request).public_url, caller.klucznik.clock.now()
    return Response(await asyncio.to_thread(_ics, events, words, home, now), media_type=ICALENDAR)


def _ics(events: Iterable[Event], words: Words, home: str, now: datetime) -> bytes:
    import icalendar  # who looks at no calendar does not wait for it

    feed = icalendar.Calendar()
    feed.add("prodid", "-//Klucznik//Klucznik//PL")
    feed.add("version", "2.0")
    feed.add("x-wr-calname", words.say("calendar.feed"))
    feed.add("refresh-interval", timedelta(days=1))
    feed.add("x-published-ttl", timedelta(days=1))
    for event in events:
        connection = event.connection
        entry = icalendar.Event()
        # The same company and kind of date keep their name when the date moves, so that programs move them too.
        entry.add("uid", f"{connection.id}-{event.about.value}@klucznik")
        entry.add("dtstamp", now)
        entry.add("dtstart", event.day.date())
        company = connection.name or connection.context.value
        entry.add("summary", words.say(f"calendar.summary.{event.about.value}", company=company))
        entry.add("description", f"NIP {connection.context.value}")
        entry.add("url", f"{home}/companies/{connection.context.value}")
        entry.add("transp", "TRANSPARENT")
        feed.add_component(entry)
    return bytes(feed.to_ical())

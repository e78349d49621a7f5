"""Events as a list that goes on where the caller was, and as a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from klucznik.access.keys import RequiresKey
from klucznik.access.told import feed_of
from klucznik.api.answers import answered, sent
from klucznik.api.asked import See
from klucznik.api.models.events import EVENT_ID, EXAMPLE, EventPage
from klucznik.api.paging import Limit
from klucznik.domain.audit import canonical_facts
from klucznik.domain.environments import Environment
from klucznik.domain.events import Choice, Kind, PublicEvent, told
from klucznik.domain.roles import Action
from klucznik.services.telling.events import newest, page

router = APIRouter(prefix="/events", tags=["events"])

Kinds = Annotated[list[Kind], Query(alias="type", max_length=50, description="Only these; none: all")]
_AN_ID = EXAMPLE["id"]
_AGAIN_AFTER_MS = 3000
_SEES = RequiresKey(Action.SEE)


@router.get("", response_model=EventPage, summary="List events")
async def list_events(
    caller: See,
    after: Annotated[
        str | None, Query(pattern=EVENT_ID, description="Id of the last event that is known", examples=[_AN_ID])
    ] = None,
    limit: Limit = 50,
    kinds: Kinds = [],  # noqa: B006  FastAPI copies it
) -> Response:
    """Events after one that is known, in the order in which they are told; the last 90 days are kept."""
    choice = Choice(caller.principal.nip, frozenset(kinds))
    found = await page(caller.klucznik, after=int(after or 0), choice=choice, size=limit)
    items = [told(one, caller.klucznik.environment) for one in found.events]
    shown = {"items": items, "next": str(found.upto), "more": found.more}
    return sent(answered(EventPage, json.loads(json.dumps(shown))))


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `id`, `event` (the type) and `data` (an event as in the list)",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
    summary="Follow events",
)
async def follow_events(
    request: Request,
    caller: See,
    last_event_id: Annotated[
        str | None,
        Header(pattern=EVENT_ID, description="Goes on after this event; without it, from now on", examples=[_AN_ID]),
    ] = None,
    kinds: Kinds = [],  # noqa: B006  FastAPI copies it
) -> Response:
    """Events as they happen. The stream ends after ten minutes: come back with the id of the last event that came. It
    ends too when the key is revoked, runs out or may no longer see."""
    choice = Choice(caller.principal.nip, frozenset(kinds))
    after = await newest(caller.klucznik) if last_event_id is None else int(last_event_id)
    events = feed_of(request).follow(after=after, choice=choice, still=lambda: _SEES.still(request))
    return StreamingResponse(
        _lines(events, caller.klucznik.environment),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def _lines(events: AsyncGenerator[PublicEvent | None], environment: Environment) -> AsyncIterator[str]:
    yield f"retry: {_AGAIN_AFTER_MS}\n\n"
    async with aclosing(events):
        async for event in events:
            if event is None:
                yield ": \n\n"
            else:
                body = canonical_facts(told(event, environment))
                yield f"id: {event.number}\nevent: {event.kind}\ndata: {body}\n\n"

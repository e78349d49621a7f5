"""The audit log for programs that keep it elsewhere or watch over it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from klucznik.api.answers import answered, sent
from klucznik.api.asked import NIP, Audit, company
from klucznik.api.language import words_of
from klucznik.api.models.audit import AuditPage
from klucznik.api.paging import Cursor, Limit, cursor_of, key_in, link, page_of
from klucznik.api.problems import documented
from klucznik.domain.audit import Event, Wanted, company_of, moment
from klucznik.errors import InputError
from klucznik.services import audit as service
from klucznik.views.keeping import audit_row

router = APIRouter(prefix="/audit", tags=["audit"])

Moment = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$",
        examples=["2026-11-23T14:05:00Z"],
        json_schema_extra={"format": "date-time"},
    ),
]


def _known(name: str) -> str:
    if name not in set(Event):
        raise PydanticCustomError("enum", "not one of these", {"expected": ", ".join(Event)})
    return name


# No enum of ours: by its name the description would take it for the `Event` that webhooks tell.
EventName = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": [one.value for one in Event]})
]


@router.get("", response_model=AuditPage, responses=documented(404), summary="List the audit log")
async def list_audit(
    request: Request,
    caller: Audit,
    limit: Limit = 50,
    after: Cursor = None,
    nip: Annotated[str | None, Query(pattern=NIP, description="Only what is about this company")] = None,
    event: Annotated[EventName | None, Query(description="Only this")] = None,
    since: Annotated[Moment, Query(description="From this moment on, in UTC")] = None,
    until: Annotated[Moment, Query(description="Before this moment, in UTC")] = None,
) -> Response:
    """What was done, by whom and when: the newest first, a page at a time. Rows are never changed or taken away.

    A key of one company sees what is about that company. What people do to accounts, keys and webhooks is about none.
    """
    bound = caller.principal.nip
    only = bound if nip is None else company(caller, nip).value
    environment = caller.klucznik.environment
    wanted = Wanted(
        None if only is None else company_of(environment, only),
        None if event is None else Event(event),
        _exact(since),
        _exact(until),
    )
    before = None if after is None else await service.place_of(caller.klucznik, *_marked(after))
    found = await service.page(caller.klucznik, wanted, before=before, size=limit + 1)
    page = found[:limit]
    further = cursor_of(page[-1].at, service.mark_of(page[-1]).hex()) if len(found) > limit else None
    items = [audit_row(one, words_of(request), whole=bound is None) for one in page]
    return sent(answered(AuditPage, page_of(items, further), headers=link(request, further)))


def _exact(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return moment(datetime.fromisoformat(text))
    except ValueError:  # no such day
        raise InputError("moment_malformed", value=text) from None


def _marked(cursor: str) -> tuple[str, bytes]:
    at, mark = key_in(cursor, 2)
    try:
        return at, bytes.fromhex(mark)
    except ValueError:
        raise InputError("cursor_malformed") from None

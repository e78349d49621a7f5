"""Issuances: order, follow, call off; and what to do where the limits refuse."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from klucznik.access.gate import Caller
from klucznik.api.answers import IdempotencyKey, answered, located, once, sent
from klucznik.api.asked import NIP, Id, Issue, Nip, See, company, connected
from klucznik.api.language import words_of
from klucznik.api.models.issuances import Cancelled, IssuanceDetail, IssuancePage, NewIssuance, Ordered
from klucznik.api.models.refusals import Preflight
from klucznik.api.paging import Cursor, Limit, cursor_of, key_in, link, page_of
from klucznik.api.problems import documented
from klucznik.domain.identifiers import Context
from klucznik.errors import InputError
from klucznik.services import preflight
from klucznik.services.accounts.idempotency import Answer, Claim
from klucznik.services.cancel import cancel
from klucznik.services.follow import until_it_ends
from klucznik.services.issue import AlreadyHeld, order
from klucznik.services.status import IssuanceStatus, all_issuances, issued_by, one_issuance
from klucznik.views import issuing as views
from klucznik.views.parts import certificate
from klucznik.views.refusals import lookout

router = APIRouter()

# RFC 7240. Whoever would wait longer asks again.
_WAIT = re.compile(r"(?:^|,)\s*wait=(\d{1,4})\s*(?:$|[,;])", re.ASCII)
LONGEST_WAIT_S = 60

Prefer = Annotated[
    str | None,
    Header(
        max_length=100,
        description=f"`wait=30`: answer when it has ended, or after so many seconds (at most {LONGEST_WAIT_S})",
        examples=["wait=30"],
    ),
]


@router.get(
    "/connections/{nip}/preflight",
    response_model=Preflight,
    responses=documented(404, 409, 502),
    tags=["limits"],
    summary="Ask KSeF whether a pair can be issued",
)
async def look_ahead(
    request: Request,
    caller: Issue,
    nip: Nip,
    another_pair: Annotated[bool, Query(description="For a whole new pair although a valid one is held")] = False,
) -> Response:
    """Both limits and the decision on them, with the ways out of a refusal. Signs in to KSeF; files nothing."""
    context = await connected(caller, nip)
    found = await preflight.look_ahead(caller.klucznik, context, another_pair=another_pair)
    return sent(answered(Preflight, lookout(found, words_of(request))))


@router.post(
    "/issuances",
    response_model=Ordered,
    status_code=201,
    responses={
        200: {"model": Ordered, "description": "A valid pair is held already: nothing was ordered"},
        201: {
            "headers": {
                "Location": {"description": "Where the issuance is", "schema": {"type": "string"}},
                "Preference-Applied": {"description": "How long was waited at most", "schema": {"type": "string"}},
            }
        },
        **documented(404, 409, 502),
    },
    tags=["issuances"],
    summary="Order what is missing of a pair",
)
async def order_issuance(
    request: Request, caller: Issue, body: NewIssuance, key: IdempotencyKey, prefer: Prefer = None
) -> Response:
    """Signs in with what the connection holds, and leaves the order to the workers.

    They read both limits first. Where the limits leave no room, nothing is sent: the issuance ends `refused`, which is
    an outcome and no error, and its ways out are at `/issuances/{id}/remedies`. An issuance of the same subject that
    has not ended is gone on with, whatever it was ordered with. A pair that is held already is told with `200`.
    `outcome` says how it has ended; `ordered`, that it has not ended yet.
    """
    context = await connected(caller, body.nip)
    wait_s = _seconds(prefer)

    async def work(claim: Claim) -> Answer:
        issuance_id = claim.made
        if issuance_id is None:
            found = await order(
                caller.klucznik,
                context,
                None,
                key_type=body.key_type,
                another_pair=body.another_pair,
                wait_for_limits=body.wait_for_limits,
                for_this_company_alone=caller.principal.nip is not None,
                recorded=lambda transaction, issuance: claim.record(transaction, issuance.id),
            )
            if isinstance(found, AlreadyHeld):
                held = [certificate(one) for one in found.certificates]
                return answered(Ordered, {"outcome": "already_held", "issuance": None, "certificates": [*held]})
            issuance_id = found.id
        await until_it_ends(caller.klucznik, issuance_id, seconds=wait_s)
        status = await one_issuance(caller.klucznik, issuance_id)
        headers = located(request, f"/issuances/{issuance_id}")
        if wait_s:
            headers["preference-applied"] = f"wait={wait_s}"
        certificates = await issued_by(caller.klucznik, status)
        return answered(Ordered, views.order(status, certificates), status=201, headers=headers)

    return await once(request, caller, key, body, work)


@router.get(
    "/issuances",
    response_model=IssuancePage,
    responses=documented(404),
    tags=["issuances"],
    summary="List issuances",
)
async def list_issuances(
    request: Request,
    caller: See,
    limit: Limit = 50,
    after: Cursor = None,
    running: Annotated[bool, Query(description="Only those that have not ended")] = False,
    nip: Annotated[str | None, Query(pattern=NIP, description="Only those for this company")] = None,
) -> Response:
    """Issuances, the newest first, a page at a time."""
    bound = caller.principal.nip
    only = company(caller, nip) if nip is not None else None if bound is None else Context.of_nip(bound)
    before = None if after is None else (await _of_cursor(caller, after)).issuance
    found = await all_issuances(caller.klucznik, running_only=running, before=before, size=limit + 1, only=only)
    page = found[:limit]
    further = cursor_of(page[-1].issuance.id) if len(found) > limit else None
    items = [views.status(one) for one in page]
    return sent(answered(IssuancePage, page_of(items, further), headers=link(request, further)))


@router.get(
    "/issuances/{issuance}",
    response_model=IssuanceDetail,
    responses=documented(404),
    tags=["issuances"],
    summary="Look at an issuance",
)
async def get_issuance(caller: See, issuance: Id) -> Response:
    """Where it is, what it waits for and until when, what has been spent on it, and what has come of it."""
    found = await _own(caller, issuance)
    return sent(answered(IssuanceDetail, views.detail(found, await issued_by(caller.klucznik, found))))


@router.get(
    "/issuances/{issuance}/remedies",
    response_model=Preflight,
    responses=documented(404, 409, 502),
    tags=["issuances"],
    summary="Ask for the ways out of a refusal",
)
async def get_remedies(request: Request, caller: Issue, issuance: Id) -> Response:
    """The refusal as it stands now, with its evidence: signs in to KSeF and looks again, for dates and slots move on.

    `outcome` is `go` where the limits leave room by now.
    """
    found = await preflight.look_again(caller.klucznik, (await _own(caller, issuance)).issuance)
    return sent(answered(Preflight, lookout(found, words_of(request))))


@router.post(
    "/issuances/{issuance}/cancellation",
    response_model=Cancelled,
    responses=documented(404, 409),
    tags=["issuances"],
    summary="Call an issuance off",
)
async def cancel_issuance(caller: Issue, issuance: Id) -> Response:
    """Nothing more is filed. What has been filed is spent, so it is finished and kept."""
    found = await _own(caller, issuance)
    return sent(answered(Cancelled, views.cancellation(await cancel(caller.klucznik, found.issuance.id))))


async def _own(caller: Caller, issuance_id: str) -> IssuanceStatus:
    """An issuance that the caller may know of; raises InputError ``issuance_unknown``."""
    found = await one_issuance(caller.klucznik, issuance_id)
    if not caller.principal.reaches(found.issuance.context.value):
        raise InputError("issuance_unknown", issuance=issuance_id)
    return found


async def _of_cursor(caller: Caller, cursor: str) -> IssuanceStatus:
    try:
        return await _own(caller, *key_in(cursor, 1))
    except InputError:
        raise InputError("cursor_malformed") from None


def _seconds(prefer: str | None) -> int:
    found = _WAIT.search(prefer or "")
    return 0 if found is None else min(int(found[1]), LONGEST_WAIT_S)

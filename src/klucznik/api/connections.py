"""Companies and by what they are acted for: list, look closely, change, forget, prove."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from klucznik.access.gate import Caller
from klucznik.api.answers import answered, sent
from klucznik.api.asked import (
    Connect,
    Disconnect,
    IfMatch,
    IfNoneMatch,
    Nip,
    See,
    check_unchanged,
    company,
    etag_of,
    is_known,
)
from klucznik.api.language import words_of
from klucznik.api.models.connections import ConnectionChange, ConnectionDetail, ConnectionPage, Verification
from klucznik.api.paging import Cursor, Limit, link, page_of
from klucznik.api.problems import documented
from klucznik.domain.board import LONGEST_SEARCH, Order, Wanted, looked_for
from klucznik.domain.connections import Health, Method, parse_connection_name
from klucznik.errors import InputError
from klucznik.services import connections as service
from klucznik.services.board import board_page
from klucznik.services.verify import verify
from klucznik.views import connections as views
from klucznik.views import permissions as permission_views
from klucznik.views.parts import Json

router = APIRouter(prefix="/connections", tags=["connections"])

_ETAG = {"ETag": {"description": "Names exactly this content", "schema": {"type": "string"}}}


@router.get("", response_model=ConnectionPage, summary="List connections")
async def list_connections(
    request: Request,
    caller: See,
    limit: Limit = 50,
    after: Cursor = None,
    q: Annotated[
        str | None, Query(max_length=LONGEST_SEARCH, description="The beginning of a NIP, or a part of a name")
    ] = None,
    method: Annotated[Method | None, Query(description="Only those by this method")] = None,
    health: Annotated[Health | None, Query(description="Only those of this health")] = None,
    attention: Annotated[bool, Query(description="Only those that somebody should look at")] = False,
    order: Annotated[Order, Query(description="By what they are sorted")] = Order.NIP,
) -> Response:
    """Connections, a page at a time. A page goes on only in the order and with the search of the page before."""
    nip_begins, name_has = looked_for(q or "")
    wanted = Wanted(nip_begins, name_has, method, health, attention, nip=caller.principal.nip)
    try:
        page = await board_page(caller.klucznik, wanted, order, cursor=after, size=limit)
    except InputError as error:  # the words of pages tell of an address
        raise (InputError("cursor_malformed") if error.reason == "list_place_malformed" else error) from None
    items = [views.status(one) for one in page.rows]
    further = page.following
    return sent(answered(ConnectionPage, page_of(items, further), headers=link(request, further)))


@router.get(
    "/{nip}",
    response_model=ConnectionDetail,
    responses={200: {"headers": _ETAG}, 304: {"description": "It still is as `If-None-Match` says"}, **documented(404)},
    summary="Look at a connection",
)
async def get_connection(caller: See, nip: Nip, if_none_match: IfNoneMatch = None) -> Response:
    """A connection in full, with an `ETag` for changes."""
    shown, etag = await _shown(caller, nip)
    if is_known(if_none_match, etag):
        return Response(status_code=304, headers={"etag": etag})
    return sent(answered(ConnectionDetail, shown, headers={"etag": etag}))


@router.patch(
    "/{nip}",
    response_model=ConnectionDetail,
    responses={200: {"headers": _ETAG}, **documented(404, 409, 412)},
    summary="Change a connection",
)
async def change_connection(caller: Connect, nip: Nip, change: ConnectionChange, if_match: IfMatch = None) -> Response:
    """Its name, and whether a renewal revokes what it replaces. What is not given stays as it is."""
    detail = await service.one_connection(caller.klucznik, company(caller, nip))
    check_unchanged(if_match, etag_of(_visible(caller, detail)))
    await service.change(
        caller.klucznik,
        detail.status.connection,
        name=None if change.name is None else parse_connection_name(change.name),
        revokes_superseded=change.revokes_superseded,
    )
    shown, etag = await _shown(caller, nip)
    return sent(answered(ConnectionDetail, shown, headers={"etag": etag}))


@router.delete(
    "/{nip}",
    status_code=204,
    responses=documented(404, 412),
    summary="Forget a connection",
)
async def forget_connection(caller: Disconnect, nip: Nip, if_match: IfMatch = None) -> Response:
    """Forgets the connection and its token. KSeF is told nothing: certificates and grants stay there as they are."""
    _, etag = await _shown(caller, nip)
    check_unchanged(if_match, etag)
    await service.disconnect(caller.klucznik, company(caller, nip))
    return Response(status_code=204)


@router.post(
    "/{nip}/verification",
    response_model=Verification,
    responses=documented(404, 409, 502),
    summary="Prove a connection",
)
async def verify_connection(request: Request, caller: Connect, nip: Nip) -> Response:
    """Proves it by a real sign-in to KSeF and remembers what was found. It may be repeated; it spends nothing."""
    found = await verify(caller.klucznik, company(caller, nip))
    return sent(answered(Verification, permission_views.verification(found, words_of(request))))


async def _shown(caller: Caller, nip: str) -> tuple[Json, str]:
    """The connection as this caller may see it, and the name of that content."""
    shown = _visible(caller, await service.one_connection(caller.klucznik, company(caller, nip)))
    return shown, etag_of(shown)


def _visible(caller: Caller, value: service.ConnectionDetail) -> Json:
    """To a key of one company, nothing is told of further companies of whoever signs for it."""
    return views.detail(value if caller.principal.nip is None else replace(value, others=()))

"""Lists of companies: read, looked at line by line, carried out. A program's list invites and does nothing else."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from klucznik.access.gate import settings_of
from klucznik.access.told import check_sends_mail
from klucznik.api.answers import LOCATED, IdempotencyKey, answered, located, once, sent
from klucznik.api.asked import Id, Import
from klucznik.api.language import words_of
from klucznik.api.models.invitations import CarryOut, CountedImport, ImportPage, LinePage, Links, NewImport
from klucznik.api.paging import Cursor, Limit, cursor_of, id_in, key_in, link, page_of
from klucznik.api.problems import documented
from klucznik.errors import InputError
from klucznik.services import imports as service
from klucznik.services.accounts.idempotency import Answer, Claim
from klucznik.views import invitations as views

router = APIRouter(prefix="/imports", tags=["imports"])


@router.get("", response_model=ImportPage, summary="List lists of companies")
async def list_imports(request: Request, caller: Import, limit: Limit = 50, after: Cursor = None) -> Response:
    """Those that this key has brought, the newest first, a page at a time."""
    last = None if after is None else id_in(after)
    found = await service.page_of_imports(caller.klucznik, caller.principal, size=limit + 1, after=last)
    further = cursor_of(found[limit - 1].id) if len(found) > limit else None
    items = [views.bulk_import(one) for one in found[:limit]]
    return sent(answered(ImportPage, page_of(items, further), headers=link(request, further)))


@router.post(
    "",
    response_model=CountedImport,
    status_code=201,
    responses={201: LOCATED, **documented(409)},
    summary="Read a list",
)
async def bring_list(request: Request, caller: Import, body: NewImport, key: IdempotencyKey) -> Response:
    """Keeps the list to be looked at; nothing is done with its companies yet. Only invitations are made of it."""

    async def work(claim: Claim) -> Answer:
        if claim.made is not None:
            brought = await service.one_import(caller.klucznik, caller.principal, claim.made)
        else:
            brought = await service.bring(
                caller.klucznik,
                caller.principal,
                body.csv.encode(errors="replace"),
                file_name=body.file_name,
                note=claim.record,
            )
        where = located(request, f"/imports/{brought.bulk_import.id}")
        return answered(CountedImport, views.brought(brought), status=201, headers=where)

    return await once(request, caller, key, body, work)


@router.get("/{import_id}", response_model=CountedImport, responses=documented(404), summary="Look at a list")
async def get_import(caller: Import, import_id: Id) -> Response:
    """How far its lines have come."""
    brought = await service.one_import(caller.klucznik, caller.principal, import_id)
    return sent(answered(CountedImport, views.brought(brought)))


@router.get("/{import_id}/lines", response_model=LinePage, responses=documented(404), summary="Look at its lines")
async def list_import_lines(
    request: Request,
    caller: Import,
    import_id: Id,
    limit: Limit = 50,
    after: Cursor = None,
    bad: Annotated[bool | None, Query(description="Only those with faults, or only the others")] = None,
) -> Response:
    """Each line with what is wrong with it, or what has become of it, a page at a time."""
    found = await service.page_of_lines(
        caller.klucznik, caller.principal, import_id, size=limit + 1, after=_number(after), bad=bad
    )
    further = cursor_of(str(found[limit - 1].line.number)) if len(found) > limit else None
    items = [views.line(one, words_of(request)) for one in found[:limit]]
    return sent(answered(LinePage, page_of(items, further), headers=link(request, further)))


@router.post(
    "/{import_id}/execution", response_model=CountedImport, responses=documented(404, 409), summary="Carry a list out"
)
async def carry_import_out(request: Request, caller: Import, import_id: Id, body: CarryOut | None = None) -> Response:
    """Invites every company whose line is good. Repeated, it makes nothing twice."""
    how = body or CarryOut()
    if how.send:
        check_sends_mail(request)
    done = await service.carry_out(
        caller.klucznik,
        caller.principal,
        import_id,
        language=how.language,
        by_mail=f"{settings_of(request).public_url}/i/" if how.send else None,
    )
    return sent(answered(CountedImport, views.brought(done)))


@router.post("/{import_id}/links", response_model=Links, responses=documented(404, 409), summary="Make its links")
async def make_import_links(request: Request, caller: Import, import_id: Id) -> Response:
    """A link for each company that it has invited and that has opened none yet, nor got one by a letter.

    Links made before lead nowhere.
    """
    now, url = caller.klucznik.clock.now(), settings_of(request).public_url
    made = await service.links(caller.klucznik, caller.principal, import_id)
    items = [views.invited(one.invitation, f"{url}/i/{one.token}", now) for one in made]
    return sent(answered(Links, {"items": [*items]}))


@router.delete("/{import_id}", status_code=204, responses=documented(404), summary="Forget a list")
async def discard_import(caller: Import, import_id: Id) -> Response:
    """What it has made stays."""
    await service.discard(caller.klucznik, caller.principal, import_id)
    return Response(status_code=204)


def _number(cursor: str | None) -> int:
    if cursor is None:
        return 0
    (number,) = key_in(cursor, 1)
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InputError("cursor_malformed")
    return int(number)

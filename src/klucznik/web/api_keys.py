"""Pages of API keys for administrators: the list, a new key or secret (shown once), and revoking one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.gate import Visitor
from klucznik.access.proof import RequiresProof
from klucznik.access.statuses import status_of
from klucznik.domain.api_keys import ApiKey, KeyState
from klucznik.domain.roles import SCOPES, Action
from klucznik.errors import InputError
from klucznik.services.accounts.api_keys import PAGE, key_of_id, list_keys, make_key, revoke_key, rotate_key
from klucznik.web.pages import render, told
from klucznik.web.second_step import Text
from klucznik.web.settings import Administering

router = APIRouter()

Proved = Annotated[Visitor, Depends(RequiresProof(Action.ADMINISTER))]
DAYS = (30, 90, 180, 365)
OVERLAP_HOURS = (1, 24, 72, 168, 0)
KeyId = Annotated[str, Path(max_length=32)]
# In the order of what they let a program do.
_SCOPES = [action.value for action in Action if action in SCOPES]
_FIELDS = {
    "key_name_malformed": "name",
    "scopes_missing": "scopes",
    "scope_unknown": "scopes",
    "scope_of_all": "scopes",
    "key_lifetime_out_of_range": "days",
    "nip_malformed": "nip",
    "key_overlap_out_of_range": "overlap",
    "api_key_end_needed": "days",
}


@router.get("/settings/api-keys")
async def listed(
    request: Request, visitor: Administering, after: Annotated[str | None, Query(max_length=32)] = None
) -> HTMLResponse:
    found = await list_keys(visitor.klucznik, after=after)
    more = f"/settings/api-keys?after={found[-1].id}" if len(found) == PAGE else None
    return render(request, "settings/api_keys.html", keys=found, more=more)


@router.get("/settings/api-keys/new")
async def form(request: Request, _: Proved) -> HTMLResponse:
    return _form(request, {"days": "90"}, ("see",), {})


@router.post("/settings/api-keys/new")
async def make(
    request: Request,
    visitor: Proved,
    name: Text = "",
    scopes: Annotated[list[str] | None, Form(max_length=30)] = None,
    nip: Text = "",
    days: Text = "",
) -> Response:
    chosen = scopes or []
    try:
        secret, key = await make_key(
            visitor.klucznik,
            name,
            chosen,
            days=_number(days, otherwise=0),
            nip=nip.strip() or None,
            made_by=visitor.session.user_id,
        )
    except InputError as error:
        errors = {_FIELDS[error.reason]: told(request, error).what}
        return _form(request, {"name": name, "nip": nip, "days": days}, tuple(chosen), errors, status=status_of(error))
    return render(request, "settings/api_key_made.html", secret=secret, key=key, rotated=False)


@router.get("/settings/api-keys/{key_id}/rotate")
async def asks_for_rotation(request: Request, visitor: Proved, key_id: KeyId) -> HTMLResponse:
    key = await key_of_id(visitor.klucznik, key_id)
    expired = key.state(visitor.klucznik.clock.now()) is KeyState.EXPIRED
    return _rotation(request, key, {"overlap": "24", "days": "90" if expired else ""}, {})


@router.post("/settings/api-keys/{key_id}/rotate")
async def rotate(request: Request, visitor: Proved, key_id: KeyId, overlap: Text = "", days: Text = "") -> Response:
    try:
        secret, key = await rotate_key(
            visitor.klucznik,
            key_id,
            overlap_hours=_number(overlap, otherwise=-1),
            days=_number(days, otherwise=0) if days else None,
        )
    except InputError as error:
        if error.reason not in _FIELDS:
            raise
        errors = {_FIELDS[error.reason]: told(request, error).what}
        there = await key_of_id(visitor.klucznik, key_id)
        return _rotation(request, there, {"overlap": overlap, "days": days}, errors, status=status_of(error))
    return render(request, "settings/api_key_made.html", secret=secret, key=key, rotated=True)


@router.post("/settings/api-keys/{key_id}/revoke")
async def revoke(visitor: Administering, key_id: KeyId) -> RedirectResponse:
    await revoke_key(visitor.klucznik, key_id)
    return RedirectResponse("/settings/api-keys", status_code=303)


def _form(
    request: Request, values: dict[str, str], chosen: tuple[str, ...], errors: dict[str, str], *, status: int = 200
) -> HTMLResponse:
    return render(
        request,
        "settings/api_key_new.html",
        status=status,
        values=values,
        chosen=chosen,
        errors=errors,
        scopes=_SCOPES,
        days=DAYS,
    )


def _rotation(
    request: Request, key: ApiKey, values: dict[str, str], errors: dict[str, str], *, status: int = 200
) -> HTMLResponse:
    return render(
        request,
        "settings/api_key_rotate.html",
        status=status,
        key=key,
        values=values,
        errors=errors,
        overlap_hours=OVERLAP_HOURS,
        days=DAYS,
    )


def _number(text: str, *, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else otherwise

"""How somebody is told by e-mail what happens."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from klucznik.access.told import sends_mail
from klucznik.domain.accounts import Digest
from klucznik.errors import InputError
from klucznik.services.telling.notices import how_told, tell_how
from klucznik.web.pages import render
from klucznik.web.second_step import Person, Text

router = APIRouter()


@router.get("/settings/notifications")
async def form(request: Request, visitor: Person, saved: bool = False) -> HTMLResponse:
    return render(
        request,
        "settings/notifications.html",
        chosen=await how_told(visitor.klucznik, str(visitor.session.user_id)),
        digests=list(Digest),
        by_mail=sends_mail(request),
        saved=saved,
    )


@router.post("/settings/notifications")
async def choose(visitor: Person, digest: Text = "") -> RedirectResponse:
    if digest not in list(Digest):
        raise InputError("form_malformed")
    await tell_how(visitor.klucznik, str(visitor.session.user_id), Digest(digest))
    return RedirectResponse("/settings/notifications?saved=1", status_code=303)

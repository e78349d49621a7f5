"""Pages of whoever comes with an invitation: what the link is, the company they connect, another device.

Looking at a link uses nothing up; only the button does.
"""

from __future__ import annotations

from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.gate import Anybody, Requires, Visitor, installation_of, settings_of
from klucznik.domain.invitations import InvitationState
from klucznik.domain.roles import Action
from klucznik.errors import AccessDenied
from klucznik.services import invitations, onboarding
from klucznik.web.invitations import link_of
from klucznik.web.pages import render

router = APIRouter()

HOME = "/invited"
Client = Annotated[Visitor, Depends(Requires(Action.CONNECT))]
Token = Annotated[str, Path(max_length=100)]


@router.get("/i/{token}")
async def entry(request: Request, visitor: Anybody, token: Token) -> Response:
    found = await invitations.look(installation_of(request), token)
    if visitor is not None and visitor.session.invitation_id == found.invitation.id:
        return RedirectResponse(HOME, status_code=303)  # the browser that it has opened
    return render(
        request,
        "invitations/entry.html",
        status=200 if found.trouble is None else 410,
        found=found,
        host=settings_of(request).public_url.partition("://")[2],
        action=request.url.path,
    )


@router.post("/i/{token}")
async def enter(request: Request, visitor: Anybody, token: Token) -> RedirectResponse:
    # Whoever invites tries the link out, and would use up what is meant for another.
    if visitor is not None and visitor.session.invitation_id is None:
        raise AccessDenied("invitation_for_client")
    cookie, session = await invitations.enter(installation_of(request), token)
    settings = settings_of(request)
    answer = RedirectResponse(HOME, status_code=303)
    answer.set_cookie(
        settings.cookie,
        cookie,
        max_age=int((session.expires_at - session.created_at).total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.secure,
        path="/",
    )
    return answer


@router.get(HOME)
async def home(request: Request, visitor: Client) -> HTMLResponse:
    invitation = await invitations.invitation_of(visitor.klucznik, visitor.session)
    begun = await onboarding.of_invitation(visitor.klucznik, visitor.principal)
    done = invitation.state(visitor.klucznik.clock.now()) is InvitationState.DONE
    return render(request, "invitations/home.html", invitation=invitation, begun=begun, done=done)


@router.post(HOME)
async def go_on(visitor: Client) -> RedirectResponse:
    """Begin, or go on with what was begun."""
    invitation = await invitations.invitation_of(visitor.klucznik, visitor.session)
    begun = await onboarding.begin(
        visitor.klucznik, invitation.context.value, by=visitor.principal, name=invitation.name
    )
    return RedirectResponse(f"/connect/{begun.id}", status_code=303)


@router.post("/invited/device")
async def another_device(request: Request, visitor: Client) -> HTMLResponse:
    """A link for another device; shown this once."""
    made = await invitations.link_for_another_device(visitor.klucznik, visitor.session)
    link = link_of(request, made.token)
    picture = segno.make(link, error="m").svg_data_uri(scale=5, border=3, light="#fff", dark="#000")
    return render(request, "invitations/device.html", invitation=made.invitation, link=link, picture=picture)

"""Pages of whoever invites: the list, a new invitation, its link (shown once), another link, and taking it back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.gate import Requires, Visitor, settings_of
from klucznik.access.told import check_sends_mail, sends_mail
from klucznik.domain.invitations import LEAST_DAYS, MOST_DAYS, USUAL_DAYS, InvitationState
from klucznik.domain.languages import Language
from klucznik.domain.roles import Action
from klucznik.errors import InputError
from klucznik.services import invitations
from klucznik.services.invitations import PAGE, Invited
from klucznik.services.telling.letters import deliveries_of_invitations, delivery_of_invitation
from klucznik.web.pages import render, told

router = APIRouter()

Inviting = Annotated[Visitor, Depends(Requires(Action.INVITE))]
# How a link goes: by e-mail, unless it is shown to whoever makes it.
MAIL = "mail"
DAYS = (LEAST_DAYS, 3, 7, USUAL_DAYS, 30, MOST_DAYS)
# Which field of the form an error is about.
_FIELDS = {
    "nip_malformed": "nip",
    "invitation_there": "nip",
    "company_connected": "nip",
    "connection_name_malformed": "name",
    "email_malformed": "email",
    "invitation_email_missing": "email",
    "language_unknown": "language",
    "invitation_days_out_of_range": "days",
}


@router.get("/invitations")
async def listed(
    request: Request, visitor: Inviting, state: str = "", after: Annotated[str | None, Query(max_length=32)] = None
) -> HTMLResponse:
    chosen = InvitationState(state) if state in list(InvitationState) else None
    found = await invitations.page_of_invitations(
        visitor.klucznik, visitor.principal, size=PAGE + 1, state=chosen, after=after
    )
    further = f"?state={chosen or ''}&after={found[PAGE - 1].id}" if len(found) > PAGE else None
    return render(
        request,
        "invitations/list.html",
        invitations=found[:PAGE],
        deliveries=await deliveries_of_invitations(visitor.klucznik, [one.id for one in found[:PAGE]]),
        states=list(InvitationState),
        chosen=chosen,
        further=further,
    )


@router.get("/invitations/new")
async def form(request: Request, _: Inviting, nip: Annotated[str, Query(max_length=20)] = "") -> HTMLResponse:
    given = {"nip": nip, "days": str(USUAL_DAYS), "language": Language.POLISH, "how": MAIL}
    return _form(request, given)


@router.post("/invitations")
async def invite(
    request: Request,
    visitor: Inviting,
    nip: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    email: Annotated[str, Form()] = "",
    days: Annotated[str, Form()] = "",
    language: Annotated[str, Form()] = Language.POLISH,
    how: Annotated[str, Form()] = "",
) -> Response:
    klucznik, by, lasts = visitor.klucznik, visitor.principal, _number(days)
    try:
        if how == MAIL and sends_mail(request):
            page = page_of_links(request)
            sent = await invitations.invite_by_mail(
                klucznik, by, nip, name=name, email=email, days=lasts, language=language, page=page
            )
            return RedirectResponse(f"/invitations/{sent.id}", status_code=303)
        invited = await invitations.invite(klucznik, by, nip, name=name, email=email, days=lasts)
    except InputError as error:
        field = _FIELDS.get(error.reason)
        if field is None:
            raise
        given = {"nip": nip, "name": name, "email": email, "days": days, "language": language, "how": how}
        return _form(request, given, {field: told(request, error).what})
    return _link(request, invited, anew=False)


@router.get("/invitations/{invitation_id}")
async def one(request: Request, visitor: Inviting, invitation_id: str) -> HTMLResponse:
    return await _one(request, visitor, invitation_id, {})


@router.post("/invitations/{invitation_id}/link")
async def another_link(request: Request, visitor: Inviting, invitation_id: str) -> HTMLResponse:
    """Another link; shown this once."""
    invited = await invitations.renew_link(visitor.klucznik, visitor.principal, invitation_id)
    return _link(request, invited, anew=True)


@router.post("/invitations/{invitation_id}/send")
async def send_again(
    request: Request,
    visitor: Inviting,
    invitation_id: str,
    email: Annotated[str, Form()] = "",
    language: Annotated[str, Form()] = Language.POLISH,
) -> Response:
    """Another link, by a letter, perhaps to another address."""
    check_sends_mail(request)
    try:
        await invitations.send_again(
            visitor.klucznik,
            visitor.principal,
            invitation_id,
            email=email,
            language=language,
            page=page_of_links(request),
        )
    except InputError as error:
        field = _FIELDS.get(error.reason)
        if field not in ("email", "language"):
            raise
        return await _one(request, visitor, invitation_id, {field: told(request, error).what}, email=email)
    return RedirectResponse(f"/invitations/{invitation_id}", status_code=303)


@router.post("/invitations/{invitation_id}/revoke")
async def revoke(visitor: Inviting, invitation_id: str) -> RedirectResponse:
    revoked = await invitations.revoke(visitor.klucznik, visitor.principal, invitation_id)
    return RedirectResponse(f"/invitations/{revoked.id}", status_code=303)


def page_of_links(request: Request) -> str:
    """Where links of invitations lead, at the address that is configured, never at one that a browser names."""
    return f"{settings_of(request).public_url}/i/"


def link_of(request: Request, token: str) -> str:
    return page_of_links(request) + token


def _number(days: str) -> int:
    """0 where it is none: no invitation lasts so long."""
    return int(days) if days.isascii() and days.isdigit() and len(days) < 4 else 0


def _form(request: Request, given: dict[str, str], errors: dict[str, str] | None = None) -> HTMLResponse:
    # What is far too long is not shown again: a company's name is not the place for it.
    shown = {field: text[:200] for field, text in given.items()}
    return render(
        request,
        "invitations/new.html",
        status=422 if errors else 200,
        given=shown,
        errors=errors or {},
        days=DAYS,
        by_mail=sends_mail(request),
    )


async def _one(
    request: Request, visitor: Visitor, invitation_id: str, errors: dict[str, str], *, email: str | None = None
) -> HTMLResponse:
    found = await invitations.one_invitation(visitor.klucznik, visitor.principal, invitation_id)
    return render(
        request,
        "invitations/one.html",
        status=422 if errors else 200,
        invitation=found,
        state=found.state(visitor.klucznik.clock.now()),
        delivery=await delivery_of_invitation(visitor.klucznik, found.id),
        by_mail=sends_mail(request),
        email=(found.email if email is None else email[:254]) or "",
        errors=errors,
    )


def _link(request: Request, invited: Invited, *, anew: bool) -> HTMLResponse:
    return render(
        request,
        "invitations/link.html",
        invitation=invited.invitation,
        link=link_of(request, invited.token),
        anew=anew,
    )

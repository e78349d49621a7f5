"""Invitations: made, listed, given another link, taken back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from klucznik.access.gate import Caller, settings_of
from klucznik.api.answers import IdempotencyKey, answered, once, sent
from klucznik.api.asked import Id, Invite, company
from klucznik.api.models.invitations import Invitation, InvitationPage, Invited, NewInvitation
from klucznik.api.paging import Cursor, Limit, cursor_of, key_in, link, page_of
from klucznik.api.problems import documented
from klucznik.domain.invitations import InvitationState
from klucznik.services import invitations as service
from klucznik.services.idempotency import Answer, Claim
from klucznik.views import invitations as views

router = APIRouter(prefix="/invitations", tags=["invitations"])


@router.get("", response_model=InvitationPage, summary="List invitations")
async def list_invitations(
    request: Request,
    caller: Invite,
    limit: Limit = 50,
    after: Cursor = None,
    state: Annotated[InvitationState | None, Query(description="Only those that have come so far")] = None,
) -> Response:
    """Those that this key has made, the newest first, a page at a time. Links are not among what is told."""
    last = None if after is None else key_in(after, 1)[0]
    found = await service.page_of_invitations(
        caller.klucznik, caller.principal, size=limit + 1, state=state, after=last
    )
    further = cursor_of(found[limit - 1].id) if len(found) > limit else None
    now = caller.klucznik.clock.now()
    items = [views.invitation(one, now) for one in found[:limit]]
    return sent(answered(InvitationPage, page_of(items, further), headers=link(request, further)))


@router.post("", response_model=Invited, status_code=201, responses=documented(404, 409), summary="Invite a company")
async def invite(request: Request, caller: Invite, body: NewInvitation, key: IdempotencyKey) -> Response:
    """The link is in this answer and in no other. A company that is connected here is not invited by a program."""
    company(caller, body.nip)

    async def work(claim: Claim) -> Answer:
        if claim.made is not None:  # its link was told to nobody
            made = await service.renew_link(caller.klucznik, caller.principal, claim.made, days=body.days)
        else:
            made = await service.invite(
                caller.klucznik,
                caller.principal,
                body.nip,
                name=body.name,
                email=body.email,
                days=body.days,
                note=claim.record,
            )
        return _told(request, caller, made, status=201)

    return await once(request, caller, key, body, work)


@router.get("/{invitation_id}", response_model=Invitation, responses=documented(404), summary="Look at an invitation")
async def get_invitation(caller: Invite, invitation_id: Id) -> Response:
    """How far the company has come. The link is told nowhere any more."""
    found = await service.one_invitation(caller.klucznik, caller.principal, invitation_id)
    return sent(answered(Invitation, views.invitation(found, caller.klucznik.clock.now())))


@router.post(
    "/{invitation_id}/link",
    response_model=Invited,
    responses=documented(404, 409),
    summary="Give an invitation another link",
)
async def renew_invitation_link(request: Request, caller: Invite, invitation_id: Id) -> Response:
    """The link before and the browsers it has opened lead nowhere any more. Repeated, it gives yet another one."""
    made = await service.renew_link(caller.klucznik, caller.principal, invitation_id)
    return sent(_told(request, caller, made, status=200))


@router.delete("/{invitation_id}", status_code=204, responses=documented(404, 409), summary="Take an invitation back")
async def revoke_invitation(caller: Invite, invitation_id: Id) -> Response:
    """Its link and the browsers it has opened lead nowhere any more. What the company has done at KSeF stays."""
    await service.revoke(caller.klucznik, caller.principal, invitation_id)
    return Response(status_code=204)


def _told(request: Request, caller: Caller, made: service.Invited, *, status: int) -> Answer:
    link = f"{settings_of(request).public_url}/i/{made.token}"
    return answered(Invited, views.invited(made.invitation, link, caller.klucznik.clock.now()), status=status)

"""Invitations: made, listed, given another link, taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from klucznik.access.gate import Caller, settings_of
from klucznik.access.told import check_sends_mail
from klucznik.api.answers import LOCATED, IdempotencyKey, answered, located, once, sent
from klucznik.api.asked import Id, Invite, company
from klucznik.api.models.invitations import Invitation, InvitationPage, Invited, NewInvitation, SendInvitation
from klucznik.api.paging import Cursor, Limit, cursor_of, id_in, link, page_of
from klucznik.api.problems import documented
from klucznik.domain.invitations import InvitationState
from klucznik.services import invitations as service
from klucznik.services.accounts.idempotency import Answer, Claim
from klucznik.services.telling.letters import deliveries_of_invitations, delivery_of_invitation
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
    last = None if after is None else id_in(after)
    found = await service.page_of_invitations(
        caller.klucznik, caller.principal, size=limit + 1, state=state, after=last
    )
    further = cursor_of(found[limit - 1].id) if len(found) > limit else None
    now = caller.klucznik.clock.now()
    deliveries = await deliveries_of_invitations(caller.klucznik, [one.id for one in found[:limit]])
    items = [views.invitation(one, now, deliveries.get(one.id)) for one in found[:limit]]
    return sent(answered(InvitationPage, page_of(items, further), headers=link(request, further)))


@router.post(
    "",
    response_model=Invited,
    status_code=201,
    responses={201: LOCATED, **documented(404, 409)},
    summary="Invite a company",
)
async def invite(request: Request, caller: Invite, body: NewInvitation, key: IdempotencyKey) -> Response:
    """The link is in this answer and in no other; with `send` it goes to the company alone, by a letter.

    A company that is connected here is not invited by a program.
    """
    company(caller, body.nip)
    if body.send:
        check_sends_mail(request)

    async def work(claim: Claim) -> Answer:
        if body.send:
            sent_to = claim.made or await _send_new(request, caller, body, claim)
            return await _looked_at(caller, sent_to, Invited, status=201, headers=_where(request, sent_to))
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
        return _told(request, caller, made, status=201, headers=_where(request, made.invitation.id))

    return await once(request, caller, key, body, work)


@router.get("/{invitation_id}", response_model=Invitation, responses=documented(404), summary="Look at an invitation")
async def get_invitation(caller: Invite, invitation_id: Id) -> Response:
    """How far the company has come. The link is told nowhere any more."""
    return sent(await _looked_at(caller, invitation_id, Invitation))


@router.post(
    "/{invitation_id}/link",
    response_model=Invited,
    responses=documented(404, 409),
    summary="Give an invitation another link",
)
async def renew_invitation_link(request: Request, caller: Invite, invitation_id: Id) -> Response:
    """The link before and the browsers it has opened lead nowhere any more. Repeated, it gives yet another one."""
    made = await service.renew_link(caller.klucznik, caller.principal, invitation_id)
    return sent(_told(request, caller, made))


@router.post(
    "/{invitation_id}/send",
    response_model=Invitation,
    responses=documented(404, 409),
    summary="Send an invitation by e-mail",
)
async def send_invitation(request: Request, caller: Invite, invitation_id: Id, body: SendInvitation) -> Response:
    """Another link goes to the company, and to nobody else, perhaps to another address. Repeated, yet another one does.

    The link before and the browsers it has opened lead nowhere any more.
    """
    check_sends_mail(request)
    await service.send_again(
        caller.klucznik,
        caller.principal,
        invitation_id,
        email=body.email,
        language=body.language,
        page=_page(request),
    )
    return sent(await _looked_at(caller, invitation_id, Invitation))


@router.delete("/{invitation_id}", status_code=204, responses=documented(404, 409), summary="Take an invitation back")
async def revoke_invitation(caller: Invite, invitation_id: Id) -> Response:
    """Its link and the browsers it has opened lead nowhere any more. What the company has done at KSeF stays."""
    await service.revoke(caller.klucznik, caller.principal, invitation_id)
    return Response(status_code=204)


async def _send_new(request: Request, caller: Caller, body: NewInvitation, claim: Claim) -> str:
    made = await service.invite_by_mail(
        caller.klucznik,
        caller.principal,
        body.nip,
        name=body.name,
        email=body.email,
        days=body.days,
        language=body.language,
        page=_page(request),
        note=claim.record,
    )
    return made.id


async def _looked_at(
    caller: Caller,
    invitation_id: str,
    model: type[Invitation],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """As it is now, without its link."""
    found = await service.one_invitation(caller.klucznik, caller.principal, invitation_id)
    delivery, now = await delivery_of_invitation(caller.klucznik, found.id), caller.klucznik.clock.now()
    shown = views.invitation(found, now, delivery)
    return answered(model, {**shown, "link": None} if model is Invited else shown, status=status, headers=headers)


def _page(request: Request) -> str:
    """Where links lead, at the address that is configured."""
    return f"{settings_of(request).public_url}/i/"


def _where(request: Request, invitation_id: str) -> dict[str, str]:
    return located(request, f"/invitations/{invitation_id}")


def _told(
    request: Request,
    caller: Caller,
    made: service.Invited,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    shown = views.invited(made.invitation, _page(request) + made.token, caller.klucznik.clock.now())
    return answered(Invited, shown, status=status, headers=headers)

"""Onboardings: begun, chosen, signed, looked at, confirmed; the ways out of a refusal; methods that issue nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from klucznik.api.answers import LOCATED, IdempotencyKey, answered, located, once, sent
from klucznik.api.asked import Connect, Grant, Id, Issue, Revoke
from klucznik.api.language import words_of
from klucznik.api.models.onboardings import (
    BroughtToken,
    Confirmation,
    ConnectedByGrant,
    Document,
    GrantOrder,
    HandedIn,
    Look,
    MethodChoice,
    NewOnboarding,
    Onboarding,
    OnboardingPage,
    Progress,
    ProposedGrant,
    RevocationOrder,
    RevokedForRoom,
    SignerChoice,
)
from klucznik.api.paging import Cursor, Limit, cursor_of, key_in, link, page_of
from klucznik.api.problems import documented
from klucznik.domain import onboarding as domain
from klucznik.domain.ksef_token import parse_token
from klucznik.errors import InputError
from klucznik.services import onboarding as service
from klucznik.services.accounts.idempotency import Answer, Claim
from klucznik.views import onboardings as views

router = APIRouter(prefix="/onboardings", tags=["onboardings"])

_XML = "application/xml"
_SIGNED = {"requestBody": {"required": True, "content": {_XML: {"schema": {"type": "string", "format": "binary"}}}}}
_A_DOCUMENT = {"content": {_XML: {"schema": {"type": "string"}}}, "description": "The document, to be signed as it is"}


@router.get("", response_model=OnboardingPage, summary="List onboardings")
async def list_onboardings(request: Request, caller: Connect, limit: Limit = 50, after: Cursor = None) -> Response:
    """Those that this key has begun and that have not ended, the latest changed first, a page at a time."""
    before = None if after is None else _place_in(after)
    found = await service.unfinished(caller.klucznik, caller.principal, before=before, size=limit + 1)
    page = found[:limit]
    further = None
    if len(found) > limit:
        at, name = page[-1].place
        further = cursor_of(at.isoformat(), name)
    items = [views.bare(one) for one in page]
    return sent(answered(OnboardingPage, page_of(items, further), headers=link(request, further)))


@router.post(
    "",
    response_model=Onboarding,
    status_code=201,
    responses={201: LOCATED, **documented(404, 409)},
    summary="Begin an onboarding",
)
async def begin_onboarding(request: Request, caller: Connect, body: NewOnboarding, key: IdempotencyKey) -> Response:
    """Sets a company on its way. What this key has begun for it and not ended is gone on with."""

    async def work(_: Claim) -> Answer:
        new = await service.begin(caller.klucznik, body.nip, by=caller.principal, name=body.name)
        return _told(request, new, 201)

    return await once(request, caller, key, body, work)


@router.get("/{onboarding}", response_model=Onboarding, responses=documented(404), summary="Look at an onboarding")
async def get_onboarding(request: Request, caller: Connect, onboarding: Id) -> Response:
    """At which step it is; a refusal with all of its evidence. KSeF is not asked."""
    return _shown(request, await service.find(caller.klucznik, onboarding, caller.principal))


@router.delete("/{onboarding}", response_model=Onboarding, responses=documented(404, 409), summary="Give up")
async def give_up(request: Request, caller: Connect, onboarding: Id) -> Response:
    """Nothing more is filed; what was filed is finished and kept. The session ends."""
    return _shown(request, await service.give_up(caller.klucznik, onboarding, caller.principal))


@router.put(
    "/{onboarding}/signer", response_model=Onboarding, responses=documented(404, 409), summary="Say who will sign"
)
async def choose_signer(request: Request, caller: Connect, onboarding: Id, body: SignerChoice) -> Response:
    """May be said anew while nothing was spent; whoever has signed is signed out then."""
    chosen = await service.choose_signer(caller.klucznik, onboarding, caller.principal, body.signer)
    return _shown(request, chosen)


@router.put(
    "/{onboarding}/method", response_model=Onboarding, responses=documented(404, 409), summary="Choose the method"
)
async def choose_method(request: Request, caller: Connect, onboarding: Id, body: MethodChoice) -> Response:
    """May be chosen anew while nothing was spent, also after a refusal; whoever has signed stays signed in."""
    chosen = await service.choose_method(caller.klucznik, onboarding, caller.principal, body.method)
    return _shown(request, chosen)


@router.post(
    "/{onboarding}/document", response_model=Document, responses=documented(404, 409), summary="Ask for a document"
)
async def ask_for_document(
    caller: Connect,
    onboarding: Id,
    anew: Annotated[bool, Query(description="A fresh one although one waits already")] = False,
) -> Response:
    """The document to sign and its deadline: the one that waits, or a fresh one that lasts ten minutes."""
    request = await service.ask_for_document(caller.klucznik, onboarding, caller.principal, anew=anew)
    return sent(answered(Document, views.document(request)))


@router.get(
    "/{onboarding}/document",
    response_class=Response,
    responses={200: _A_DOCUMENT, **documented(404)},
    summary="Fetch the document as a file",
)
async def get_document(caller: Connect, onboarding: Id) -> Response:
    """The document that waits for its signature, byte for byte."""
    found = await service.find(caller.klucznik, onboarding, caller.principal)
    document = await service.document_of(caller.klucznik, found)
    if document is None:
        raise InputError("document_unknown")
    name = f'attachment; filename="klucznik-{found.context.value}.xml"'
    return Response(document.document, headers={"content-disposition": name}, media_type=_XML)


@router.post(
    "/{onboarding}/signed-document",
    response_model=HandedIn,
    responses={202: {"model": Onboarding, "description": "KSeF is still checking", **LOCATED}, **documented(404, 409)},
    openapi_extra=_SIGNED,
    summary="Hand in the signed document",
)
async def hand_in_document(request: Request, caller: Connect, onboarding: Id) -> Response:
    """The file as the signing program wrote it (XAdES). It is checked here first, so that a mistake is told in words;
    then it signs in, and the session rests here until the onboarding ends. KSeF may take many minutes to check a
    qualified signature: after some seconds the answer is 202, `checking_since` says that it goes on, and in the end
    `state` or `setback` says what has come of it."""
    signed = await request.body()
    done = await service.hand_in(caller.klucznik, onboarding, caller.principal, signed)
    if isinstance(done, domain.Onboarding):
        return _shown(request, done, 202)
    return sent(answered(HandedIn, views.handed_in(done, words_of(request))))


@router.post(
    "/{onboarding}/preflight", response_model=Look, responses=documented(404, 409), summary="Look at the limits"
)
async def look_at_limits(
    request: Request,
    caller: Connect,
    onboarding: Id,
    anew: Annotated[bool, Query(description="Ask KSeF although it told within the last half minute")] = False,
) -> Response:
    """Both limits of who has signed, and what follows: go, or the refusal with its ways out. Spends nothing."""
    found = await service.look(caller.klucznik, onboarding, caller.principal, anew=anew)
    return sent(answered(Look, views.look(found, words_of(request))))


@router.post(
    "/{onboarding}/confirmation",
    response_model=Onboarding,
    status_code=202,
    responses={202: LOCATED, **documented(404, 409)},
    summary="Order what is missing",
)
async def confirm_onboarding(request: Request, caller: Issue, onboarding: Id, body: Confirmation) -> Response:
    """Asks KSeF for both limits once more and orders; a worker does the rest. Said twice, it orders once. `state` tells
    what came of it: `issuing`, `done` (the pair was here already, and nothing was spent) or `refused`."""
    done = await service.confirm(caller.klucznik, onboarding, caller.principal, key_type=body.key_type)
    return _shown(request, done, 202)


@router.get("/{onboarding}/progress", response_model=Progress, responses=documented(404), summary="How far it is")
async def follow_onboarding(caller: Connect, onboarding: Id) -> Response:
    """The road of the order as steps, from rows alone."""
    found = await service.progress(caller.klucznik, onboarding, caller.principal)
    order = found.issuance
    if order is not None and not caller.principal.reaches(order.issuance.context.value):
        found = replace(found, issuance=None)  # that of the signer for another company, whose end is waited for
    return sent(answered(Progress, views.progress(found)))


@router.post(
    "/{onboarding}/remedies/wait",
    response_model=Onboarding,
    status_code=202,
    responses={202: LOCATED, **documented(404, 409)},
    summary="Out of a refusal: wait for the limits",
)
async def wait_for_limits(request: Request, caller: Issue, onboarding: Id, body: Confirmation) -> Response:
    """Orders all the same; the order waits for up to 60 days until the limits leave room."""
    done = await service.wait_for_limits(caller.klucznik, onboarding, caller.principal, key_type=body.key_type)
    return _shown(request, done, 202)


@router.get(
    "/{onboarding}/remedies/grant",
    response_model=ProposedGrant,
    responses=documented(404, 409),
    summary="What would be granted",
)
async def proposed_grant(
    caller: Grant,
    onboarding: Id,
    delegable: Annotated[bool, Query(description="It may pass the permissions on to its own people")] = False,
) -> Response:
    """To whom, and which permissions are lacking. KSeF is asked; nothing is sent that changes anything."""
    what = await service.proposed_grant(caller.klucznik, onboarding, caller.principal, delegable=delegable)
    return sent(answered(ProposedGrant, views.proposed_grant(what)))


@router.post(
    "/{onboarding}/remedies/grant",
    response_model=ConnectedByGrant,
    responses={202: {"model": Onboarding, "description": "KSeF is still granting", **LOCATED}, **documented(404, 409)},
    summary="Let the operator in",
)
async def grant_permission(request: Request, caller: Grant, onboarding: Id, body: GrantOrder) -> Response:
    """Grants in the session of who has signed, and proves it; the company is connected by that. Nothing is granted
    twice, so it may be repeated. KSeF may take a while: after some seconds the answer is 202, `under_way` says that it
    goes on, and in the end `state` or `setback` says what has come of it."""
    outcome = await service.grant(
        caller.klucznik, onboarding, caller.principal, operator_nip=body.operator, delegable=body.delegable
    )
    if isinstance(outcome, domain.Onboarding):
        return _shown(request, outcome, 202)
    done, granted = outcome
    shown = views.connected(done, granted.connection, words_of(request), granted=granted.permissions)
    return sent(answered(ConnectedByGrant, shown))


@router.post(
    "/{onboarding}/remedies/revoke",
    response_model=RevokedForRoom,
    responses={202: {"model": Onboarding, "description": "KSeF is still revoking", **LOCATED}, **documented(404, 409)},
    summary="Out of a refusal: revoke certificates",
)
async def revoke_from_refusal(request: Request, caller: Revoke, onboarding: Id, body: RevocationOrder) -> Response:
    """Revokes, for good, certificates that the refusal names, then looks at the limits anew; a confirmation orders.
    Where KSeF takes more than some seconds, the answer is 202 and `under_way` says that it goes on."""
    outcome = await service.revoke(
        caller.klucznik, onboarding, caller.principal, body.serials, end_sessions=body.end_sessions
    )
    if isinstance(outcome, domain.Onboarding):
        return _shown(request, outcome, 202)
    found, revoked = outcome
    return sent(answered(RevokedForRoom, views.revoked(found, revoked, words_of(request))))


@router.post(
    "/{onboarding}/permission",
    response_model=ConnectedByGrant,
    responses=documented(404, 409),
    summary="Connect by a permission that was granted elsewhere",
)
async def connect_permission(request: Request, caller: Connect, onboarding: Id) -> Response:
    """For a company that grants in the Ministry's application; its connection awaits the grant. Signed in first."""
    done, expected = await service.connect_permission(caller.klucznik, onboarding, caller.principal)
    shown = views.connected(done, expected.connection, words_of(request))
    return sent(answered(ConnectedByGrant, shown))


@router.post(
    "/{onboarding}/token", response_model=Onboarding, responses=documented(404, 409), summary="Connect by a KSeF token"
)
async def connect_token(request: Request, caller: Connect, onboarding: Id, body: BroughtToken) -> Response:
    """The token is tried by a sign-in, then sealed here. Signed in first: a token shows no say in the company."""
    done, _ = await service.connect_token(caller.klucznik, onboarding, caller.principal, parse_token(body.token))
    return _shown(request, done)


def _place_in(cursor: str) -> tuple[datetime, str]:
    at, name = key_in(cursor, 2)
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC), name
    except (ValueError, OverflowError):
        pass
    raise InputError("cursor_malformed")


def _shown(request: Request, value: domain.Onboarding, status: int = 200) -> Response:
    return sent(_told(request, value, status))


def _told(request: Request, value: domain.Onboarding, status: int) -> Answer:
    where = {} if status == 200 else located(request, f"/onboardings/{value.id}")
    return answered(Onboarding, views.onboarding(value, words_of(request)), status=status, headers=where)

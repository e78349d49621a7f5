"""Renewals of what a connected company is acted for with."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from klucznik.access.gate import Caller
from klucznik.api.answers import IdempotencyKey, answered, once
from klucznik.api.asked import Issue, connected
from klucznik.api.models.renewals import NewRenewal, Renewals
from klucznik.api.problems import documented
from klucznik.domain.issuance import Issuance
from klucznik.errors import SignatureNeeded
from klucznik.services.accounts.idempotency import Answer, Claim
from klucznik.services.renewal.renew import order_renewals
from klucznik.views.renewals import ordered

router = APIRouter(prefix="/renewals", tags=["issuances"])


@router.post(
    "", response_model=Renewals, status_code=201, responses=documented(404, 409, 502), summary="Renew what is due"
)
async def renew(request: Request, caller: Issue, body: NewRenewal, key: IdempotencyKey) -> Response:
    """Orders it now, as the workers do by themselves when it is due. Nothing is spent on what is not due yet."""
    context = await connected(caller, body.nip)

    async def work(_: Claim) -> Answer:
        try:
            found = await order_renewals(caller.klucznik, context)
        except SignatureNeeded as error:  # it names any company of the subject
            raise SignatureNeeded(error.reason, nip=context.value) from None
        return answered(Renewals, ordered([(one, _known(caller, running)) for one, running in found]), status=201)

    return await once(request, caller, key, body, work)


def _known(caller: Caller, running: Issuance | None) -> Issuance | None:
    """The same, unless it was signed in for in another company of the subject, of which this caller is not told."""
    return running if running is not None and caller.principal.reaches(running.context.value) else None

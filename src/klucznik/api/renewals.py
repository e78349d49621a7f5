"""Renewals of what a connected company is acted for with."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from klucznik.api.answers import IdempotencyKey, answered, once
from klucznik.api.asked import Issue, connected
from klucznik.api.models.renewals import NewRenewal, Renewals
from klucznik.api.problems import documented
from klucznik.services.idempotency import Answer, Claim
from klucznik.services.renew import order_renewals
from klucznik.views.renewals import ordered

router = APIRouter(prefix="/renewals", tags=["issuances"])


@router.post(
    "", response_model=Renewals, status_code=201, responses=documented(404, 409, 502), summary="Renew what is due"
)
async def renew(request: Request, caller: Issue, body: NewRenewal, key: IdempotencyKey) -> Response:
    """Orders it now, as the workers do by themselves when it is due. Nothing is spent on what is not due yet."""
    context = await connected(caller, body.nip)

    async def work(_: Claim) -> Answer:
        return answered(Renewals, ordered(await order_renewals(caller.klucznik, context)), status=201)

    return await once(request, caller, key, body, work)

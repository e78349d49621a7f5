"""Certificates here and in KSeF, and both limits of those who hold them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from klucznik.api.answers import IdempotencyKey, answered, once, sent
from klucznik.api.asked import Issue, Nip, Revoke, See, Serial, connected
from klucznik.api.models.certificates import (
    CertificatePage,
    ListedCertificates,
    NewRevocation,
    Revocation,
    SubjectLimits,
    VaultCertificateDetail,
)
from klucznik.api.paging import Cursor, Limit, cursor_of, link, page_of, serial_in
from klucznik.api.problems import documented
from klucznik.domain.identifiers import Context
from klucznik.services import certificates as service
from klucznik.services.accounts.idempotency import Answer, Claim
from klucznik.services.limits import read_limits
from klucznik.services.revoke import revoke
from klucznik.views import certificates as views

router = APIRouter()


@router.get(
    "/connections/{nip}/limits",
    response_model=SubjectLimits,
    responses=documented(404, 409, 502),
    tags=["limits"],
    summary="Ask KSeF for both limits",
)
async def get_limits(caller: Issue, nip: Nip) -> Response:
    """Signs in to KSeF and asks for both limits of the subject. Spends nothing."""
    context = await connected(caller, nip)
    return sent(answered(SubjectLimits, views.limits_of_subject(await read_limits(caller.klucznik, context, None))))


@router.get(
    "/connections/{nip}/certificates",
    response_model=ListedCertificates,
    responses=documented(404, 409, 502),
    tags=["certificates"],
    summary="Ask KSeF for the subject's certificates",
)
async def get_listed(caller: Issue, nip: Nip) -> Response:
    """Signs in to KSeF and lists all certificates of the subject, in all its companies. Spends nothing."""
    context = await connected(caller, nip)
    found = await service.in_ksef(caller.klucznik, context, None)
    return sent(answered(ListedCertificates, views.listed_of_subject(found)))


@router.get("/certificates", response_model=CertificatePage, tags=["certificates"], summary="List certificates here")
async def list_certificates(request: Request, caller: See, limit: Limit = 50, after: Cursor = None) -> Response:
    """Certificates whose keys are here, by serial number, a page at a time."""
    nip = caller.principal.nip
    found = await service.page_in_vault(
        caller.klucznik,
        size=limit + 1,
        after=None if after is None else serial_in(after),
        only=None if nip is None else Context.of_nip(nip),
    )
    page = found[:limit]
    further = cursor_of(page[-1].certificate.serial_number) if len(found) > limit else None
    items = [views.in_vault(one.certificate, one.programs) for one in page]
    return sent(answered(CertificatePage, page_of(items, further), headers=link(request, further)))


@router.get(
    "/certificates/{serial}",
    response_model=VaultCertificateDetail,
    responses=documented(404),
    tags=["certificates"],
    summary="Look at a certificate here",
)
async def get_certificate(caller: See, serial: Serial) -> Response:
    """A certificate whose key is here, with the certificate itself as PEM. The key is never in an answer."""
    nip = caller.principal.nip
    found = await service.one_in_vault(caller.klucznik, serial, only=None if nip is None else Context.of_nip(nip))
    return sent(answered(VaultCertificateDetail, views.with_pem(found.certificate, found.programs)))


@router.post(
    "/certificates/{serial}/revocation",
    response_model=Revocation,
    status_code=201,
    responses=documented(404, 409, 502),
    tags=["certificates"],
    summary="Revoke a certificate for good",
)
async def revoke_certificate(
    request: Request, caller: Revoke, serial: Serial, body: NewRevocation, key: IdempotencyKey
) -> Response:
    """Final. It frees a certificate slot, never a request; asking for it is the confirmation."""
    context = await connected(caller, body.nip)

    async def work(_: Claim) -> Answer:
        done = await revoke(
            caller.klucznik,
            context,
            serial,
            None,
            reason=body.reason,
            end_sessions=body.end_sessions,
            spares_others=caller.principal.nip is not None,
            confirm=lambda _: True,
        )
        return answered(Revocation, views.revocation(done), status=201)

    return await once(request, caller, key, body, work)

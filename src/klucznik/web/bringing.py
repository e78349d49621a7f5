"""Connecting with what is brought: KSeF certificates from another program, or a KSeF token. Spends nothing."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from klucznik.access.gate import Visitor
from klucznik.domain.certificates import CertificateType
from klucznik.domain.ksef_token import parse_token
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError, KlucznikError
from klucznik.keys.import_ import ImportedCertificate, load_ksef_certificate
from klucznik.keys.reading import Upload
from klucznik.services import onboarding as onboardings
from klucznik.web.uploads import brought, certificate_files
from klucznik.web.wizard import Connecting, Trouble, carried_out, page

router = APIRouter(prefix="/connect/{onboarding_id}/bring")


@router.post("/certificates")
async def certificates(
    request: Request,
    visitor: Connecting,
    onboarding_id: str,
    certificate: Annotated[UploadFile | None, File()] = None,
    key: Annotated[UploadFile | None, File()] = None,
    password: Annotated[str, Form()] = "",
    offline_certificate: Annotated[UploadFile | None, File()] = None,
    offline_key: Annotated[UploadFile | None, File()] = None,
    offline_password: Annotated[str, Form()] = "",
) -> Response:
    """The certificate that signs in, and the one for offline invoices where there is one."""
    first = (await brought(certificate), await brought(key))
    second = (await brought(offline_certificate), await brought(offline_key))
    read: list[ImportedCertificate] = []
    try:
        read.append(await _read(visitor, *first, password, CertificateType.AUTHENTICATION))
    except KlucznikError as error:
        return await page(request, visitor, onboarding_id, Trouble(error, "certificate"))
    if second != (None, None):
        try:
            read.append(await _read(visitor, *second, offline_password or password, CertificateType.OFFLINE))
        except KlucznikError as error:
            return await page(request, visitor, onboarding_id, Trouble(error, "offline"))
    connected = onboardings.connect_imported(visitor.klucznik, onboarding_id, visitor.principal, read)
    return await carried_out(request, visitor, onboarding_id, connected, about="certificate")


@router.post("/token")
async def token(
    request: Request, visitor: Connecting, onboarding_id: str, token: Annotated[str, Form()] = ""
) -> Response:
    """The token is sealed at once; it is never shown again."""
    try:
        parsed = parse_token(token)
    except InvalidValue as error:
        return await page(request, visitor, onboarding_id, Trouble(InputError(error.reason, **error.data), "token"))
    connected = onboardings.connect_token(visitor.klucznik, onboarding_id, visitor.principal, parsed)
    return await carried_out(request, visitor, onboarding_id, connected, about="token")


async def _read(
    visitor: Visitor, certificate: Upload | None, key: Upload | None, password: str, kind: CertificateType
) -> ImportedCertificate:
    klucznik = visitor.klucznik
    load = partial(
        load_ksef_certificate,
        **certificate_files(certificate, key),
        password=password.encode() or None,
        environment=klucznik.environment,
        now=klucznik.clock.now(),
        expected_type=kind,
    )
    return await klucznik.hashing.opened(load, klucznik.clock)

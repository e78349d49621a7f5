"""Signing in to KSeF from the wizard: a document that is signed in another program, or a certificate with its key."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from klucznik.access.gate import Visitor
from klucznik.errors import KlucznikError
from klucznik.keys.credential import load_credential
from klucznik.services import onboarding as onboardings
from klucznik.services.accounts import browser_sessions
from klucznik.web.pages import words_of
from klucznik.web.uploads import brought, certificate_files
from klucznik.web.wizard import Connecting, Trouble, carried_out, page, see

router = APIRouter(prefix="/connect/{onboarding_id}")


@router.post("/document")
async def ask_for_document(
    request: Request, visitor: Connecting, onboarding_id: str, anew: Annotated[str, Form()] = ""
) -> Response:
    """A document to sign: from here on its ten minutes run."""
    asked = onboardings.ask_for_document(visitor.klucznik, onboarding_id, visitor.principal, anew=bool(anew))
    return await carried_out(request, visitor, onboarding_id, asked, about="document")


@router.get("/document.xml")
async def document(visitor: Connecting, onboarding_id: str) -> Response:
    """The document, exactly as it has to be signed; where its time is over, the page that says so."""
    found = await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    request = await onboardings.document_of(visitor.klucznik, found)
    if request is None:
        return see(onboarding_id)
    name = f"ksef-{found.context.value}-{request.id[:6]}.xml"
    return Response(
        request.document,
        media_type="application/xml",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.post("/signature")
async def hand_in(
    request: Request, visitor: Connecting, onboarding_id: str, signed: Annotated[UploadFile | None, File()] = None
) -> Response:
    """The signed file. It is checked here first, so a mistake is told in words and costs nothing."""
    file = await brought(signed)
    if file is None:
        sentence = words_of(request).say("sign_page.bring.none")
        return await page(request, visitor, onboarding_id, Trouble(about="signature", fields={"signed": sentence}))
    handed_in = onboardings.hand_in(
        visitor.klucznik, onboarding_id, visitor.principal, file.content, with_login=_proof_of(visitor)
    )
    return await carried_out(request, visitor, onboarding_id, handed_in, about="signature")


@router.post("/key")
async def sign_in_with_key(
    request: Request,
    visitor: Connecting,
    onboarding_id: str,
    certificate: Annotated[UploadFile | None, File()] = None,
    key: Annotated[UploadFile | None, File()] = None,
    password: Annotated[str, Form()] = "",
) -> Response:
    """A certificate with its key, for this one sign-in. Neither is kept."""
    files, clock = certificate_files(await brought(certificate), await brought(key)), visitor.klucznik.clock
    load = partial(load_credential, **files, password=password.encode() or None, now=clock.now())
    try:
        credential = await visitor.klucznik.hashing.opened(load, clock)
    except KlucznikError as error:
        return await page(request, visitor, onboarding_id, Trouble(error, "key"))
    signed_in = onboardings.sign_in_with_key(
        visitor.klucznik, onboarding_id, visitor.principal, credential, with_login=_proof_of(visitor)
    )
    return await carried_out(request, visitor, onboarding_id, signed_in, about="key")


def _proof_of(visitor: Visitor) -> onboardings.WithLogin:
    return partial(browser_sessions.signed_in, visitor.klucznik, session=visitor.session)

"""Pages that only the demo has: a door without a password, and what stands in for the trusted profile.

The router is made by `klucznik serve --demo` alone; no other application has these routes.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.cookies import guesser, sign_browser_in
from klucznik.access.gate import Anybody, Requires, Visitor, installation_of
from klucznik.domain.roles import Action
from klucznik.errors import AccessDenied
from klucznik.server.demo import COMPANIES, EMAIL, FREE, Company, Demo
from klucznik.services import onboarding
from klucznik.services.accounts import passwords
from klucznik.web.pages import render

MayConnect = Annotated[Visitor, Depends(Requires(Action.CONNECT))]
_FILES = {"credential.crt": "certificate_file", "credential.key": "key_file"}


def demo_router(demo: Demo) -> APIRouter:
    """The routes, around one world."""
    router = APIRouter(prefix="/demo")

    @router.get("/enter/{token}")
    async def enter(request: Request, _: Anybody, token: Annotated[str, Path(max_length=100)]) -> RedirectResponse:
        if not hmac.compare_digest(token.encode(), demo.entry.encode()):
            raise AccessDenied("page_unknown")
        klucznik = installation_of(request)
        entered = await passwords.sign_in(klucznik, demo.password, who=guesser(request, EMAIL))
        answer = RedirectResponse("/", status_code=303)
        sign_browser_in(request, answer, entered)
        return answer

    @router.get("")
    async def page(request: Request, _: Anybody) -> HTMLResponse:
        return render(request, "demo/signatures.html", companies=COMPANIES, free=FREE)

    @router.get("/signatures/{pesel}/{name}")
    async def file(_: Anybody, pesel: str, name: str) -> Response:
        if name not in _FILES:
            raise AccessDenied("page_unknown")
        files = demo.signers.files(_company_of(pesel).subject)
        content = getattr(files, _FILES[name]).read_bytes()
        return _download(content, name, "application/x-pem-file")

    @router.post("/sign")
    async def sign(_: Anybody, pesel: Annotated[str, Form()], document: Annotated[UploadFile, File()]) -> Response:
        signed = demo.signers.sign(await document.read(), _company_of(pesel).subject)
        return _download(signed, "signed.xml", "application/xml")

    @router.post("/sign/{onboarding_id}")
    async def sign_and_hand_in(visitor: MayConnect, onboarding_id: str) -> RedirectResponse:
        klucznik, by = visitor.klucznik, visitor.principal
        there = await onboarding.find(klucznik, onboarding_id, by)
        wanted = await onboarding.ask_for_document(klucznik, onboarding_id, by)
        subject = demo.signers.signer_for(there.context.value, there.signer)
        await onboarding.hand_in(klucznik, onboarding_id, by, demo.signers.sign(wanted.document, subject))
        return RedirectResponse(f"/connect/{onboarding_id}", status_code=303)

    return router


def _company_of(pesel: str) -> Company:
    found = next((company for company in COMPANIES if company.pesel == pesel), None)
    if found is None:
        raise AccessDenied("page_unknown")
    return found


def _download(content: bytes, name: str, kind: str) -> Response:
    return Response(content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})

"""Keys leave here for other programs: after a fresh password, encrypted with another one, and recorded."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from klucznik.access.gate import Requires, Visitor
from klucznik.access.proof import check_proved
from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.identifiers import Context
from klucznik.domain.onboarding import Onboarding, OnboardingState
from klucznik.domain.programs import parse_program
from klucznik.domain.roles import Action
from klucznik.domain.values import InvalidValue
from klucznik.errors import AccessDenied, InputError
from klucznik.keys.export import MIN_PASSWORD_LENGTH, WIDELY_ACCEPTED_LENGTHS
from klucznik.messages.refusal import reach_text
from klucznik.services import onboarding as onboardings
from klucznik.services.export import ExportFormat, hand_out, those_to_export
from klucznik.web.pages import render, told, words_of
from klucznik.web.wizard import Connecting, address

router = APIRouter()
Exporting = Annotated[Visitor, Depends(Requires(Action.EXPORT_KEYS))]

# Whoever came by an invitation has no password: their signature is the proof, for so long after they are done.
_SIGNED_LATELY = timedelta(hours=1)
_FORMATS = (ExportFormat.PEM, ExportFormat.PKCS12)


@dataclass(frozen=True)
class _Counter:
    """Where keys are handed out to whoever has proved lately who they are: for which company, what, the way back."""

    nip: str
    path: str
    back: str
    certificates: tuple[HeldCertificate, ...]


@dataclass(frozen=True)
class _Wish:
    """What the form says."""

    format: str
    password: str = field(repr=False)
    again: str = field(repr=False)
    program: str


async def _wish(
    format: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
    program: Annotated[str, Form()] = "",
) -> _Wish:
    return _Wish(format, password, again, program)


Wished = Annotated[_Wish, Depends(_wish)]


# ── of an onboarding that is done ────────────────────────────────────────────────────────────────────────────────────


@router.get("/connect/{onboarding_id}/kod2.svg")
async def qr_code(visitor: Connecting, onboarding_id: str) -> Response:
    """The QR code of the KOD II link that proves the Offline certificate."""
    found = await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    results = await onboardings.results_of(visitor.klucznik, found)
    link = next((one.kod2 for one in results.certificates if one.kod2 is not None), None)
    if link is None:
        raise AccessDenied("page_unknown")
    drawn = io.BytesIO()
    # Dark on white whatever the page's colours are, with its quiet zone: so scanners want it.
    segno.make_qr(link, error="m").save(drawn, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False)
    return Response(drawn.getvalue(), media_type="image/svg+xml")


@router.get("/connect/{onboarding_id}/download")
async def ask_after_onboarding(request: Request, visitor: Exporting, onboarding_id: str) -> Response:
    return _form(request, await _of_onboarding(visitor, onboarding_id))


@router.post("/connect/{onboarding_id}/download")
async def download_after_onboarding(request: Request, visitor: Exporting, onboarding_id: str, wish: Wished) -> Response:
    return await _handed_out(request, visitor, await _of_onboarding(visitor, onboarding_id), wish)


async def _of_onboarding(visitor: Visitor, onboarding_id: str) -> _Counter:
    """Only certificates of whoever signed here: others of the company may be somebody else's own."""
    found = await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    if found.state is not OnboardingState.DONE or found.subject is None:
        raise AccessDenied("page_unknown")
    results = await onboardings.results_of(visitor.klucznik, found)
    own = tuple(one.certificate for one in results.certificates if one.certificate.subject == found.subject)
    if not own:
        raise AccessDenied("page_unknown")
    _check_signed_or_proved(visitor, found)
    return _Counter(found.context.value, address(found.id, "download"), address(found.id), own)


def _check_signed_or_proved(visitor: Visitor, onboarding: Onboarding) -> None:
    """As `check_proved`; of whoever came by an invitation, the signature given in this very browser, for a while.

    Others hold links to the same onboarding: who invited, for one, may make another.
    """
    if visitor.session.invitation_id is None:
        check_proved(visitor, back=address(onboarding.id, "download"))
        return
    signed_at, now = visitor.session.proved_at, visitor.klucznik.clock.now()
    if signed_at is None or signed_at < onboarding.created_at or now >= onboarding.updated_at + _SIGNED_LATELY:
        raise AccessDenied("keys_where_signed")


# ── of a company ─────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get("/companies/{nip}/download")
async def ask(request: Request, visitor: Exporting, nip: str) -> Response:
    return _form(request, await _of_company(visitor, nip))


@router.post("/companies/{nip}/download")
async def download(request: Request, visitor: Exporting, nip: str, wish: Wished) -> Response:
    return await _handed_out(request, visitor, await _of_company(visitor, nip), wish)


async def _of_company(visitor: Visitor, nip: str) -> _Counter:
    if visitor.principal.nip is not None:
        raise AccessDenied("page_unknown")  # who was invited takes away what they have signed for, and no more
    try:
        context = Context.of_nip(nip)
    except InvalidValue:
        raise AccessDenied("page_unknown") from None
    held = await those_to_export(visitor.klucznik, context)
    if not held:
        raise InputError("nothing_to_export", wanted=context.value, environment=visitor.klucznik.environment.value)
    back = f"/companies/{context.value}"
    check_proved(visitor, back=f"{back}/download")
    return _Counter(context.value, f"{back}/download", back, tuple(held))


# ── the counter ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _form(
    request: Request, counter: _Counter, errors: Mapping[str, str] | None = None, given: Mapping[str, str] | None = None
) -> Response:
    words = words_of(request)
    return render(
        request,
        "onboarding/download.html",
        status=422 if errors else 200,
        counter=counter,
        reach=reach_text(counter.certificates[0].subject, words),
        formats=_FORMATS,
        shortest=MIN_PASSWORD_LENGTH,
        least=WIDELY_ACCEPTED_LENGTHS[0],
        most=WIDELY_ACCEPTED_LENGTHS[-1],
        errors=errors or {},
        given={"format": ExportFormat.PEM.value, "program": "", **(given or {})},
    )


async def _handed_out(request: Request, visitor: Visitor, counter: _Counter, wish: _Wish) -> Response:
    words, given = words_of(request), {"format": wish.format, "program": wish.program}
    if wish.format not in {one.value for one in _FORMATS}:
        return _form(request, counter, {"format": words.say("wizard.choose_one")}, given)
    if wish.password != wish.again:
        return _form(request, counter, {"again": words.say("download.passwords_differ")}, given)
    try:
        program = parse_program(wish.program) if wish.program.strip() else None
    except InvalidValue as error:
        return _form(request, counter, {"program": told(request, InputError(error.reason, **error.data)).what}, given)
    try:
        files = await hand_out(
            visitor.klucznik,
            counter.certificates,
            password=wish.password.encode(),
            format=ExportFormat(wish.format),
            program=program,
        )
    except InputError as error:
        return _form(request, counter, {"password": told(request, error).what}, given)
    return _attached(counter, files)


def _attached(counter: _Counter, files: Mapping[str, bytes]) -> Response:
    """One file as it is, several in a ZIP. The names are ours: letters, digits and dashes."""
    if len(files) == 1:
        ((name, content),) = files.items()
    else:
        name, content = f"ksef-{counter.nip}.zip", _zipped(files)
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


def _zipped(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name), content)  # without a clock: encrypted as they are
    return archive.getvalue()

"""Ways out of a refusal, each shown in full first and walked after a yes, in the session that was refused."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response

from klucznik.access.gate import Requires, Visitor
from klucznik.domain.connections import Method
from klucznik.domain.onboarding import Onboarding, OnboardingState
from klucznik.domain.reasons import RemedyKind
from klucznik.domain.remedies import About, revocation_risks
from klucznik.domain.roles import Action
from klucznik.errors import InputError, KlucznikError, SignatureNeeded
from klucznik.messages import LANGUAGES
from klucznik.messages.permissions import client_letter, steps_by_hand
from klucznik.messages.refusal import reach_text, risk_text
from klucznik.services import onboarding as onboardings
from klucznik.web.pages import render, told, words_of
from klucznik.web.refusal_parts import shown_refusal
from klucznik.web.wizard import MOVED_ON, Connecting, Trouble, address, carried_out, operator_of, page, see

router = APIRouter(prefix="/connect/{onboarding_id}")
Granting = Annotated[Visitor, Depends(Requires(Action.GRANT))]
Revoking = Annotated[Visitor, Depends(Requires(Action.REVOKE))]
Issuing = Annotated[Visitor, Depends(Requires(Action.ISSUE))]


# ── letting the operator in ──────────────────────────────────────────────────────────────────────────────────────────


@router.get("/grant")
async def ask_to_grant(request: Request, visitor: Granting, onboarding_id: str) -> Response:
    """What exactly would be granted, and to whom."""
    try:
        proposed = await onboardings.proposed_grant(visitor.klucznik, onboarding_id, visitor.principal)
    except KlucznikError as error:
        if isinstance(error, SignatureNeeded) or error.reason in MOVED_ON:
            return see(onboarding_id)
        return await page(request, visitor, onboarding_id, Trouble(error, "grant"))
    found = await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    return render(request, "onboarding/grant_asked.html", onboarding=found, at=address(onboarding_id), grant=proposed)


@router.post("/grant")
async def grant(
    request: Request,
    visitor: Granting,
    onboarding_id: str,
    operator: Annotated[str, Form()] = "",
    delegable: Annotated[str, Form()] = "",
) -> Response:
    granted = onboardings.grant(
        visitor.klucznik, onboarding_id, visitor.principal, operator_nip=operator, delegable=bool(delegable)
    )
    return await carried_out(request, visitor, onboarding_id, granted, about="grant")


@router.get("/letter")
async def letter(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    """What the company does in the Ministry's application, and a text to send to it."""
    found = await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    shown, words = await operator_of(visitor.klucznik, found.context), words_of(request)
    if shown.operator is None:
        return await page(request, visitor, onboarding_id, Trouble(InputError(shown.reason or "operator_not_set")))
    operator, nip = shown.operator, found.context.value
    return render(
        request,
        "onboarding/letter.html",
        onboarding=found,
        at=address(onboarding_id),
        operator=operator,
        steps=list(steps_by_hand(operator, words)),
        letters={language: client_letter(operator, nip, language) for language in LANGUAGES},
    )


@router.post("/letter")
async def await_grant(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    """From now on it is looked whether the company has let the operator in."""
    return await carried_out(request, visitor, onboarding_id, _awaited(visitor, onboarding_id))


async def _awaited(visitor: Visitor, onboarding_id: str) -> None:
    klucznik, by = visitor.klucznik, visitor.principal
    found = await onboardings.find(klucznik, onboarding_id, by)
    if found.method is not Method.PERMISSION or found.state is OnboardingState.REFUSED:
        await onboardings.choose_method(klucznik, onboarding_id, by, Method.PERMISSION)
    await onboardings.connect_permission(klucznik, onboarding_id, by)


# ── revoking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Doomed:
    """A certificate that is to be revoked, and the programs that will notice."""

    about: About
    programs: tuple[str, ...]


@router.get("/revoke")
async def choose_what_to_revoke(request: Request, visitor: Revoking, onboarding_id: str) -> Response:
    found = await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    offered = _offered(found)
    if not offered:
        return see(onboarding_id)
    return await _choice(request, visitor, found, offered, {})


@router.get("/revoke/asked")
async def ask_to_revoke(
    request: Request, visitor: Revoking, onboarding_id: str, serial: Annotated[list[str] | None, Query()] = None
) -> Response:
    """What is lost with the chosen ones; nothing is sent yet."""
    found = await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    offered, words = _offered(found), words_of(request)
    if not offered or found.refusal is None:
        return see(onboarding_id)
    chosen = serial or []
    try:
        asked = await onboardings.proposed_revocations(visitor.klucznik, onboarding_id, visitor.principal, chosen)
    except InputError as error:
        return await _choice(request, visitor, found, offered, {"serial": told(request, error).what})
    doomed = [_Doomed(offered[one.record.serial_number], one.programs) for one in asked]
    return render(
        request,
        "onboarding/revoke_asked.html",
        onboarding=found,
        at=address(onboarding_id),
        reach=reach_text(found.refusal.subject, words),
        doomed=doomed,
        risks=[risk_text(risk, words) for risk in revocation_risks([one.about for one in doomed])],
        limits=found.refusal.limits,
        needed=found.refusal.needed,
    )


@router.post("/revoke")
async def revoke(
    request: Request,
    visitor: Revoking,
    onboarding_id: str,
    serial: Annotated[list[str] | None, Form()] = None,
    end_sessions: Annotated[str, Form()] = "",
) -> Response:
    revoked = onboardings.revoke(
        visitor.klucznik, onboarding_id, visitor.principal, serial or [], end_sessions=bool(end_sessions)
    )
    return await carried_out(request, visitor, onboarding_id, revoked, about="revoke")


def _offered(onboarding: Onboarding) -> dict[str, About]:
    """Those that may be chosen, by serial number, in the order in which they may best be missed."""
    remedies = () if onboarding.refusal is None else onboarding.refusal.remedies
    return {
        about.record.serial_number: about
        for remedy in remedies
        if remedy.kind is RemedyKind.REVOKE and onboarding.state is OnboardingState.REFUSED
        for about in remedy.certificates
    }


async def _choice(
    request: Request, visitor: Visitor, found: Onboarding, offered: dict[str, About], errors: dict[str, str]
) -> Response:
    refusal = found.refusal
    remedy = next((one for one in refusal.remedies if one.kind is RemedyKind.REVOKE), None) if refusal else None
    if remedy is None or refusal is None:
        return see(found.id)
    asked = await onboardings.proposed_revocations(visitor.klucznik, found.id, visitor.principal, list(offered))
    return render(
        request,
        "onboarding/revoke.html",
        status=422 if errors else 200,
        onboarding=found,
        at=address(found.id),
        offered=[_Doomed(offered[one.record.serial_number], one.programs) for one in asked],
        suggested=[about.record.serial_number for about in remedy.suggested_certificates],
        enough=remedy.frees_certificates,
        alone=remedy.suffices,
        errors=errors,
        reach=reach_text(refusal.subject, words_of(request)),
    )


# ── waiting, and other methods ───────────────────────────────────────────────────────────────────────────────────────


@router.get("/wait")
async def ask_to_wait(request: Request, visitor: Issuing, onboarding_id: str) -> Response:
    found = await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    if found.state is not OnboardingState.REFUSED or found.refusal is None:
        return see(onboarding_id)
    shown = shown_refusal(request, visitor, found)
    waits = [one for one in shown["remedies"] if one.step == "wait"]
    return render(
        request, "onboarding/wait_asked.html", onboarding=found, at=address(onboarding_id), waits=waits, **_lean(shown)
    )


@router.post("/wait")
async def wait(request: Request, visitor: Issuing, onboarding_id: str) -> Response:
    waiting = onboardings.wait_for_limits(visitor.klucznik, onboarding_id, visitor.principal)
    return await carried_out(request, visitor, onboarding_id, waiting)


@router.post("/imported")
async def bring_certificates(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    return await carried_out(request, visitor, onboarding_id, _by(visitor, onboarding_id, Method.IMPORTED))


@router.post("/token")
async def bring_token(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    return await carried_out(request, visitor, onboarding_id, _by(visitor, onboarding_id, Method.TOKEN))


def _by(visitor: Visitor, onboarding_id: str, method: Method) -> Awaitable[Onboarding]:
    return onboardings.choose_method(visitor.klucznik, onboarding_id, visitor.principal, method)


def _lean(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name in ("reach", "limits", "refusal")}

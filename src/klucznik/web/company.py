"""A company's page, and what can be done there: check, rename, renew, revoke, disconnect, mark programs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.gate import Requires, Visitor
from klucznik.access.statuses import status_of
from klucznik.domain.certificates import CertificateType, RevocationReason
from klucznik.domain.connections import Method
from klucznik.domain.identifiers import Context
from klucznik.domain.permissions import OwnPermission
from klucznik.domain.road_steps import steps_of
from klucznik.domain.roles import Action
from klucznik.domain.token_sunset import TOKEN_SUNSET
from klucznik.domain.values import InvalidValue
from klucznik.errors import AccessDenied, InputError, KlucznikError
from klucznik.messages import Words
from klucznik.messages.refusal import reach_text
from klucznik.messages.timeline import timeline_text
from klucznik.services import company as companies
from klucznik.services.connections import disconnect as forget
from klucznik.services.renewal.renew import order_renewal
from klucznik.services.revoke import revoke as revoke_in_ksef
from klucznik.services.timeline import Happened, timeline
from klucznik.services.verify import verify as prove
from klucznik.web.pages import render, told, words_of
from klucznik.web.road import shown_steps

router = APIRouter(prefix="/companies/{nip}")

_LATEST = 8
# What has just been done here, said at the top of the page: a word of the address, never a sentence of it.
_DONE = ("checked", "renamed", "revoked", "marked", "renewal_ordered", "nothing_to_renew")


async def the_company(nip: str) -> Context:
    """The company of the address; ``page_unknown`` where it is no NIP."""
    try:
        return Context.of_nip(nip)
    except InvalidValue:
        raise AccessDenied("page_unknown") from None


Of = Annotated[Context, Depends(the_company)]


class _Reaching(Requires):
    """As `Requires`, for the company of the address.

    Not for whoever came by an invitation, to their own company either: they have signed nothing yet that would show a
    say in its certificates, and do all that is theirs in their onboarding.
    """

    async def __call__(self, request: Request) -> Visitor:
        visitor = await super().__call__(request)
        if visitor.session.invitation_id is not None:
            raise AccessDenied("page_unknown")
        visitor.check_reaches(request.path_params["nip"])
        return visitor


Seeing = Annotated[Visitor, Depends(_Reaching(Action.SEE))]
Connecting = Annotated[Visitor, Depends(_Reaching(Action.CONNECT))]
Issuing = Annotated[Visitor, Depends(_Reaching(Action.ISSUE))]
Revoking = Annotated[Visitor, Depends(_Reaching(Action.REVOKE))]
Disconnecting = Annotated[Visitor, Depends(_Reaching(Action.DISCONNECT))]


@router.get("")
async def show(request: Request, visitor: Seeing, context: Of, done: str = "") -> HTMLResponse:
    return await _page(request, visitor, context, done=done if done in _DONE else "")


async def _page(
    request: Request,
    visitor: Visitor,
    context: Context,
    *,
    done: str = "",
    problem: KlucznikError | None = None,
    permissions: tuple[OwnPermission, ...] | None = None,
) -> HTMLResponse:
    words = words_of(request)
    found = await companies.company(visitor.klucznik, context)
    latest = await timeline(visitor.klucznik, context, size=_LATEST)
    subject = found.connection.subject
    return render(
        request,
        "company/show.html",
        status=200 if problem is None else status_of(problem),
        company=found,
        connection=found.connection,
        reach=None if subject is None or not found.held else reach_text(subject, words),
        roads=[(one, shown_steps(steps_of(one.issuance, one.enrollments), words)) for one in found.roads],
        lines=[_line(one, words) for one in latest.lines],
        more=latest.following is not None,
        permissions=permissions,
        token_last_day=TOKEN_SUNSET.last_day.strftime("%d.%m.%Y"),
        done=done,
        problem=None if problem is None else told(request, problem),
        signature_needed=found.renewal is not None and found.renewal.plan.signs_in_until is None,
    )


def _line(one: Happened, words: Words) -> dict[str, object]:
    return {
        "at": one.at,
        "text": timeline_text(one.event, one.facts, words),
        "who": one.name or words.say(f"timeline.by.{one.by.value}"),
    }


@router.get("/timeline")
async def whole_timeline(request: Request, visitor: Seeing, context: Of, before: str | None = None) -> HTMLResponse:
    words = words_of(request)
    page = await timeline(visitor.klucznik, context, cursor=before)
    return render(
        request,
        "company/timeline.html",
        nip=context.value,
        lines=[_line(one, words) for one in page.lines],
        following=page.following,
    )


@router.post("/verify")
async def verify(request: Request, visitor: Connecting, context: Of) -> Response:
    try:
        await prove(visitor.klucznik, context)
    except KlucznikError as error:
        return await _page(request, visitor, context, problem=error)
    return _back(context, "checked")


@router.post("/permissions")
async def permissions(request: Request, visitor: Connecting, context: Of) -> Response:
    """Asked of KSeF when somebody wants to know, and never by looking at a page."""
    try:
        found = await companies.permissions_in_ksef(visitor.klucznik, context)
    except KlucznikError as error:
        return await _page(request, visitor, context, problem=error)
    return await _page(request, visitor, context, permissions=found)


@router.post("/name")
async def rename(request: Request, visitor: Connecting, context: Of, name: Annotated[str, Form()] = "") -> Response:
    try:
        await companies.rename(visitor.klucznik, context, name)
    except InputError as error:
        return await _page(request, visitor, context, problem=error)
    return _back(context, "renamed")


@router.post("/certificates/{serial}/programs")
async def mark_program(
    request: Request,
    visitor: Connecting,
    context: Of,
    serial: str,
    program: Annotated[str, Form()] = "",
    forget: Annotated[str, Form()] = "",
) -> Response:
    try:
        await companies.mark_program(visitor.klucznik, context, serial, forget or program, uses=not forget)
    except InputError as error:
        return await _page(request, visitor, context, problem=error)
    return _back(context, "marked")


@router.get("/renew")
async def ask_renewal(request: Request, visitor: Issuing, context: Of) -> HTMLResponse:
    return await _ask(request, visitor, context, "company/renew.html")


@router.post("/renew")
async def renew(request: Request, visitor: Issuing, context: Of) -> Response:
    subject = (await companies.company(visitor.klucznik, context)).connection.subject
    if subject is None:
        return _back(context, "nothing_to_renew")
    try:
        ordered = await order_renewal(visitor.klucznik, subject, early=True)
    except KlucznikError as error:
        return await _page(request, visitor, context, problem=error)
    return _back(context, "nothing_to_renew" if ordered is None else "renewal_ordered")


@router.get("/certificates/{serial}/revoke")
async def ask_revocation(request: Request, visitor: Revoking, context: Of, serial: str) -> HTMLResponse:
    held = await companies.held_for(visitor.klucznik, context, serial)
    return await _ask(
        request,
        visitor,
        context,
        "company/revoke.html",
        certificate=held.certificate,
        programs=", ".join(held.programs),
        offline=held.certificate.type is CertificateType.OFFLINE,
        reasons=list(RevocationReason),
    )


@router.post("/certificates/{serial}/revoke")
async def revoke(
    request: Request,
    visitor: Revoking,
    context: Of,
    serial: str,
    reason: Annotated[RevocationReason, Form()] = RevocationReason.UNSPECIFIED,
    end_sessions: Annotated[bool, Form()] = False,
) -> Response:
    await companies.held_for(visitor.klucznik, context, serial)
    try:
        await revoke_in_ksef(
            visitor.klucznik,
            context,
            serial,
            None,
            reason=reason,
            end_sessions=end_sessions,
            confirm=lambda _: True,  # on the page that this form came from
        )
    except KlucznikError as error:
        return await _page(request, visitor, context, problem=error)
    return _back(context, "revoked")


@router.get("/disconnect")
async def ask_disconnection(request: Request, visitor: Disconnecting, context: Of) -> HTMLResponse:
    return await _ask(request, visitor, context, "company/disconnect.html", permission=Method.PERMISSION)


@router.post("/disconnect")
async def disconnect(visitor: Disconnecting, context: Of) -> Response:
    await forget(visitor.klucznik, context)
    return RedirectResponse("/", status_code=303)


async def _ask(request: Request, visitor: Visitor, context: Context, template: str, **data: Any) -> HTMLResponse:
    """A page that says what something will do before it is done."""
    found = await companies.company(visitor.klucznik, context)
    subject = found.connection.subject
    reach = None if subject is None else reach_text(subject, words_of(request))
    return render(request, template, company=found, connection=found.connection, reach=reach, **data)


def _back(context: Context, done: str) -> RedirectResponse:
    return RedirectResponse(f"/companies/{context.value}?done={done}", status_code=303)

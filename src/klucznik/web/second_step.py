"""Pages that ask once more who it is: the second factor after the password, and the password before what is delicate.

Passkeys are asked for by `static/passkeys.js`, which fetches a challenge here and sends the answer with the form.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.cookies import guesser, sign_browser_in
from klucznik.access.gate import Anybody, HalfSignedIn, Requires, Visitor, installation_of, settings_of
from klucznik.access.statuses import retry_after, status_of
from klucznik.domain.roles import Action
from klucznik.errors import AccessDenied
from klucznik.services.accounts import passkeys, passwords
from klucznik.services.accounts.browser_sessions import close_session
from klucznik.services.accounts.passkeys import Place
from klucznik.services.accounts.second_factor import finish_with_code, second_factor
from klucznik.web.pages import local, render, told
from klucznik.web.sign_in import has_passkeys

router = APIRouter()

Text = Annotated[str, Form(max_length=1000)]
Answer = Annotated[str, Form(max_length=20_000)]
Next = Annotated[str, Query(max_length=1000)]
# Of people with an account: every role of theirs has it, and clients have not.
Person = Annotated[Visitor, Depends(Requires(Action.SEE))]


def place_of(request: Request) -> Place:
    """Raises AccessDenied ``passkeys_not_here`` where browsers bind passkeys to no address of ours."""
    settings = settings_of(request)
    if settings.passkey_host is None:
        raise AccessDenied("passkeys_not_here")
    return Place(settings.passkey_host, settings.public_url)


@router.get("/sign-in/passkey.json")
async def challenge(request: Request, _: Anybody) -> Response:
    return json_of(passkeys.ask_for_sign_in(installation_of(request), place_of(request)))


@router.post("/sign-in/passkey")
async def sign_in(request: Request, visitor: Anybody, answer: Answer = "", next: Text = "/") -> Response:
    klucznik = installation_of(request)
    try:
        entered = await passkeys.sign_in(klucznik, place_of(request), answer)
    except AccessDenied as error:
        text = told(request, error)
        return render(
            request,
            "sign_in/form.html",
            status=status_of(error),
            email="",
            next=local(next),
            text=text,
            passkeys=has_passkeys(request),
        )
    if visitor is not None:
        await close_session(klucznik, visitor.session)
    return _entered(request, entered, next)


@router.get("/sign-in/second")
async def second_form(request: Request, visitor: HalfSignedIn, next: Next = "/") -> Response:
    if visitor.session.complete_at is not None:
        return RedirectResponse(local(next), status_code=303)
    return await _second(request, visitor, next, None)


@router.post("/sign-in/second")
async def second(
    request: Request, visitor: HalfSignedIn, code: Text = "", answer: Answer = "", next: Text = "/"
) -> Response:
    if visitor.session.complete_at is not None:
        return RedirectResponse(local(next), status_code=303)
    try:
        if answer:
            entered = await passkeys.finish(visitor.klucznik, visitor.session, place_of(request), answer)
        else:
            who = guesser(request, "")
            entered = await finish_with_code(visitor.klucznik, visitor.session, code, who=who)
    except AccessDenied as error:
        return await _second(request, visitor, next, error)
    return _entered(request, entered, next)


@router.get("/sign-in/second/passkey.json")
async def challenge_of_session(request: Request, visitor: HalfSignedIn) -> Response:
    return json_of(await passkeys.ask_for_session(visitor.klucznik, visitor.session, place_of(request)))


@router.get("/prove")
async def prove_form(request: Request, visitor: Person, next: Next = "/") -> HTMLResponse:
    return await _prove(request, visitor, next, None)


@router.post("/prove")
async def prove(
    request: Request, visitor: Person, password: Text = "", answer: Answer = "", next: Text = "/"
) -> Response:
    try:
        if answer:
            await passkeys.prove(visitor.klucznik, visitor.session, place_of(request), answer)
        else:
            who = guesser(request, visitor.principal.name)
            await passwords.prove_by_password(visitor.klucznik, visitor.session, password, who=who)
    except AccessDenied as error:
        return await _prove(request, visitor, next, error)
    return RedirectResponse(local(next), status_code=303)


def json_of(text: str) -> Response:
    return Response(text, media_type="application/json")


def _entered(request: Request, entered: passwords.Entered, next: str) -> RedirectResponse:
    answer = RedirectResponse(local(next), status_code=303)
    sign_browser_in(request, answer, entered)
    return answer


async def _second(request: Request, visitor: Visitor, next: str, error: AccessDenied | None) -> HTMLResponse:
    return await _asking(request, "sign_in/second.html", visitor, next, error)


async def _prove(request: Request, visitor: Visitor, next: str, error: AccessDenied | None) -> HTMLResponse:
    return await _asking(request, "sign_in/prove.html", visitor, next, error)


async def _asking(
    request: Request, template: str, visitor: Visitor, next: str, error: AccessDenied | None
) -> HTMLResponse:
    user = await passwords.user_of(visitor.klucznik, visitor.session)
    found = await second_factor(visitor.klucznik, user)
    seconds = None if error is None else retry_after(error, visitor.klucznik.clock.now().timestamp())
    return render(
        request,
        template,
        status=200 if error is None else status_of(error),
        headers={} if seconds is None else {"retry-after": str(seconds)},
        user=user,
        factor=found,
        next=local(next),
        text=None if error is None else told(request, error),
        passkeys=bool(found.passkeys) and has_passkeys(request),
    )

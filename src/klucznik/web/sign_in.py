"""Pages of whoever is not signed in yet: the sign-in, the set-up of the installation, a password by a link."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.cookies import guesser, sign_browser_in, sign_browser_out
from klucznik.access.gate import Anybody, HalfSignedIn, installation_of, settings_of
from klucznik.access.statuses import retry_after, status_of
from klucznik.access.told import sends_mail
from klucznik.domain.accounts import LinkPurpose
from klucznik.domain.passwords import LONGEST, SHORTEST
from klucznik.errors import AccessDenied, InputError, KlucznikError
from klucznik.services.accounts import passwords
from klucznik.services.accounts.account_links import look_at_link
from klucznik.services.accounts.browser_sessions import close_session
from klucznik.services.telling.letters import ask_for_password
from klucznik.web.pages import local, render, told

router = APIRouter()

Token = Annotated[str, Path(max_length=100)]
Text = Annotated[str, Form(max_length=1000)]
Next = Annotated[str, Query(max_length=1000)]
# Which field of a form an error is about.
FIELDS = {
    "user_email_malformed": "email",
    "user_name_malformed": "name",
    "password_too_short": "password",
    "password_too_long": "password",
    "password_common": "password",
    "password_is_you": "password",
    "passwords_differ": "again",
}


@router.get("/sign-in")
async def form(request: Request, visitor: Anybody, next: Next = "/") -> Response:
    if visitor is not None and visitor.session.complete_at is not None:
        return RedirectResponse(local(next), status_code=303)
    return render(request, "sign_in/form.html", email="", next=local(next), text=None, passkeys=has_passkeys(request))


@router.post("/sign-in")
async def sign_in(
    request: Request, visitor: Anybody, email: Text = "", password: Text = "", next: Text = "/"
) -> Response:
    klucznik = installation_of(request)
    try:
        entered = await passwords.sign_in(klucznik, password, who=guesser(request, email))
    except AccessDenied as error:
        seconds = retry_after(error, klucznik.clock.now().timestamp())
        return render(
            request,
            "sign_in/form.html",
            status=status_of(error),
            headers={} if seconds is None else {"retry-after": str(seconds)},
            email=email,
            next=local(next),
            text=told(request, error),
            passkeys=has_passkeys(request),
        )
    if visitor is not None:
        await close_session(klucznik, visitor.session)
    to = local(next)
    if entered.session.complete_at is None:
        to = f"/sign-in/second?next={quote(to, safe='/')}"
    answer = RedirectResponse(to, status_code=303)
    sign_browser_in(request, answer, entered)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, visitor: HalfSignedIn) -> RedirectResponse:
    await close_session(visitor.klucznik, visitor.session)
    answer = RedirectResponse("/sign-in", status_code=303)
    sign_browser_out(request, answer)
    return answer


@router.get("/forgotten")
async def forgotten_form(request: Request, _: Anybody) -> HTMLResponse:
    return _forgotten(request, "", None)


@router.post("/forgotten")
async def forgotten(request: Request, _: Anybody, email: Text = "") -> HTMLResponse:
    """The answer is the same whether anybody signs in with this address or not."""
    if not sends_mail(request):
        return _forgotten(request, "", None)
    address = None if request.client is None else request.client.host
    try:
        await ask_for_password(installation_of(request), email, address=address, page=password_page(request))
    except (InputError, AccessDenied) as error:
        return _forgotten(request, email, error)
    return render(request, "sign_in/asked.html", email=email.strip()[:254])


@router.get("/set-up/{token}")
async def set_up_form(request: Request, _: Anybody, token: Token) -> HTMLResponse:
    link, _user = await look_at_link(installation_of(request), token)
    if link.purpose is not LinkPurpose.SET_UP:
        raise AccessDenied("link_not_good")
    return _set_up(request, {}, {})


@router.post("/set-up/{token}")
async def set_up(
    request: Request, _: Anybody, token: Token, email: Text = "", name: Text = "", password: Text = "", again: Text = ""
) -> Response:
    try:
        check_same(password, again)
        entered = await passwords.set_up(installation_of(request), token, email=email, name=name, password=password)
    except InputError as error:
        return _set_up(request, {"email": email, "name": name}, {FIELDS[error.reason]: told(request, error).what})
    answer = RedirectResponse("/", status_code=303)
    sign_browser_in(request, answer, entered)
    return answer


@router.get("/password/{token}")
async def password_form(request: Request, _: Anybody, token: Token) -> HTMLResponse:
    return await _password(request, token, {})


@router.post("/password/{token}")
async def set_password(
    request: Request, visitor: Anybody, token: Token, password: Text = "", again: Text = ""
) -> Response:
    try:
        check_same(password, again)
        await passwords.set_password_by_link(installation_of(request), token, password)
    except InputError as error:
        return await _password(request, token, {FIELDS[error.reason]: told(request, error).what})
    if visitor is not None:
        await close_session(visitor.klucznik, visitor.session)
    answer = render(request, "sign_in/password_set.html")
    sign_browser_out(request, answer)
    return answer


def password_page(request: Request) -> str:
    """Where links to set a password lead, at the address that is configured, never at one that a browser names."""
    return f"{settings_of(request).public_url}/password/"


def has_passkeys(request: Request) -> bool:
    """Whether browsers bind passkeys to the address at which we are reached."""
    return settings_of(request).passkey_host is not None


def check_same(password: str, again: str) -> None:
    """Raise ``passwords_differ`` where what was typed twice is not the same."""
    if password != again:
        raise InputError("passwords_differ")


def _forgotten(request: Request, email: str, error: KlucznikError | None) -> HTMLResponse:
    seconds = None if error is None else retry_after(error, installation_of(request).clock.now().timestamp())
    return render(
        request,
        "sign_in/forgotten.html",
        status=200 if error is None else status_of(error),
        headers={} if seconds is None else {"retry-after": str(seconds)},
        by_mail=sends_mail(request),
        email=email[:254],
        errors={"email": told(request, error).what} if isinstance(error, InputError) else {},
        text=told(request, error) if isinstance(error, AccessDenied) else None,
    )


def _set_up(request: Request, values: dict[str, str], errors: dict[str, str]) -> HTMLResponse:
    return render(
        request,
        "sign_in/set_up.html",
        status=422 if errors else 200,
        values=values,
        errors=errors,
        shortest=SHORTEST,
        longest=LONGEST,
    )


async def _password(request: Request, token: str, errors: dict[str, str]) -> HTMLResponse:
    link, user = await look_at_link(installation_of(request), token)
    if user is None:
        raise AccessDenied("link_not_good")
    return render(
        request,
        "sign_in/password.html",
        status=422 if errors else 200,
        user=user,
        invited=link.purpose is LinkPurpose.INVITED,
        errors=errors,
        shortest=SHORTEST,
        longest=LONGEST,
    )

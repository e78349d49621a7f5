"""The cookies: of the session, of a browser that has signed in before, of its language. No page reads them, only we."""

from __future__ import annotations

from datetime import timedelta

from fastapi import Request, Response

from klucznik.access.gate import settings_of
from klucznik.domain.languages import Language
from klucznik.services.accounts.guesses import Guesser
from klucznik.services.accounts.passwords import Entered

# A browser that is used once in half a year is known again.
_DEVICE_LASTS = timedelta(days=180)
_LANGUAGE_LASTS = timedelta(days=365)
LANGUAGE_COOKIE = "language"


def sign_browser_in(request: Request, answer: Response, entered: Entered) -> None:
    """Give the browser its new session, never the token that it had: a stranger may have given it that one."""
    settings = settings_of(request)
    # Without an age it goes when the browser is closed.
    answer.set_cookie(settings.cookie, entered.token, httponly=True, samesite="lax", secure=settings.secure, path="/")
    if entered.language is not None and LANGUAGE_COOKIE not in request.cookies:
        remember_language(request, answer, entered.language)
    if entered.device is None:
        return
    answer.set_cookie(
        settings.device_cookie,
        entered.device,
        max_age=int(_DEVICE_LASTS.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.secure,
        path="/",
    )


def remember_language(request: Request, answer: Response, language: Language) -> None:
    """Pages are in this language from now on."""
    answer.set_cookie(
        LANGUAGE_COOKIE,
        language.value,
        max_age=int(_LANGUAGE_LASTS.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings_of(request).secure,
    )


def sign_browser_out(request: Request, answer: Response) -> None:
    """Take the session's cookie away; the browser stays known."""
    settings = settings_of(request)
    answer.delete_cookie(settings.cookie, httponly=True, samesite="lax", secure=settings.secure, path="/")


def guesser(request: Request, email: str) -> Guesser:
    """Who guesses here. The address is the client's own only where the server is told which proxy to trust."""
    return Guesser(
        email=email.strip().lower()[:254],
        address=None if request.client is None else request.client.host,
        device=request.cookies.get(settings_of(request).device_cookie),
    )

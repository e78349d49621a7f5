"""The gate of every page: which action a route needs, who sits before the browser, and that the form is ours.

A route names its action by `Requires`; one that anybody may see says so by `anybody`. A test holds every route to that.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from klucznik.access.settings import WebSettings
from klucznik.domain.accounts import BrowserSession
from klucznik.domain.roles import Action, Principal
from klucznik.errors import AccessDenied
from klucznik.services.accounts.browser_sessions import session_of
from klucznik.services.installation import Installation

_SAFE = ("GET", "HEAD", "OPTIONS")
CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"


@dataclass(frozen=True)
class Caller:
    """Whoever asks: somebody before a browser (`Visitor`), or a program with a key (`access.keys`).

    Attributes:
        klucznik: the installation, acting on their behalf.
    """

    principal: Principal
    klucznik: Installation

    def may(self, action: Action) -> bool:
        return self.principal.may(action)

    def check_reaches(self, nip: str) -> None:
        """Raise ``page_unknown`` where the company is not theirs: that it exists is not told."""
        if not self.principal.reaches(nip):
            raise AccessDenied("page_unknown")


@dataclass(frozen=True)
class Visitor(Caller):
    """Somebody whose browser is signed in."""

    session: BrowserSession


def installation_of(request: Request) -> Installation:
    return cast(Installation, request.app.state.klucznik)


def settings_of(request: Request) -> WebSettings:
    return cast(WebSettings, request.app.state.settings)


async def visitor_of(request: Request) -> Visitor | None:
    """Who sits before the browser; asked once for each request."""
    if not hasattr(request.state, "visitor"):
        request.state.visitor = None  # where the database does not answer, the page that says so does not ask again
        request.state.visitor = await _visitor(request)
    return cast("Visitor | None", request.state.visitor)


async def _visitor(request: Request) -> Visitor | None:
    token = request.cookies.get(settings_of(request).cookie)
    if not token:
        return None
    found = await session_of(installation_of(request), token)
    if found is None:
        return None
    session, principal = found
    return Visitor(principal, installation_of(request).acting(principal.id), session)


async def anybody(request: Request) -> Visitor | None:
    """For pages that need nobody signed in; a form must still come from a page of ours."""
    visitor = await visitor_of(request)
    if request.method not in _SAFE:
        check_origin(request)
    return visitor


@dataclass(frozen=True)
class Requires:
    """Lets in whoever may do `action`; forms must bring the token of their session.

    Raises:
        AccessDenied: ``not_signed_in``, ``second_factor_needed``, ``not_allowed``, ``form_not_ours``.
    """

    action: Action

    async def __call__(self, request: Request) -> Visitor:
        visitor = await visitor_of(request)
        if visitor is None:
            raise AccessDenied("not_signed_in")
        if visitor.session.complete_at is None:
            raise AccessDenied("second_factor_needed")
        if not visitor.may(self.action):
            raise AccessDenied("not_allowed", action=self.action.value)
        if request.method not in _SAFE:
            check_origin(request)
            await check_token(request, visitor.session)
        return visitor

    async def again(self, request: Request) -> Visitor | None:
        """Who sits before the browser of a request that goes on for long; None: nobody who may do that any more."""
        visitor = await _visitor(request)  # not as it was remembered
        admitted = visitor is not None and visitor.session.complete_at is not None and visitor.may(self.action)
        return visitor if admitted else None


async def half_signed_in(request: Request) -> Visitor:
    """For what comes between the password and the second factor, and for signing out; forms bring the token.

    Raises:
        AccessDenied: ``not_signed_in``, ``form_not_ours``.
    """
    visitor = await visitor_of(request)
    if visitor is None:
        raise AccessDenied("not_signed_in")
    if request.method not in _SAFE:
        check_origin(request)
        await check_token(request, visitor.session)
    return visitor


Anybody = Annotated[Visitor | None, Depends(anybody)]
HalfSignedIn = Annotated[Visitor, Depends(half_signed_in)]


def check_origin(request: Request) -> None:
    """Raise ``form_not_ours`` where a browser says that another site sent this."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        # No page can forge it; older browsers do not send it.
        if site not in ("same-origin", "none"):
            raise AccessDenied("form_not_ours")
        return
    origin = request.headers.get("origin")
    if origin is None:
        return
    # Behind a proxy the Host may be another; what people see in their browser is the public address.
    ours = {settings_of(request).public_url, f"{request.url.scheme}://{request.headers.get('host', '')}"}
    if origin not in ours:
        raise AccessDenied("form_not_ours")


async def check_token(request: Request, session: BrowserSession) -> None:
    given = request.headers.get(CSRF_HEADER)
    if given is None:
        field = (await request.form()).get(CSRF_FIELD)
        given = field if isinstance(field, str) else ""
    if not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise AccessDenied("form_not_ours")

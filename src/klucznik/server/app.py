"""The application: every router, what every answer carries, and how errors look on pages."""

from __future__ import annotations

import logging
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from klucznik import web
from klucznik.access.gate import visitor_of
from klucznik.access.headers import BodyLimit, Headers, too_large
from klucznik.access.requests import Identified
from klucznik.access.settings import WebSettings
from klucznik.access.statuses import retry_after, status_of
from klucznik.access.unforeseen import Unforeseen
from klucznik.api import problems
from klucznik.api.app import PREFIX, create_api
from klucznik.domain.roles import Role
from klucznik.errors import AccessDenied, InputError, KlucznikError, StorageError
from klucznik.services.installation import Installation
from klucznik.services.telling.events import Feed
from klucznik.services.telling.rounds import Outlets
from klucznik.web.invited import HOME as INVITED
from klucznik.web.pages import STATIC, render, told

_log = logging.getLogger("klucznik.server")

_API = "/api/"
_MEANT = {401: "key_unknown", 404: "page_unknown", 405: "page_unknown"}
# Where somebody proves who they are who asks for a page too early.
_DOORS = {"not_signed_in": "/sign-in", "second_factor_needed": "/sign-in/second", "proof_needed": "/prove"}


def create_app(
    klucznik: Installation, settings: WebSettings, outlets: Outlets | None = None, *, demo: APIRouter | None = None
) -> FastAPI:
    """The web app and the API of one installation.

    Args:
        outlets: where what happens is told; what webhooks may be made depends on it.
        demo: routes that only a demo has; pages then say that they are one.
    """
    outlets, feed = outlets or Outlets(), Feed(klucznik)
    app = FastAPI(title="Klucznik", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.klucznik = klucznik
    app.state.settings = settings
    app.state.outlets = outlets
    app.state.feed = feed
    app.state.demo = demo is not None
    for router in (*web.ROUTERS, *(() if demo is None else (demo,))):
        app.include_router(router)
    app.mount(PREFIX, create_api(klucznik, settings, outlets, feed))
    app.mount("/static", _Static(directory=STATIC), name="static")
    app.add_exception_handler(KlucznikError, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_malformed)
    app.add_middleware(Unforeseen, tell=_on_surprise)
    app.add_middleware(BodyLimit, refuse=_too_large)
    app.add_middleware(Headers, secure=settings.secure)
    app.add_middleware(Identified)
    return app


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    """Whoever talks to the API is told in its form."""
    refuse = problems.too_large if _of_the_api(scope) else too_large
    await refuse(scope, receive, send)


def _of_the_api(scope: Scope) -> bool:
    return f"{scope['path']}/".startswith(_API)


class _Static(StaticFiles):
    """Files whose address changes with their content."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, KlucznikError)  # noqa: S101  registered for these alone
    door = _DOORS.get(error.reason) if isinstance(error, AccessDenied) else None
    if door is not None and (request.method == "GET" or "back" in error.data):
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        back = quote(str(error.data.get("back") or here), safe="/")
        return RedirectResponse(f"{door}?next={back}", status_code=303)
    visitor = await visitor_of(request)
    if visitor is not None and visitor.principal.role is Role.CLIENT and request.url.path == "/":
        return RedirectResponse(INVITED, status_code=303)  # the board is the office's; theirs is their own page
    status = status_of(error)
    if status >= 500 and isinstance(error, StorageError):
        _log.error("a page could not be given: %s", error)
    headers: dict[str, str] = {}
    seconds = retry_after(error, request.app.state.klucznik.clock.now().timestamp())
    if seconds is not None:
        headers["retry-after"] = str(seconds)
    return render(request, "error.html", status=status, headers=headers, text=told(request, error), error=error)


async def _on_surprise(request: Request, error: Exception) -> Response:
    return await _on_error(request, KlucznikError("page_failed", type=type(error).__name__))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for these alone
    if _of_the_api(request.scope):  # beside every version; a line break in a path, which no router takes for one
        return problems.problem(request, AccessDenied("route_unknown"))
    reason = _MEANT.get(error.status_code)
    answer = await _on_error(request, InputError("form_malformed") if reason is None else AccessDenied(reason))
    answer.status_code = error.status_code
    answer.headers.update(error.headers or {})
    return answer


async def _on_malformed(request: Request, _: Exception) -> Response:
    return await _on_error(request, InputError("form_malformed"))

"""Each request has an id: in its answer, in its problem, in its line of the log. Pure ASGI: streams pass through."""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from klucznik.clock import stopwatch

HEADER = "x-request-id"
_GIVEN = re.compile(r"[0-9A-Za-z_-]{8,64}", re.ASCII)

_log = logging.getLogger("klucznik.requests")


def request_id(request: Request) -> str:
    return str(request.scope["klucznik.request_id"])


@dataclass(frozen=True)
class Identified:
    """Gives each request its id, the caller's own where it brings a reasonable one; and writes a line about its end."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given, began = Headers(scope=scope).get(HEADER, ""), stopwatch()
        name = given if _GIVEN.fullmatch(given) else secrets.token_hex(16)
        scope["klucznik.request_id"] = name
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        try:
            await self.app(scope, receive, named)
        finally:
            route = scope.get("route")
            facts = {
                "request": name,
                "method": scope["method"],
                # As it is declared: what stands in an address may be somebody's number.
                "route": scope.get("root_path", "") + getattr(route, "path", "-"),
                "status": status,
                "seconds": round(stopwatch() - began, 3),
                "caller": scope.get("state", {}).get("caller", "-"),
            }
            _log.info("request", extra={"facts": facts})

"""Each request has an id: in its answer, in its problem, in its line of the log. Pure ASGI: streams pass through."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
_ID = "klucznik.request_id"
_GIVEN = re.compile(r"[0-9A-Za-z_-]{8,64}", re.ASCII)


def request_id(request: Request) -> str:
    return str(request.scope[_ID])


@dataclass(frozen=True)
class Asked:
    """What a line of the log says of a request besides its route.

    Attributes:
        request: its id; None: it came no further than the layers around the application.
        caller: id of the key that came with it, where one did.
    """

    request: str | None
    caller: str | None


def asked(scope: Scope) -> Asked:
    return Asked(scope.get(_ID), scope.get("state", {}).get("caller"))


@dataclass(frozen=True)
class Identified:
    """Gives each request its id: the caller's own, where it brings a reasonable one."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        name = given if _GIVEN.fullmatch(given) else secrets.token_hex(16)
        scope[_ID] = name

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        await self.app(scope, receive, named)

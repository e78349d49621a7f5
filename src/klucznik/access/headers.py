"""What every answer says to the browser, and how large a request may be. Pure ASGI: streams pass through unbuffered."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Everything of ours comes from ourselves, no script stands in a page, and nobody frames us. `style-src` too: htmx is
# told to write no style (`base.html`), meters are drawn by the browser.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
# A list of 5,000 companies is 0.5 MiB, a signed document 50 KiB.
LARGEST_BODY = 2 * 1024 * 1024


@dataclass(frozen=True)
class Headers:
    """Security headers on every answer; what is not static is stored nowhere."""

    app: ASGIApp
    secure: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                if self.secure:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


@dataclass(frozen=True)
class BodyLimit:
    """Refuses a request whose body is larger than `LARGEST_BODY`, said or unsaid, before it is read into memory.

    Attributes:
        refuse: answers those.
    """

    app: ASGIApp
    refuse: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > LARGEST_BODY:
            await self.refuse(scope, receive, send)
            return
        received, refused = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > LARGEST_BODY:
                    raise HTTPException(413)
            return message

        async def replaced(message: Message) -> None:
            """Whatever the reader of the body has made of the 413: it is what is told."""
            nonlocal refused
            if received <= LARGEST_BODY:
                await send(message)
            elif not refused:
                refused = True
                await self.refuse(scope, receive, send)

        await self.app(scope, counted, replaced)


async def too_large(scope: Scope, receive: Receive, send: Send) -> None:
    answer = PlainTextResponse("413: the request is larger than 2 MiB\n", status_code=413)
    await answer(scope, receive, send)

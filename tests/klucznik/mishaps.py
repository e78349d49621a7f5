"""The real network, on which chosen requests meet a mishap: lost answers, resets, errors, answers that were swapped.

A mishap is an async function that gets the request and the way to really send it.
"""

import json
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
Act = Callable[[httpx.Request, Send], Awaitable[httpx.Response]]

FILING = "POST /v2/certificates/enrollments"
STATUS = "GET /v2/certificates/enrollments/.*-EH-.*"
LIMITS = "GET /v2/certificates/limits"
RETRIEVAL = "POST /v2/certificates/retrieve"
SIGN_IN = "POST /v2/auth/xades-signature"


@dataclass
class Mishap:
    """What happens to the `on`-th request (from 1) that matches; to every one where `on` is None."""

    request: str
    act: Act
    on: int | None = 1
    seen: int = field(default=0, init=False)

    def strikes(self, request: httpx.Request) -> bool:
        if not re.fullmatch(self.request, f"{request.method} {request.url.path}"):
            return False
        self.seen += 1
        return self.on is None or self.seen == self.on


class Network(httpx.AsyncBaseTransport):
    """httpx's own transport with mishaps; remembers the requests that were to be sent."""

    def __init__(self, *mishaps: Mishap) -> None:
        # Plain http alone; loading a certificate store costs more than a sign-in.
        self._real = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._mishaps = mishaps
        self.sent: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        striking = [mishap for mishap in self._mishaps if mishap.strikes(request)]
        if striking:
            return await striking[0].act(request, self._real.handle_async_request)
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        await self._real.aclose()

    def bodies(self, request: str) -> list[dict[str, object]]:
        """The JSON bodies of matching requests, in order."""
        return [
            json.loads(sent.content) for sent in self.sent if re.fullmatch(request, f"{sent.method} {sent.url.path}")
        ]


async def _applied(request: httpx.Request, send: Send) -> httpx.Response:
    """Let KSeF apply the request; its whole answer."""
    response = await send(request)
    await response.aread()
    await response.aclose()
    return response


async def answer_lost(request: httpx.Request, send: Send) -> httpx.Response:
    """KSeF applies the request; the connection breaks before its answer comes."""
    await _applied(request, send)
    raise httpx.ReadError("connection reset", request=request)


async def answer_too_late(request: httpx.Request, send: Send) -> httpx.Response:
    """KSeF applies the request; nobody waits long enough for the answer."""
    await _applied(request, send)
    raise httpx.ReadTimeout("too late", request=request)


async def answer_cut(request: httpx.Request, send: Send) -> httpx.Response:
    """KSeF applies the request; half of its answer arrives."""
    response = await _applied(request, send)
    return httpx.Response(response.status_code, content=response.content[: len(response.content) // 2])


async def error_after(request: httpx.Request, send: Send) -> httpx.Response:
    """KSeF applies the request; a gateway answers in its place."""
    await _applied(request, send)
    return httpx.Response(504)


async def error_before(request: httpx.Request, _: Send) -> httpx.Response:
    """A gateway fails before KSeF has seen the request."""
    return httpx.Response(500, content=b"<html>oops</html>")


async def reset_before(request: httpx.Request, _: Send) -> httpx.Response:
    """The connection breaks while the request is being sent; KSeF has not seen it."""
    raise httpx.WriteError("connection reset", request=request)


async def not_connected(request: httpx.Request, _: Send) -> httpx.Response:
    """There is no connection: it is certain that nothing was sent."""
    raise httpx.ConnectError("refused", request=request)


def paced(seconds: int, *, meanwhile: Callable[[], None] | None = None) -> Act:
    """KSeF answers 429; something may happen at that moment."""

    async def act(request: httpx.Request, _: Send) -> httpx.Response:
        if meanwhile is not None:
            meanwhile()
        return httpx.Response(429, headers={"Retry-After": str(seconds)})

    return act


def refused(code: int) -> Act:
    """KSeF answers 400 with a code."""

    async def act(request: httpx.Request, _: Send) -> httpx.Response:
        problem = {"title": "Bad Request", "status": 400, "errors": [{"code": code, "description": "Nie."}]}
        return httpx.Response(400, json=problem, headers={"Content-Type": "application/problem+json"})

    return act


def changed(change: Callable[[dict[str, object]], None]) -> Act:
    """KSeF's answer arrives with something else in its body."""

    async def act(request: httpx.Request, send: Send) -> httpx.Response:
        response = await _applied(request, send)
        body = json.loads(response.content)
        change(body)
        return httpx.Response(response.status_code, json=body)

    return act


def meanwhile(happens: Callable[[], Awaitable[None] | None]) -> Act:
    """Something happens at the moment when the request leaves."""

    async def act(request: httpx.Request, send: Send) -> httpx.Response:
        if (waiting := happens()) is not None:
            await waiting
        return await send(request)

    return act


def afterwards(happens: Callable[[], None]) -> Act:
    """Something happens when KSeF has applied the request and its answer is on the way."""

    async def act(request: httpx.Request, send: Send) -> httpx.Response:
        response = await _applied(request, send)
        happens()
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    return act

"""What lies around the application where it is served: its log, health, streams that end. Pure ASGI."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from klucznik.access.requests import asked
from klucznik.clock import stopwatch
from klucznik.operations.log import Log
from klucznik.operations.pages import Pages

_HEALTH = ("/healthz", "/readyz")


@dataclass(frozen=True)
class WithHealth:
    """`/healthz` and `/readyz` before everything else: whoever asks for them has no session."""

    app: ASGIApp
    pages: Pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in _HEALTH:
            await self.pages(scope, receive, send)
        else:
            await self.app(scope, receive, send)


@dataclass(frozen=True)
class AccessLog:
    """A line for each request: its route, not its address, so that no token, number or search is in the log."""

    app: ASGIApp
    log: Log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = stopwatch(), None

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            told = asked(scope)
            self.log.request(
                scope["method"],
                _route(scope),
                status,
                stopwatch() - began,
                request_id=told.request,
                caller=told.caller,
            )


def _route(scope: Scope) -> str | None:
    """As it stands in the source, for example ``/companies/{nip}``; None: there is no such page."""
    route = scope.get("route")
    if route is not None:
        return f"{scope.get('root_path', '')}{route.path}"
    return "/static" if scope.get("root_path") == "/static" else None


@dataclass
class Streams:
    """Streams of events that are being read, which never end by themselves."""

    _reading: set[asyncio.Task[object]] = field(default_factory=set, init=False)
    _over: bool = field(default=False, init=False)

    def end(self) -> None:
        """End them, and each that begins from now on; a browser asks again by itself, of whoever answers then."""
        self._over = True
        for task in self._reading:
            task.cancel()

    @property
    def over(self) -> bool:
        return self._over

    def begin(self, task: asyncio.Task[object]) -> None:
        self._reading.add(task)
        if self._over:
            task.cancel()

    def ended(self, task: asyncio.Task[object]) -> None:
        self._reading.discard(task)


@dataclass(frozen=True)
class EndingStreams:
    """Ends a stream of events whole and without a complaint once `streams` are over."""

    app: ASGIApp
    streams: Streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self.app(scope, receive, send)
            return
        streaming = False

        async def noted(message: Message) -> None:
            nonlocal streaming
            await send(message)
            if message["type"] == "http.response.start" and _is_stream(message):
                streaming = True
                self.streams.begin(task)

        try:
            await self.app(scope, receive, noted)
        except asyncio.CancelledError:
            if not (streaming and self.streams.over):
                raise
            task.uncancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.streams.ended(task)


def _is_stream(message: Message) -> bool:
    return Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")

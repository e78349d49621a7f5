"""The web face for those who run a worker: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever restarts it.

It tells numbers alone, listens to this machine unless told otherwise, and answers nothing but GET and HEAD.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST

from klucznik.errors import InputError, StorageError
from klucznik.operations.metrics import Metrics
from klucznik.services.census import census, database_answers
from klucznik.services.installation import Installation

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

# Whoever asks gives up after some seconds; a database that is slower than this does not answer.
_DATABASE_ANSWERS_WITHIN_S = 3.0
_PLAIN = "text/plain; charset=utf-8"

Answer: TypeAlias = tuple[int, str, bytes]


def listen(host: str, port: int) -> socket.socket:
    """A socket that the pages are served on.

    Args:
        port: 0 for any free one.

    Raises:
        InputError: ``metrics_port_taken``, ``metrics_port_not_permitted``, ``metrics_host_unknown``.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError:
        raise InputError("metrics_host_unknown", host=host) from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen()
    except OSError as error:
        found.close()
        raise InputError(_reason(error), host=host, port=port) from None
    return found


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "metrics_port_taken"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "metrics_port_not_permitted"
    return "metrics_host_unknown"


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(frozen=True)
class Pages:
    """What is answered.

    Args:
        at_work: whether the worker takes on what is due.
    """

    installation: Installation
    metrics: Metrics
    at_work: Callable[[], bool]

    async def __call__(self, scope: Scope, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            return
        status, kind, body = await self._answer(scope["method"], scope["path"])
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        shown = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": shown, "more_body": False})

    async def _answer(self, method: str, path: str) -> Answer:
        pages: dict[str, Callable[[], Awaitable[Answer]]] = {
            "/metrics": self._metrics,
            "/healthz": self._alive,
            "/readyz": self._ready,
        }
        page = pages.get(path)
        if page is None:
            return 404, _PLAIN, b"not found\n"
        if method not in ("GET", "HEAD"):
            return 405, _PLAIN, b"method not allowed\n"
        return await page()

    async def _metrics(self) -> Answer:
        try:
            async with asyncio.timeout(_DATABASE_ANSWERS_WITHIN_S):
                counted = await census(self.installation)
        except (StorageError, TimeoutError):
            counted = None
        return 200, CONTENT_TYPE_LATEST, self.metrics.page(counted)

    async def _alive(self) -> Answer:
        return 200, _PLAIN, b"ok\n"

    async def _ready(self) -> Answer:
        if not self.at_work():
            return 503, _PLAIN, b"not ready: the worker takes nothing on\n"
        try:
            async with asyncio.timeout(_DATABASE_ANSWERS_WITHIN_S):
                answers = await database_answers(self.installation)
        except TimeoutError:
            answers = False
        return (200, _PLAIN, b"ready\n") if answers else (503, _PLAIN, b"not ready: the database does not answer\n")


class _Server(uvicorn.Server):
    """Signals are the worker's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(pages: Pages, listening: socket.socket) -> AsyncIterator[None]:
    """Serve the pages on `listening` while the body runs."""
    config = uvicorn.Config(
        pages,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving

"""The web face for those who run a process: `/metrics` for Prometheus, `/healthz` and `/readyz` for who restarts it.

It tells numbers alone and answers nothing but GET and HEAD.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST

from klucznik.errors import StorageError
from klucznik.operations.metrics import Metrics
from klucznik.services.census import census, database_answers
from klucznik.services.installation import Installation

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

# Whoever asks gives up after some seconds; a database that is slower than this does not answer.
_DATABASE_ANSWERS_WITHIN_S = 3.0
_PLAIN = "text/plain; charset=utf-8"

Answer: TypeAlias = tuple[int, str, bytes]


@dataclass(frozen=True)
class Pages:
    """What is answered.

    Args:
        metrics: None: `/metrics` is not among the pages.
        at_work: whether the worker takes on what is due.
    """

    installation: Installation
    metrics: Metrics | None
    at_work: Callable[[], bool]

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, kind, body = await self._answer(scope["method"], scope["path"])
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        shown = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": shown, "more_body": False})

    async def _answer(self, method: str, path: str) -> Answer:
        pages: dict[str, Callable[[], Awaitable[Answer]]] = {"/healthz": self._alive, "/readyz": self._ready}
        if self.metrics is not None:
            pages["/metrics"] = partial(self._metrics, self.metrics)
        page = pages.get(path)
        if page is None:
            return 404, _PLAIN, b"not found\n"
        if method not in ("GET", "HEAD"):
            return 405, _PLAIN, b"method not allowed\n"
        return await page()

    async def _metrics(self, metrics: Metrics) -> Answer:
        try:
            async with asyncio.timeout(_DATABASE_ANSWERS_WITHIN_S):
                counted = await census(self.installation)
        except (StorageError, TimeoutError):
            counted = None
        return 200, CONTENT_TYPE_LATEST, metrics.page(counted)

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

"""Answers that are not what HTTP expects: none at all, with the connection reset, or a slow one.
When they are given is decided by `faults/hook.py`; `server.py` lends each request the means to reset its connection.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

RESET = "ksef_sandbox.reset"  # ASGI extension: a function that resets the connection of the request


class ConnectionDropped(Exception):
    """Raised in a hook: the client gets no answer, only a reset connection."""


class NoAnswer(Response):
    """Resets the connection. Its status is never seen by anyone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reset: Callable[[], None] | None = scope.get("extensions", {}).get(RESET)
        if reset is None:
            raise ConnectionAbortedError("this server cannot reset a connection")
        reset()
        while (await receive())["type"] != "http.disconnect":
            pass


def trickle(response: Response, *, seconds: float, pieces: int) -> Response:
    """The same answer with its body in pieces, spread evenly over a time."""
    body = bytes(response.body)
    size = max(1, -(-len(body) // pieces))
    parts = [body[start : start + size] for start in range(0, len(body), size)]

    async def slowly() -> AsyncIterator[bytes]:
        for part in parts:
            await asyncio.sleep(seconds / len(parts))
            yield part

    # The Content-Length of the whole answer stays among the headers.
    return StreamingResponse(slowly(), response.status_code, dict(response.headers), response.media_type)

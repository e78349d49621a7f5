"""What nobody foresaw becomes an answer like every other; of the error itself only its type and place are logged."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("klucznik.server")


@dataclass(frozen=True)
class Unforeseen:
    """Answers in place of whatever broke before it had answered.

    Attributes:
        tell: makes the answer.
    """

    app: ASGIApp
    tell: Callable[[Request, Exception], Awaitable[Response]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            place = extract_tb(error.__traceback__)[-1]
            at = f"{Path(place.filename).name}:{place.lineno}"
            _log.error("unforeseen", extra={"facts": {"type": type(error).__name__, "at": at}})
            answer = await self.tell(Request(scope, receive), error)
            await answer(scope, receive, send)

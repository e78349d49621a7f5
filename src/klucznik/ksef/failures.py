"""Why an exchange with KSeF gave no usable answer, and which error that is for which call.

The one question that matters for a call that spends: did the request leave this machine?
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from klucznik.errors import AnswerLost, KsefUnavailable
from klucznik.ksef.calls import Call, Care

MOST_PAGES = 30  # a listing that needs more does not end by itself; KSeF takes 30 calls of one kind a minute
# httpx raises these before the first byte of the request is written: name resolution, TCP, TLS, a proxy that will not
# connect us, no free connection in our own pool. Every other error may come after the request has left, unless the
# connection pool has told that it was still connecting. Asking again at once is worth it for all but the time-outs,
# which have already waited.
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


@dataclass(frozen=True)
class Failure:
    """An exchange without a usable answer.

    Attributes:
        reason: ``ksef_unreachable``, ``ksef_timeout``, ``ksef_connection_lost``, ``ksef_error_answer`` or
            ``ksef_unreadable_answer``.
        cause: finer kind, a fixed word or the name of a field.
        left: False only when it is certain that no part of the request reached KSeF.
        passing: whether the same call may well succeed in a moment.
        status: HTTP status, where there was one.
        retry_after: seconds KSeF asked for in an error answer.
    """

    reason: str
    cause: str
    left: bool = True
    passing: bool = True
    status: int | None = None
    retry_after: int | None = None

    def error(self, call: Call, host: str) -> KsefUnavailable:
        """The error to raise: `AnswerLost` exactly when the call spends something and may have been applied."""
        if call.care is Care.SPENDS and self.left:
            return AnswerLost(
                "answer_lost", route=call.route, host=host, failure=self.reason, cause=self.cause, status=self.status
            )
        return KsefUnavailable(
            self.reason,
            route=call.route,
            host=host,
            cause=self.cause,
            status=self.status,
            retry_after=self.retry_after,
        )


def endless_listing(route: str, host: str) -> KsefUnavailable:
    """The error for a listing that does not end within `MOST_PAGES`."""
    return KsefUnavailable("ksef_unreadable_answer", route=route, host=host, cause="endless_listing")


class Progress:
    """How far a request has come, as the connection pool tells it (httpx's ``trace`` extension).

    A pool that tells nothing (one in a test, a connection that is being waited for) leaves it open.

    Args:
        hold: asked at the last moment before the headers are written, and again before the body; raises where the
            request must not leave any more. Headers whose body does not follow ask for nothing.
    """

    def __init__(self, hold: Callable[[], None] = lambda: None) -> None:
        self._hold = hold
        self._connecting = False
        self._sending = False

    async def __call__(self, event: str, _: object) -> None:
        if event.endswith((".send_request_headers.started", ".send_request_body.started")):
            self._hold()
            self._sending = True
        elif event.startswith("connection."):
            self._connecting = True

    @property
    def never_left(self) -> bool:
        """Whether a connection was being made and not a byte of the request had been written."""
        return self._connecting and not self._sending


def of_exception(error: Exception, progress: Progress) -> Failure:
    """The failure behind an exception of httpx or the system. Nothing of it is kept: it holds our headers."""
    if progress.never_left or isinstance(error, _NEVER_LEFT):
        timed_out = isinstance(error, (httpx.TimeoutException, TimeoutError))
        cause = "timeout" if timed_out else _connect_cause(error)
        return Failure("ksef_unreachable", cause, left=False, passing=not timed_out and cause != "tls")
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return Failure("ksef_timeout", "timeout", passing=False)
    return Failure("ksef_connection_lost", "reset")


def _connect_cause(error: BaseException) -> str:
    """``dns``, ``tls``, ``refused`` or ``other``, from the chain of causes (a dual-stack attempt groups several)."""
    queue: list[BaseException] = [error]
    seen = 0
    while queue and seen < 20:
        seen += 1
        current = queue.pop()
        if isinstance(current, ssl.SSLError):
            return "tls"
        if isinstance(current, socket.gaierror):
            return "dns"
        if isinstance(current, ConnectionRefusedError):
            return "refused"
        queue.extend(link for link in (current.__cause__, current.__context__) if link is not None)
        if isinstance(current, BaseExceptionGroup):
            queue.extend(current.exceptions)
    return "proxy" if isinstance(error, httpx.ProxyError) else "other"

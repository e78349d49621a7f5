"""Who may use the management face: programs and its own page, never a page of another site in somebody's browser.
It has no passwords, so a browser on the same machine must not be led to it (docs/security.md).
"""

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ksef_sandbox.management.problems import problem

MAX_BODY_BYTES = 1_000_000
READS = frozenset({"GET", "HEAD", "OPTIONS"})
# Endings that nobody can register: a hostile site cannot make its own name point here (DNS rebinding).
LOCAL_ENDINGS = (".localhost", ".internal", ".local", ".test")


class Guarded:
    """An application behind the guard; it is built when it is first asked, because most tests never ask."""

    def __init__(self, build: Callable[[], ASGIApp], after_write: Callable[[], None]) -> None:
        """`after_write` is called after every request that may have changed something."""
        self._build, self._after_write = build, after_write
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = objection(scope["method"], Headers(scope=scope))
        if refusal is not None:
            status, sentence = refusal
            await problem(status, sentence)(scope, receive, send)
            return
        if self._app is None:
            self._app = self._build()
        await self._app(scope, _bounded(receive), send)
        if scope["method"] not in READS:
            self._after_write()


def _bounded(receive: Receive) -> Receive:
    """The same body, as long as it is not too long."""
    size = 0

    async def receive_some() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise HTTPException(413, f"The body is longer than {MAX_BODY_BYTES} bytes")
        return message

    return receive_some


def objection(method: str, headers: Headers) -> tuple[int, str] | None:
    """Why a request is refused, as a status and a sentence; None lets it pass."""
    host = headers.get("Host", "")
    if not is_local_name(host):
        return 403, f"The name {host!r} could be any site's. Use an address, localhost, or a name without a dot."
    if method in READS:
        return None
    origin = headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return 403, f"Pages of {origin} may not change this sandbox."
    if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return 403, "Pages of other sites may not change this sandbox."
    sent = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    # The types that a form of any site can send without being asked.
    if sent not in ("", "application/json"):
        return 415, f"The body must be application/json, not {sent}; with curl: -H 'Content-Type: application/json'."
    return None


def is_local_name(host: str) -> bool:
    """Whether a Host header can only mean this machine or this network: an address, or a name no site can own."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(LOCAL_ENDINGS))
    return True

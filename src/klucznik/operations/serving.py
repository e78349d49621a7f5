"""Listens, and serves an ASGI application inside a loop that has other work too. Signals are left to who runs it."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from klucznik.errors import InputError

# Connections that wait to be taken on; those of a browser come six at a time.
_BACKLOG = 512


def listen(host: str, port: int, *, option: str) -> socket.socket:
    """A socket to serve on.

    Args:
        port: 0 for any free one.
        option: of the command line, with which the port was named.

    Raises:
        InputError: ``port_taken``, ``port_not_permitted``, ``host_unknown``.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError:
        raise InputError("host_unknown", host=host) from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise InputError(_reason(error), host=host, port=port, option=option) from None
    return found


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "port_taken"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "port_not_permitted"
    return "host_unknown"


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Serving(uvicorn.Server):
    """A server at work."""

    def stop(self) -> None:
        """Take on no more requests; those that are being answered are finished when `served` is left."""
        self.should_exit = True

    def break_off(self) -> None:
        """Wait for nobody."""
        self.force_exit = True
        for task in self.server_state.tasks:
            task.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(
    application: Callable[..., Awaitable[None]],
    listening: socket.socket,
    *,
    finish_within_s: int,
    tls: ssl.SSLContext | None = None,
    proxies: tuple[str, ...] = (),
) -> AsyncIterator[Serving]:
    """Serve on `listening` while the body runs; afterwards what was asked before is answered still.

    Args:
        finish_within_s: seconds for that; what takes longer is broken off.
        proxies: addresses and networks whose word is taken for who asks, and by what scheme (``X-Forwarded-For``,
            ``X-Forwarded-Proto``).
    """
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_keep_alive=5,
        timeout_graceful_shutdown=finish_within_s,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
    server = Serving(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield server
    finally:
        server.stop()
        await serving

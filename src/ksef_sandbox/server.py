"""Serving the application on a socket: start, stop, and nothing of what is served.
Built on uvicorn's protocols without its process management, which costs a fifth of a second at each stop.
"""

import asyncio
import errno
import ipaddress
import socket
import struct
from collections.abc import Callable
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ksef_sandbox.faults.connection import RESET

BACKLOG = 512
GRACE_S = 1.0


class AddressError(Exception):
    """The address cannot be used; the message is a whole sentence."""


class _Connection(Protocol):
    def shutdown(self) -> None: ...


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen at once, so that nobody who knows the port is ever refused. Port 0 means any free one."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AddressError(f"{host} is not an address of this machine: {error.strerror}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressError(f"Port {port} on {host} is in use by another program; choose another.") from error
        raise AddressError(f"{host}:{port} cannot be used: {error.strerror}.") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The address for clients on this machine, e.g. `http://127.0.0.1:8380`."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  (compared, not bound)
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only programs on this machine can connect, by the address that was really taken."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class ResettableProtocol(HttpToolsProtocol):
    """Lends every request the means to reset its connection: for faults."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {RESET: self._reset}  # type: ignore[dict-item]

    def _reset(self) -> None:
        """Answer no more and send RST, so that the client cannot take the end for a whole answer."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


async def serve(app: ASGIApp, listener: socket.socket, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Answer requests until `stop` is set; calls `ready` once connections are accepted."""

    async def until_stopped(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:  # a request that was held up on purpose when the end came
            if not stop.is_set():
                raise

    config = Config(
        until_stopped,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        date_header=False,
        server_header=False,
        timeout_keep_alive=75,
        # A test on this machine may play clients of several addresses with X-Forwarded-For.
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1,::1",
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()

    def connect() -> asyncio.Protocol:
        return ResettableProtocol(config, state, {})

    server = await loop.create_server(connect, sock=listener, backlog=BACKLOG)
    ready()
    try:
        await stop.wait()
    finally:
        server.close()
        await _close_connections(state)


async def _close_connections(state: ServerState) -> None:
    """Let requests in progress finish, for a moment."""
    for connection in list(state.connections):
        connection.shutdown()
    deadline = asyncio.get_running_loop().time() + GRACE_S
    while state.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110  (uvicorn has no event)
        await asyncio.sleep(0.005)
    for connection in list(state.connections):
        connection.transport.abort()
    for task in state.tasks:
        task.cancel()

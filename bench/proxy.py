"""A TCP proxy on localhost that makes the line as long as a real one, and remembers every exchange on it.

It knows bytes and connections only: whatever the client sends until the server answers is one request.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Self, TypeAlias

_Seen: TypeAlias = Callable[[float], float]

_CHUNK = 65536


@dataclass
class Exchange:
    """What the client waited for: a step of connecting, or a request and its answer. Seconds of the monotonic clock."""

    began: float
    ended: float
    connecting: bool = False


def longest_chain(exchanges: Iterable[Exchange]) -> int:
    """The most exchanges that lay one after another without overlapping: round trips that nobody could have saved
    by being faster, only by asking less or asking side by side. The wall time is at least this many round trips."""
    length, free_at = 0, float("-inf")
    for exchange in sorted(exchanges, key=lambda one: one.ended):  # earliest end first gives the longest chain
        if exchange.began >= free_at:
            length, free_at = length + 1, exchange.ended
    return length


class LatencyProxy:
    """Stands before a local server; half a round trip is added in each direction, whole ones to each connection.

    Args:
        host, port: the server.
        rtt_s: seconds of one round trip.
        handshakes: round trips before the first request of a connection: 1 for TCP, 2 with TLS 1.3 on top.
    """

    def __init__(self, host: str, port: int, *, rtt_s: float, handshakes: int) -> None:
        self._server = (host, port)
        self._rtt_s, self._handshakes = rtt_s, handshakes
        self._exchanges: list[Exchange] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="latency-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(  # waits for connections that are still open, which end with their clients
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def taken(self) -> list[Exchange]:
        """The exchanges since the last call."""
        taken, self._exchanges = self._exchanges, []
        return taken

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        if self._connections:
            await asyncio.wait(self._connections)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._carry(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = self._loop.time()
        # The kernel said yes to the client at once; over the line it would have heard it round trips later.
        steps = [accepted + step * self._rtt_s for step in range(self._handshakes + 1)]
        self._exchanges += [Exchange(*step, connecting=True) for step in pairwise(steps)]
        line = _Line(self._exchanges, steps[-1])
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._server)
        half = self._rtt_s / 2
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, upstream_writer, half, line.left_client, at_arrival=False))
                both.create_task(_pump(upstream_reader, writer, half, line.reached_client, at_arrival=True))
        except* ConnectionError:
            pass  # one side has hung up, which ends the connection for the other as well
        finally:
            writer.close()
            upstream_writer.close()


@dataclass
class _Line:
    """One connection as its client sees it."""

    exchanges: list[Exchange]
    connected: float
    current: Exchange | None = None
    answered: bool = field(default=True)

    def left_client(self, moment: float) -> float:
        """Bytes of a request; returns when they really left, not before the connection was there."""
        left = max(moment, self.connected)
        if self.answered:
            self.current, self.answered = Exchange(left, left), False
            self.exchanges.append(self.current)
        return left

    def reached_client(self, moment: float) -> float:
        if self.current is not None:
            self.current.ended, self.answered = moment, True
        return moment


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float, seen: _Seen, *, at_arrival: bool
) -> None:
    """Carry bytes one way, each `delay` seconds after it came, without holding up what follows."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            if at_arrival:
                seen(loop.time())
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()

    async with asyncio.TaskGroup() as both:
        both.create_task(deliver())
        while True:
            data = await source.read(_CHUNK)
            left = seen(loop.time()) if data and not at_arrival else loop.time()
            under_way.put_nowait((left + delay, data))
            if not data:
                break

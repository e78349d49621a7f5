"""Posts to addresses that users have named. Every name is looked up and checked first, and the connection goes to the
very address that was checked, so that a name which changes its mind in between (DNS rebinding) leads nowhere else.

No proxy, no redirect, no second attempt, and of the answer only its status. What is posted is not known here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Self
from urllib.parse import urlsplit

import httpx

from klucznik.domain.webhooks import Answer, Problem, may_be_asked

ANSWER_WITHIN_S = 15.0
_CONNECT_WITHIN_S = 5.0
_LOOKUPS = 16
# What a name stands for; the addresses of a host, in the order in which they are to be tried.
Lookup = Callable[[str, int], Awaitable[list[str]]]


def _by_the_machine(host: str, port: int) -> list[str]:
    """Empty where the name is not known."""
    try:
        found = socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)
    except (socket.gaierror, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass
class Post:
    """Posts, one connection for each.

    Args:
        private: whether addresses of private networks are allowed, and http to any address.
        trust: whose certificates are believed; None: those that the system trusts.
        look_up: None: by the machine's own means.
    """

    private: bool = False
    trust: ssl.SSLContext | None = field(default=None, repr=False)
    look_up: Lookup | None = None

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        """Of its own: a name server that takes its time keeps no sign-in and no signature from its thread."""
        return ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="klucznik-lookup")

    @cached_property
    def _encrypted(self) -> httpx.AsyncHTTPTransport:
        return _transport(self.trust or ssl.create_default_context())

    @cached_property
    def _plain(self) -> httpx.AsyncHTTPTransport:
        # An empty context trusts nobody, and costs nothing where no certificate is looked at.
        return _transport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in ("_encrypted", "_plain"):
            if name in self.__dict__:
                await self.__dict__[name].aclose()
        if "_threads" in self.__dict__:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def address_of(self, url: str) -> str | Problem:
        """An address to connect to. One bad address among several is enough to go nowhere."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if self.look_up is not None:
            found = await self.look_up(host, port)
        else:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, _by_the_machine, host, port)
        if not found:
            return Problem.HOST_UNKNOWN
        if parts.scheme != "https" and not self.private:
            return Problem.ADDRESS_REFUSED
        if not all(may_be_asked(one, private=self.private) for one in found):
            return Problem.ADDRESS_REFUSED
        return found[0]

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post `body`; whatever goes wrong is the answer."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                address = await self.address_of(url)
                if isinstance(address, Problem):
                    return Answer(problem=address)
                return await self._send(url, address, body, headers)
        except TimeoutError:
            return Answer(problem=Problem.TIMED_OUT)

    async def _send(self, url: str, address: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        named = httpx.URL(url)
        request = httpx.Request(
            "POST",
            named.copy_with(host=address),
            content=body,
            headers={
                "User-Agent": "klucznik",
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                **headers,
                "Host": named.netloc.decode("ascii"),
            },
            extensions={
                "sni_hostname": named.host,
                "timeout": httpx.Timeout(ANSWER_WITHIN_S, connect=_CONNECT_WITHIN_S).as_dict(),
            },
        )
        try:
            # Not by way of a client, which would write the whole address to the log.
            response = await (self._encrypted if named.scheme == "https" else self._plain).handle_async_request(request)
        except httpx.TimeoutException:
            return Answer(problem=Problem.TIMED_OUT)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            broken = isinstance(_root(error), ssl.SSLError)
            return Answer(problem=Problem.TLS_FAILED if broken else Problem.NOT_REACHED)
        await response.aclose()  # its body is nobody's
        return _answer(response)


def _transport(trust: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    # Connections are known by their address alone: one that was made for another name must never be used again.
    return httpx.AsyncHTTPTransport(verify=trust, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def _answer(response: httpx.Response) -> Answer:
    if response.is_success:
        return Answer(response.status_code)
    if response.has_redirect_location:
        return Answer(response.status_code, Problem.REDIRECTED)
    asked = response.headers.get("retry-after", "")
    pause = timedelta(seconds=int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 7 else None
    return Answer(response.status_code, Problem.STATUS, pause)


def _root(error: BaseException) -> BaseException:
    while (further := error.__cause__ or error.__context__) is not None:
        error = further
    return error

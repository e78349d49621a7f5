"""One exchange with KSeF: wait for its turn, send, bound, classify, and repeat only what may be repeated.

A call that spends something is sent exactly once, whatever happens. What is asked is for `client` and `session`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import httpx

from klucznik.clock import Clock, stopwatch
from klucznik.domain.environments import Endpoint
from klucznik.domain.identifiers import Context
from klucznik.domain.pacing import Counter
from klucznik.errors import RateLimited, SentTooLate
from klucznik.ksef import failures
from klucznik.ksef.answers import Token
from klucznik.ksef.calls import Call, Care, Exchange, Watcher, unwatched
from klucznik.ksef.failures import Failure, Progress
from klucznik.ksef.fields import Fields, Unreadable, plain
from klucznik.ksef.pacing import PATIENCE, Pacer, told_to_stop, wait_for_turn
from klucznik.ksef.refusals import Complaint, rate_limited, read_complaint, refusal, retry_after

Value = TypeVar("Value")
# Reads the body of a 2xx, or what became of it.
Reader = Callable[[bytes | Failure], Value | Failure]

LONGEST_ANSWER = 4 * 1024 * 1024  # bytes; the largest honest answer, a page of 50 certificates, has some 30 KiB
ATTEMPTS = 3  # of a repeatable call
FIRST_PAUSE_S = 0.2  # doubled at each further attempt, half of it random
CONNECT_S = 10.0
IDLE_S = 20.0  # how long an idle connection is kept; shorter than any server between us and KSeF would close it

_log = logging.getLogger("klucznik.ksef")


class Transport:
    """The connection pool of one endpoint.

    Args:
        timeout_s: seconds for the whole answer of one attempt, connecting included.
        pacer: asked before every attempt.
        patience: how long a call may wait for its turn, and for the end of a pause that KSeF asks for.
        watcher: told of every attempt, when it is over.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None,
        timeout_s: float,
        pacer: Pacer,
        patience: timedelta = PATIENCE,
        watcher: Watcher = unwatched,
    ) -> None:
        self.clock = clock
        self._environment = endpoint.environment
        self._pacer = pacer
        self._patience = patience
        self._watcher = watcher
        self._base = endpoint.api
        self.host = httpx.URL(endpoint.api).netloc.decode("ascii")
        self._timeout_s = timeout_s
        encrypted = endpoint.api.startswith("https:")
        self._http = httpx.AsyncClient(
            transport=transport,
            # Plain http (the sandbox) needs no certificate store, and loading one costs more than a sign-in; an empty
            # context trusts nobody. The environment names proxies, which must not see what goes to localhost.
            verify=True if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=encrypted,
            follow_redirects=False,
            # Shorter than the whole: httpx closes a connection that it gives up itself, not one that is cancelled.
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s / 3)),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=IDLE_S),
            headers={
                "User-Agent": "klucznik",
                "Accept": "application/json, application/problem+json",
                # Answers are small; without compression none can unfold beyond the bound.
                "Accept-Encoding": "identity",
                # 400 and 429 in the one format that the others have anyway (facts.md §1.3).
                "X-Error-Format": "problem-details",
            },
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def ask(
        self,
        call: Call,
        read: Callable[[Fields], Value],
        *,
        token: Token | None = None,
        context: Context | None = None,
    ) -> Value:
        """Send ``call`` when it is its turn, and read its answer with ``read``.

        Args:
            context: whom the token acts for; KSeF counts most calls by it.

        Raises:
            KsefRefused: KSeF said no; nothing was applied.
            RateLimited: 429 with a pause that is longer than `patience`, or to a call that spends; nothing was applied.
            Paced: its turn is too far off; it was not sent.
            SentTooLate: the moment until which it might be sent had passed; it was not sent.
            AnswerLost: the call spends something and may have been applied.
            KsefUnavailable: no usable answer; a call that spends was certainly not applied.
        """
        return await self._attempts(
            call, token, context, lambda body: body if isinstance(body, Failure) else read(Fields.read(body))
        )

    async def ask_each(self, call: Call, read: Callable[[list[Fields]], Value]) -> Value:
        """Send ``call``, whose answer is an array of objects and needs no token. Raises as `ask`."""
        return await self._attempts(
            call, None, None, lambda body: body if isinstance(body, Failure) else read(Fields.read_each(body))
        )

    async def tell(self, call: Call, *, token: Token | None = None, context: Context | None = None) -> None:
        """Send ``call``; any 2xx is the answer, whatever its body. Raises as `ask`."""
        await self._attempts(call, token, context, lambda _: None)

    async def turn(self, call: Call, *, context: Context | None) -> bool:
        """Wait for the turn of ``call`` ahead of it (`Call.in_turn`), and count it. Whether it had to wait.

        Raises:
            Paced: its turn is too far off; nothing is counted.
        """
        return await wait_for_turn(self._pacer, self._counter(call, context), self.clock, self._patience)

    def _counter(self, call: Call, context: Context | None) -> Counter:
        return Counter.of(self._environment, call.method, call.route, context)

    async def _attempts(self, call: Call, token: Token | None, context: Context | None, read: Reader[Value]) -> Value:
        counter = self._counter(call, context)
        attempts = ATTEMPTS if call.care is Care.REPEATABLE else 1
        pauses_obeyed = 0
        pause = FIRST_PAUSE_S
        while True:
            if not call.in_turn:
                await wait_for_turn(self._pacer, counter, self.clock, self._patience)
            # Failures are returned, not raised: an exception of httpx in the chain would carry our headers.
            outcome = await self._attempt(call, token, counter, read)
            if isinstance(outcome, RateLimited):
                # Nothing was applied; the next turn comes when KSeF's pause is over, or it is too far off.
                if call.care is Care.SPENDS or pauses_obeyed == ATTEMPTS or not self._worth_waiting(outcome):
                    raise outcome
                pauses_obeyed += 1
                continue
            attempts -= 1
            if not isinstance(outcome, Failure):
                return outcome
            if attempts == 0 or not outcome.passing:
                raise outcome.error(call, self.host)
            await self.clock.sleep(pause * random.uniform(0.5, 1.0))
            pause *= 2

    def _worth_waiting(self, limited: RateLimited) -> bool:
        return limited.until - self.clock.now() <= self._patience

    async def _attempt(
        self, call: Call, token: Token | None, counter: Counter, read: Reader[Value]
    ) -> Value | Failure | RateLimited:
        response: httpx.Response | None = None
        self._hold(call)
        progress, began = Progress(lambda: self._hold(call)), stopwatch()
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.send(self._request(call, token, progress), stream=True)
                try:
                    body: bytes | Failure = await _bounded(response)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            failure = failures.of_exception(error, progress)
            if response is None:
                self._watcher(Exchange(call.method, call.route, None, stopwatch() - began))
                return failure
            body = failure
        self._watcher(Exchange(call.method, call.route, response.status_code, stopwatch() - began))
        if response.status_code == 429:
            limited = rate_limited(response.headers.get("Retry-After"), route=call.route, clock=self.clock)
            limited.until = await told_to_stop(self._pacer, counter, self.clock, limited.until)
            return limited
        judged = self._judge(call, response, body, token)
        if judged is not None:
            return judged
        try:
            return read(body)
        except Unreadable as error:
            return Failure("ksef_unreadable_answer", str(error), status=response.status_code)

    def _hold(self, call: Call) -> None:
        if call.send_by is not None and self.clock.now() > call.send_by:
            raise SentTooLate("sent_too_late", route=call.route)

    def _request(self, call: Call, token: Token | None, progress: Progress) -> httpx.Request:
        headers = dict(call.headers)
        if token is not None:
            headers["Authorization"] = f"Bearer {token.value}"
        if call.content:
            headers["Content-Type"] = call.content_type
        return self._http.build_request(
            call.method,
            self._base + call.path,
            params=call.parameters or None,
            headers=headers,
            content=call.content or None,
            extensions={"trace": progress},
        )

    def _judge(
        self, call: Call, response: httpx.Response, body: bytes | Failure, token: Token | None
    ) -> Failure | None:
        """None for a 2xx; a refusal is raised. The status counts even when the body was lost on the way."""
        status = response.status_code
        # An answer that repeats our request would put the token into an error message or a log.
        secret = token.value if token is not None else None
        # 408 comes from a gateway that has lost patience, not from KSeF: it says as little as a 504.
        if 400 <= status < 500 and status != 408:
            complaint = read_complaint(b"" if isinstance(body, Failure) else _without(body, secret))
            if status == 403 and complaint == Complaint():
                # Seen in reality (facts.md §1.3): a 403 without KSeF's words comes from something before KSeF.
                return Failure("ksef_error_answer", "http_403", status=status)
            raise refusal(status, complaint)
        if not 200 <= status < 300:
            wait = retry_after(response.headers.get("Retry-After"), self.clock.now())
            passing = status in (408, 500, 502, 503, 504) and wait is None
            return Failure("ksef_error_answer", f"http_{status}", passing=passing, status=status, retry_after=wait)
        warning = response.headers.get("X-System-Warning")
        if warning:
            shown = plain(_without(warning.encode(), secret).decode())
            _log.warning("KSeF warns at %s %s: %s", call.method, call.route, shown)
        return None


async def _bounded(response: httpx.Response) -> bytes | Failure:
    """The body, unless it is longer than any honest answer or compressed against our wish."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return Failure("ksef_unreadable_answer", "encoding", status=response.status_code)
    chunks = bytearray()
    async for chunk in response.aiter_bytes():
        chunks += chunk
        if len(chunks) > LONGEST_ANSWER:
            return Failure("ksef_unreadable_answer", "too_long", status=response.status_code)
    return bytes(chunks)


def _without(text: bytes, secret: str | None) -> bytes:
    return text.replace(secret.encode(), b"***") if secret else text

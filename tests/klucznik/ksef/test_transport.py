"""What becomes of every way in which an answer can fail to come, on real sockets and by script.

The rule of all: a call that spends is sent once, and ends as `AnswerLost` exactly when it may have arrived.
"""

import asyncio
import gzip
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import httpx
import pytest
from tests.klucznik.ksef.worlds import (
    ACCESS_TOKEN,
    CONTEXT,
    ENDPOINT,
    NOW,
    StillClock,
    answer,
    client,
    sign_in,
    sign_in_answers,
    signed_in_answers,
)

from klucznik.domain.certificates import CertificateType, RevocationReason
from klucznik.domain.environments import Endpoint, Environment
from klucznik.errors import AnswerLost, KsefError, KsefRefused, KsefUnavailable, RateLimited, SentTooLate
from klucznik.ksef.answers import Token, TokenPair
from klucznik.ksef.calls import Exchange
from klucznik.ksef.client import KsefClient
from klucznik.ksef.failures import Progress, of_exception
from klucznik.ksef.pacing import MemoryPacer
from klucznik.ksef.session import Session
from klucznik.ksef.transport import Transport

ENROLL = "POST /certificates/enrollments"
LIMITS = "GET /certificates/limits"
REVOKE = "POST /certificates/01F20A5D352AE590/revoke"
TICKET = {"referenceNumber": "20261123-EH-20F5EE4000-DA48AE4124-46", "timestamp": "2026-11-23T09:00:00Z"}
LIMITS_BODY = sign_in_answers()[LIMITS]
# A time-out that must not come, and one that must come, yet not before a slow machine has sent the request.
PATIENT_S, IMPATIENT_S = 60.0, 3.0


async def enroll(session: Session, send_by: datetime | None = None) -> object:
    return await session.enroll(name="Klucznik", type=CertificateType.OFFLINE, csr=b"0", send_by=send_by)


def chained(error: httpx.HTTPError, cause: BaseException) -> httpx.HTTPError:
    error.__cause__ = cause
    return error


NEVER_LEFT: list[tuple[httpx.HTTPError, str, int]] = [
    (httpx.ConnectError("x"), "other", 3),
    (chained(httpx.ConnectError("x"), ConnectionRefusedError()), "refused", 3),
    (chained(httpx.ConnectError("x"), ExceptionGroup("all", [OSError(), ConnectionRefusedError()])), "refused", 3),
    (chained(httpx.ConnectError("x"), socket.gaierror(-2, "x")), "dns", 3),
    (chained(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "x")), "tls", 1),
    (httpx.ProxyError("x"), "proxy", 3),
    (httpx.ConnectTimeout("x"), "timeout", 1),
    (httpx.PoolTimeout("x"), "timeout", 1),
]


@pytest.mark.parametrize(("error", "cause", "attempts"), NEVER_LEFT, ids=lambda value: repr(value)[:30])
async def test_a_request_that_never_left_is_no_lost_answer(error: httpx.HTTPError, cause: str, attempts: int) -> None:
    ksef = signed_in_answers(**{ENROLL: error, LIMITS: error})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        for key, ask, expected in ((ENROLL, enroll, 1), (LIMITS, Session.limits, attempts)):
            with pytest.raises(KsefUnavailable) as caught:
                await ask(session)
            assert not isinstance(caught.value, AnswerLost)
            assert (caught.value.reason, caught.value.data["cause"]) == ("ksef_unreachable", cause)
            assert caught.value.data["host"] == "ksef.example"
            assert ksef.count(key) == expected


LEFT: list[tuple[object, str, str, int]] = [
    (httpx.ReadTimeout("x"), "ksef_timeout", "timeout", 1),
    (httpx.WriteTimeout("x"), "ksef_timeout", "timeout", 1),
    (httpx.ReadError("x"), "ksef_connection_lost", "reset", 3),
    (httpx.WriteError("x"), "ksef_connection_lost", "reset", 3),
    (httpx.RemoteProtocolError("x"), "ksef_connection_lost", "reset", 3),
    (httpx.LocalProtocolError("x"), "ksef_connection_lost", "reset", 3),
    (OSError("x"), "ksef_connection_lost", "reset", 3),
    *((answer({}, status), "ksef_error_answer", f"http_{status}", 3) for status in (408, 500, 502, 503, 504)),
    (answer(b"", 403), "ksef_error_answer", "http_403", 3),
    (answer(b"<html>", 403), "ksef_error_answer", "http_403", 3),
    *((answer({}, status), "ksef_error_answer", f"http_{status}", 1) for status in (301, 302, 307, 308, 501, 550)),
    (answer({}, 503, Retry_After="120"), "ksef_error_answer", "http_503", 1),
    *(
        (answer(body, 202), "ksef_unreadable_answer", "body", 3)
        for body in (b"", b"<html>", b'{"canRequest": tr', b"[]", b"\xff\xfe", b"null", b'"x"', b"[" * 100_000)
    ),
    (answer(b" " * (4 * 1024 * 1024 + 1), 200), "ksef_unreadable_answer", "too_long", 3),
]


@pytest.mark.parametrize(("wrong", "reason", "cause", "attempts"), LEFT, ids=lambda value: repr(value)[:30])
async def test_a_request_that_may_have_arrived_is_a_lost_answer_only_where_it_spends(
    wrong: object, reason: str, cause: str, attempts: int
) -> None:
    ksef = signed_in_answers(**{ENROLL: wrong, LIMITS: wrong})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(AnswerLost) as lost:
            await enroll(session)
        assert lost.value.reason == "answer_lost"
        assert (lost.value.data["failure"], lost.value.data["cause"]) == (reason, cause)
        assert ksef.count(ENROLL) == 1, "a call that spends is never repeated"
        with pytest.raises(KsefUnavailable) as unavailable:
            await session.limits()
        assert not isinstance(unavailable.value, AnswerLost)
        assert (unavailable.value.reason, unavailable.value.data["cause"]) == (reason, cause)
        assert ksef.count(LIMITS) == attempts


@pytest.mark.parametrize("wrong", [httpx.ReadError("x"), answer({}, 502), answer(b"<html>"), httpx.ConnectError("x")])
async def test_a_question_is_asked_again_after_a_growing_pause(wrong: object) -> None:
    clock = StillClock()
    ksef = signed_in_answers(**{LIMITS: [wrong, wrong, LIMITS_BODY]})
    async with client(ksef, clock) as connection:
        session = await sign_in(connection)
        assert (await session.limits()).can_request
    first, second = clock.waits
    assert 0.1 <= first <= 0.2 <= second <= 0.4


@pytest.mark.parametrize("status", [400, 401, 404, 405, 409, 410, 415, 422])
async def test_a_refusal_is_certain_and_asked_once(status: int) -> None:
    ksef = signed_in_answers(**{ENROLL: answer(b"<html>", status)})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(KsefError if status != 401 else Exception) as caught:
            await enroll(session)
    assert not isinstance(caught.value, KsefUnavailable)
    assert ksef.count(ENROLL) == 1


async def test_a_403_in_ksefs_own_words_is_a_refusal_and_asked_once() -> None:
    forbidden = answer({"title": "Forbidden", "status": 403, "reasonCode": "missing-permissions"}, 403)
    ksef = signed_in_answers(**{ENROLL: forbidden, LIMITS: forbidden})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        for ask in (enroll(session), session.limits()):
            with pytest.raises(KsefRefused) as caught:
                await ask
            assert caught.value.reason == "ksef_forbidden"
    assert (ksef.count(ENROLL), ksef.count(LIMITS)) == (1, 1)


@pytest.mark.parametrize("seconds", [1, 2])
async def test_a_pause_of_seconds_is_obeyed_on_the_spot_but_never_before_a_call_that_spends(seconds: int) -> None:
    clock, pause = StillClock(), answer({}, 429, Retry_After=str(seconds))
    ksef = signed_in_answers(**{ENROLL: pause, LIMITS: [pause, LIMITS_BODY]})
    async with client(ksef, clock) as connection:
        session = await sign_in(connection)
        await session.limits()
        assert clock.waits == [float(seconds)]
        with pytest.raises(RateLimited):
            await enroll(session)
    assert (ksef.count(ENROLL), ksef.count(LIMITS)) == (1, 2)


async def test_pauses_without_an_end_are_told() -> None:
    ksef = signed_in_answers(**{LIMITS: answer({}, 429, Retry_After="1")})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(RateLimited):
            await session.limits()
    assert ksef.count(LIMITS) == 4


@pytest.mark.parametrize("body", [b"", b"<html>", b"{"])
async def test_a_revocation_is_done_when_the_status_says_so_whatever_the_body(body: bytes) -> None:
    ksef = signed_in_answers(**{REVOKE: answer(body, 204 if not body else 200)})
    async with client(ksef) as connection:
        await (await sign_in(connection)).revoke("01F20A5D352AE590", RevocationReason.SUPERSEDED)
    assert ksef.asked[-1].content == b'{"revocationReason":"Superseded"}'


@pytest.mark.parametrize("wrong", [httpx.ReadError("x"), answer({}, 504)])
async def test_a_revocation_whose_answer_is_lost_says_so(wrong: object) -> None:
    ksef = signed_in_answers(**{REVOKE: wrong})
    async with client(ksef) as connection:
        session = await sign_in(connection)
        with pytest.raises(AnswerLost):
            await session.revoke("01F20A5D352AE590")
    assert ksef.count(REVOKE) == 1


async def test_a_system_warning_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    limits = LIMITS_BODY
    assert isinstance(limits, httpx.Response)
    warned = httpx.Response(200, content=limits.content, headers={"X-System-Warning": "sig-001: zly format"})
    async with client(signed_in_answers(**{LIMITS: warned})) as connection:
        session = await sign_in(connection)
        with caplog.at_level(logging.WARNING, logger="klucznik.ksef"):
            await session.limits()
    assert "GET /certificates/limits: sig-001: zly format" in caplog.text


# Real sockets: what a peer can do to a connection, without any library that could soften it.

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


async def request_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)


async def closes_without_a_word(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    linger = writer.get_extra_info("socket")
    linger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


async def cuts_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(HEAD + b'{"referenceNumber":')


async def speaks_no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(b"220 mail.example ESMTP\r\n")


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte now and then: no single wait is long, the answer as a whole never ends."""
    await request_of(reader)
    writer.write(HEAD)
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.5)


async def compresses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Against our wish, so that the answer could unfold beyond any bound."""
    request = await request_of(reader)
    assert b"accept-encoding: identity" in request.lower()
    body = gzip.compress(b" " * 10_000_000)
    writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def refuses_and_cuts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(HEAD.replace(b"202 Accepted", b"400 Bad Request") + b'{"ti')


@asynccontextmanager
async def peer(behaviour: Behaviour) -> AsyncIterator[tuple[Endpoint, list[int]]]:
    """A server that treats every connection by ``behaviour``; counts the connections."""
    connections: list[int] = []
    working: set[asyncio.Task[None]] = set()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        work = asyncio.ensure_future(behave(reader, writer))
        working.add(work)
        await asyncio.wait({work})
        writer.close()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await behaviour(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Endpoint(Environment.SANDBOX, f"http://127.0.0.1:{port}/v2", "x"), connections
    finally:
        server.close()
        for work in working:
            work.cancel()
        await asyncio.gather(*working, *serving, return_exceptions=True)


@pytest.mark.parametrize(
    ("behaviour", "failure", "timeout_s"),
    [
        (closes_without_a_word, "ksef_connection_lost", PATIENT_S),
        (resets, "ksef_connection_lost", PATIENT_S),
        (cuts_the_body, "ksef_connection_lost", PATIENT_S),
        (speaks_no_http, "ksef_connection_lost", PATIENT_S),
        (drips, "ksef_timeout", IMPATIENT_S),
        (compresses, "ksef_unreadable_answer", PATIENT_S),
    ],
)
async def test_a_peer_that_breaks_the_connection_loses_the_answer_of_a_call_that_spends(
    behaviour: Behaviour, failure: str, timeout_s: float
) -> None:
    async with peer(behaviour) as (endpoint, connections):
        async with session_at(endpoint, timeout_s=timeout_s) as session:
            with pytest.raises(AnswerLost) as lost:
                await enroll(session)
        assert lost.value.data["failure"] == failure
        assert len(connections) == 1


async def test_a_refusal_counts_even_when_its_body_is_cut() -> None:
    async with peer(refuses_and_cuts) as (endpoint, _), session_at(endpoint) as session:
        with pytest.raises(KsefRefused) as caught:
            await enroll(session)
    assert (caught.value.status, caught.value.code) == (400, None)


async def test_a_closed_port_is_unreachable_and_nothing_is_spent() -> None:
    async with peer(closes_without_a_word) as (endpoint, _):
        pass
    async with session_at(endpoint) as session:
        with pytest.raises(KsefUnavailable) as caught:
            await enroll(session)
    assert not isinstance(caught.value, AnswerLost)
    assert (caught.value.reason, caught.value.data["cause"]) == ("ksef_unreachable", "refused")


async def says_no_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the connection and lets the TLS handshake hang."""
    await reader.read()


async def speaks_no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"220 mail.example ESMTP\r\n")


@pytest.mark.parametrize(
    ("behaviour", "cause", "timeout_s"),
    [(says_no_hello, "timeout", IMPATIENT_S), (speaks_no_tls, "tls", PATIENT_S)],
)
async def test_without_a_tls_handshake_nothing_has_left(behaviour: Behaviour, cause: str, timeout_s: float) -> None:
    async with peer(behaviour) as (endpoint, connections):
        encrypted = Endpoint(Environment.TEST, endpoint.api.replace("http:", "https:"), "x")
        async with session_at(encrypted, timeout_s=timeout_s) as session:
            with pytest.raises(KsefUnavailable) as caught:
                await enroll(session)
    assert not isinstance(caught.value, AnswerLost)
    assert (caught.value.reason, caught.value.data["cause"]) == ("ksef_unreachable", cause)
    assert len(connections) == 1


async def test_every_attempt_is_told_to_whoever_counts_them() -> None:
    seen: list[Exchange] = []
    limited = httpx.Response(429, headers={"Retry-After": "9"})
    answers: Iterator[httpx.Response | Exception] = iter([httpx.Response(503), httpx.ReadError("reset"), limited])

    def ksef(request: httpx.Request) -> httpx.Response:
        given = next(answers)
        if isinstance(given, httpx.Response):
            return given
        raise given

    watched = KsefClient(ENDPOINT, clock=StillClock(), transport=httpx.MockTransport(ksef), watcher=seen.append)
    async with watched as klucznik:
        with pytest.raises(RateLimited):
            await klucznik.challenge()
    assert [(one.method, one.route, one.status) for one in seen] == [
        ("POST", "/auth/challenge", status) for status in (503, None, 429)
    ]


async def test_the_pool_tells_whether_a_request_has_left() -> None:
    """The names of httpcore's events, which decide what a time-out of the whole means."""
    async with peer(closes_without_a_word) as (endpoint, _), httpx.AsyncClient(trust_env=False) as http:
        sent = Progress()
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(endpoint.api, extensions={"trace": sent})
    unsent = Progress()
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(endpoint.api, extensions={"trace": unsent})
    assert (Progress().never_left, sent.never_left, unsent.never_left) == (False, False, True)
    timed_out = TimeoutError()
    assert of_exception(timed_out, unsent).left is False
    assert of_exception(timed_out, sent).left is of_exception(timed_out, Progress()).left is True


class Frozen(StillClock):
    """Two minutes pass before the `nth` look at it."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self._looks_left = nth

    def now(self) -> datetime:
        self._looks_left -= 1
        if self._looks_left == 0:
            self.moment += timedelta(minutes=2)
        return super().now()


# It is looked at for the token, for the pace, before connecting, before the headers and before the body.
@pytest.mark.parametrize("look", [1, 2, 3, 4, 5])
async def test_what_has_become_stale_is_not_sent(look: int) -> None:
    arrived: list[bytes] = []

    async def listens(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.append(await reader.read())

    async with peer(listens) as (endpoint, _), session_at(endpoint, clock=Frozen(look)) as session:
        with pytest.raises(SentTooLate):
            await enroll(session, send_by=NOW + timedelta(seconds=10))
    assert b"certificateName" not in b"".join(arrived)


async def test_a_sixth_look_would_come_too_late() -> None:
    async with peer(says_accepted) as (endpoint, _), session_at(endpoint, clock=Frozen(6)) as session:
        await enroll(session, send_by=NOW + timedelta(seconds=10))


async def says_accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    body = json.dumps(TICKET).encode()
    writer.write(HEAD.replace(b"100", b"%d" % len(body)) + body)


@asynccontextmanager
async def session_at(
    endpoint: Endpoint, timeout_s: float = PATIENT_S, clock: StillClock | None = None
) -> AsyncIterator[Session]:
    """A session whose tokens are good and whose calls go to ``endpoint``."""
    clock = clock or StillClock()
    transport = Transport(endpoint, clock=clock, transport=None, timeout_s=timeout_s, pacer=MemoryPacer())
    good = Token(ACCESS_TOKEN, NOW + timedelta(minutes=15))
    try:
        yield Session(transport, CONTEXT, TokenPair(good, good))
    finally:
        await transport.aclose()

"""Every call waits for its turn: what is slept, what is told, and that what is told was not sent."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from tests.klucznik.ksef.worlds import ENDPOINT, NOW, Handler, Scripted, StillClock, answer, sign_in, signed_in_answers

from klucznik.domain.certificates import CertificateType
from klucznik.errors import AnswerLost, KsefUnavailable, Paced, RateLimited
from klucznik.ksef.client import KsefClient
from klucznik.ksef.pacing import MemoryPacer
from klucznik.ksef.session import Session

LIMITS = "GET /certificates/limits"
ENROLL = "POST /certificates/enrollments"


def client(ksef: Handler, clock: StillClock, pacer: MemoryPacer) -> KsefClient:
    return KsefClient(ENDPOINT, clock=clock, transport=httpx.MockTransport(ksef), pacer=pacer)


async def enroll(session: Session) -> object:
    return await session.enroll(name="Klucznik", type=CertificateType.OFFLINE, csr=b"0")


async def test_a_short_wait_is_waited_for_and_a_long_one_is_told_and_nothing_is_sent() -> None:
    ksef, clock = signed_in_answers(), StillClock()
    async with client(ksef, clock, MemoryPacer()) as connection:
        session = await sign_in(connection)
        for _ in range(30):
            await session.limits()
        assert clock.waits == [1.5, 1.5], "ten, a pause, ten, a pause, ten"
        with pytest.raises(Paced) as caught:
            await session.limits()
    assert ksef.count(LIMITS) == 30
    assert caught.value.until == NOW + timedelta(seconds=61)
    assert caught.value.data == {"until": "2026-11-23T09:01:01+00:00", "route": "/certificates/limits"}


async def test_a_request_that_is_not_its_turn_is_not_spent() -> None:
    ticket = {"referenceNumber": "20261123-EH-20F5EE4000-DA48AE4124-46", "timestamp": "2026-11-23T09:00:00Z"}
    ksef, clock = signed_in_answers(**{ENROLL: answer(ticket, 202)}), StillClock()
    async with client(ksef, clock, MemoryPacer()) as connection:
        session = await sign_in(connection)
        for _ in range(30):
            await enroll(session)
        with pytest.raises(Paced) as caught:
            await enroll(session)
        assert not isinstance(caught.value, AnswerLost)
        assert ksef.count(ENROLL) == 30
        clock.moment = caught.value.until
        await enroll(session)
    assert ksef.count(ENROLL) == 31


async def test_each_attempt_of_a_repeated_call_is_counted() -> None:
    ksef, clock = signed_in_answers(**{LIMITS: httpx.ConnectError("x")}), StillClock()
    async with client(ksef, clock, MemoryPacer()) as connection:
        session = await sign_in(connection)
        for expected in [*["ksef_unreachable"] * 10, "paced"]:
            with pytest.raises(KsefUnavailable) as caught:
                await session.limits()
            assert caught.value.reason == expected
    assert ksef.count(LIMITS) == 30


async def test_after_a_429_nobody_of_the_installation_calls_until_ksef_allows_it() -> None:
    limits = signed_in_answers().answers[LIMITS]
    refusal = httpx.Response(429, headers={"Retry-After": "37"})
    ksef, clock, pacer = signed_in_answers(**{LIMITS: [refusal, limits]}), StillClock(), MemoryPacer()
    async with client(ksef, clock, pacer) as one, client(ksef, clock, pacer) as other:
        first, second = await sign_in(one), await sign_in(other)
        with pytest.raises(RateLimited) as caught:
            await first.limits()
        assert caught.value.until == NOW + timedelta(seconds=37)
        told = []
        for session in (first, second, second):
            with pytest.raises(Paced) as paced:
                await session.limits()
            told.append(paced.value.until)
        assert ksef.count(LIMITS) == 1
        assert caught.value.until < min(told)
        assert len(set(told)) == 3, "they do not come back all at once"
        clock.moment = caught.value.until - timedelta(seconds=1.5)
        await second.limits()
    assert clock.waits == [1.5]
    assert ksef.count(LIMITS) == 2


async def test_many_that_are_refused_at_once_come_back_one_after_the_other() -> None:
    ksef, all_there = signed_in_answers(), asyncio.Barrier(10)

    async def refusing(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/certificates/limits"):
            return ksef(request)
        await all_there.wait()
        return httpx.Response(429, headers={"Retry-After": "30"})

    async with client(refusing, StillClock(), MemoryPacer()) as connection:
        session = await sign_in(connection)
        answers = await asyncio.gather(*(session.limits() for _ in range(10)), return_exceptions=True)
    refused = [error for error in answers if isinstance(error, RateLimited)]
    until = sorted({error.until for error in refused})
    assert len(until) == 10
    assert until[0] == NOW + timedelta(seconds=30)
    assert until[-1] <= NOW + timedelta(seconds=40)
    assert {error.retry_after for error in refused} == {30}


class ToldMeanwhile(StillClock):
    """While one waits for its turn, another hears of a 429."""

    def __init__(self, other: Scripted, pacer: MemoryPacer) -> None:
        super().__init__()
        self._other, self._pacer = other, pacer

    async def sleep(self, seconds: float) -> None:
        if not self.waits:
            self.waits.append(seconds)
            async with client(self._other, StillClock(), self._pacer) as connection:
                session = await sign_in(connection)
                with pytest.raises(RateLimited):
                    await session.limits()
        await super().sleep(seconds)


async def test_who_waited_for_its_turn_looks_again_whether_there_is_a_block() -> None:
    limits = signed_in_answers().answers[LIMITS]
    refusal = httpx.Response(429, headers={"Retry-After": "60"})
    pacer = MemoryPacer()
    ksef = signed_in_answers(**{LIMITS: limits})
    clock = ToldMeanwhile(signed_in_answers(**{LIMITS: refusal}), pacer)
    async with client(ksef, clock, pacer) as connection:
        session = await sign_in(connection)
        for _ in range(10):
            await session.limits()
        with pytest.raises(Paced):
            await session.limits()
    assert ksef.count(LIMITS) == 10


async def test_sign_ins_of_all_contexts_share_the_address() -> None:
    ksef, clock, pacer = signed_in_answers(), StillClock(), MemoryPacer()
    async with client(ksef, clock, pacer) as one, client(ksef, clock, pacer) as other:
        for _ in range(60):
            await one.challenge()
        await other.challenge()
    assert clock.waits == [1.2]

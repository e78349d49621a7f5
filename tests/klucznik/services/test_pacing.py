"""Several workers of one installation against a KSeF that counts: not one call too many, on both stores."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.klucznik.databases import EACH_ON_ITS_RUN
from tests.klucznik.world import QUICK, SandboxClock, company, context_of, some_nip
from tests.postgresql import Cluster

from klucznik.domain.environments import Environment, endpoint
from klucznik.errors import Paced, RateLimited
from klucznik.ksef.client import DocumentSigner, KsefClient
from klucznik.ksef.xades import sign_document
from klucznik.storage.paces import SqlitePacer
from klucznik.storage.paces_postgresql import PostgresqlPacer
from ksef_sandbox import Sandbox
from ksef_sandbox.requestlog import LoggedRequest

NewPacer: TypeAlias = Callable[[], SqlitePacer | PostgresqlPacer]


@pytest.fixture
def ksef() -> Iterator[Sandbox]:
    with Sandbox(seed=1, switches={**QUICK, "rate_profile": "prd"}) as running:
        yield running


@pytest.fixture(params=EACH_ON_ITS_RUN)
def new_pacer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewPacer]:
    if request.param == "sqlite":
        yield lambda: SqlitePacer(tmp_path / "pace.db")
        return
    cluster: Cluster = request.getfixturevalue("postgresql")
    with cluster.fresh_database() as url:
        yield lambda: PostgresqlPacer(url)


class Still(SandboxClock):
    """Our time passes only where it is moved, KSeF's runs on: a slow machine never brings two calls closer."""

    def __init__(self, ksef: Sandbox) -> None:
        super().__init__(ksef)
        self._at = ksef.now()

    def now(self) -> datetime:
        return self._at

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)
        self._ksef.advance(seconds=seconds)


@asynccontextmanager
async def clients(
    ksef: Sandbox, new_pacer: NewPacer, number: int, clock: SandboxClock | None = None
) -> AsyncIterator[list[KsefClient]]:
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(number):
            pacer = new_pacer()
            stack.push_async_callback(pacer.aclose)
            where = endpoint(Environment.SANDBOX, ksef.base_url)
            time = clock or SandboxClock(ksef)
            opened.append(await stack.enter_async_context(KsefClient(where, clock=time, pacer=pacer)))
        yield opened


def signer(nip: str, ksef: Sandbox) -> DocumentSigner:
    seal = company(nip, ksef)
    return lambda xml: sign_document(xml, seal.certificate, seal.private_key, now=ksef.now())


def too_many(ksef: Sandbox) -> list[LoggedRequest]:
    return [request for request in ksef.requests() if request.status == 429]


async def test_three_hundred_calls_of_three_workers_are_not_one_too_many(ksef: Sandbox, new_pacer: NewPacer) -> None:
    nip = some_nip()
    clock = Still(ksef)
    sign, began, made = signer(nip, ksef), clock.now(), 0
    async with clients(ksef, new_pacer, 3, clock) as workers:
        sessions = [await worker.sign_in(context_of(nip), sign) for worker in workers]
        while made < 300:
            try:
                await sessions[made % 3].limits()
                made += 1
            except Paced as paced:
                clock.advance(max(0.0, (paced.until - clock.now()).total_seconds()))
    assert too_many(ksef) == []
    assert len(ksef.requests(path="/certificates/limits")) == 300
    # 120 at once, so to speak, 120 an hour later and the rest after another: not slower than KSeF allows.
    assert timedelta(hours=2) < clock.now() - began < timedelta(hours=2, minutes=10)


async def test_two_hundred_challenges_of_three_workers_are_not_one_too_many(ksef: Sandbox, new_pacer: NewPacer) -> None:
    async with clients(ksef, new_pacer, 3, Still(ksef)) as workers:
        for number in range(200):
            await workers[number % 3].challenge()
    assert too_many(ksef) == []


async def test_when_a_foreign_program_uses_up_the_calls_one_worker_is_told_and_the_others_hear_of_it(
    ksef: Sandbox, new_pacer: NewPacer
) -> None:
    nip = some_nip()
    sign = signer(nip, ksef)
    async with clients(ksef, new_pacer, 2) as workers:
        one, other = [await worker.sign_in(context_of(nip), sign) for worker in workers]
        await _use_up_the_minute(ksef, nip, sign)
        ksef.advance(seconds=35)  # so that the minute is over when the sandbox's block of 30 s is
        ksef.clear_requests()
        with pytest.raises(RateLimited) as caught:
            await one.limits()
        for session in (other, one, other):
            with pytest.raises(Paced):
                await session.limits()
        assert len(ksef.requests()) == 1
        ksef.advance(seconds=(caught.value.until - ksef.now()).total_seconds() - 10)
        with pytest.raises(Paced):
            await other.limits()
        assert len(ksef.requests()) == 1
        ksef.advance(seconds=(caught.value.until - ksef.now()).total_seconds())
        await other.limits()
        await one.limits()
    assert [request.status for request in ksef.requests()] == [429, 200, 200]


async def _use_up_the_minute(ksef: Sandbox, nip: str, sign: DocumentSigner) -> None:
    """A program with an installation of its own, on the same machine."""
    where = endpoint(Environment.SANDBOX, ksef.base_url)
    async with KsefClient(where, clock=SandboxClock(ksef)) as foreign:
        session = await foreign.sign_in(context_of(nip), sign)
        for _ in range(30):
            await session.limits()

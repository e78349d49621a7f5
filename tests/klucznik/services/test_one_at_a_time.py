"""Rule 4: one subject, one issuance at a time, whoever asks, and also when a process freezes and wakes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from tests.klucznik.mishaps import FILING, Mishap, Network, meanwhile
from tests.klucznik.power import Power, PoweredDatabase
from tests.klucznik.world import (
    assert_whole_pair,
    company,
    context_of,
    filed,
    installed,
    some_nip,
)

from klucznik.clock import SystemClock
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, IssuanceState
from klucznik.errors import SubjectBusy
from klucznik.services.advance import take_lease
from klucznik.services.issue import AlreadyHeld, Issued, issue
from klucznik.services.progress import Progress
from klucznik.services.road import LEASE_LASTS
from klucznik.storage.database import Database
from ksef_sandbox import Sandbox

T = TypeVar("T")


async def test_rule_4_two_who_ask_at_once_get_one_pair(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    async with (
        installed(tmp_path, ksef, clock=SystemClock()) as one,
        installed(tmp_path, ksef, clock=SystemClock()) as other,
    ):
        outcomes = await asyncio.gather(*(issue(each, context_of(nip), credential) for each in (one, other)))
    assert {type(outcome) for outcome in outcomes} == {Issued, AlreadyHeld}
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_4_two_subjects_do_not_wait_for_each_other(ksef: Sandbox, tmp_path: Path) -> None:
    nip, other_nip = some_nip(), some_nip()
    heard: list[Progress] = []
    async with installed(tmp_path, ksef, clock=SystemClock()) as klucznik:
        outcomes = await asyncio.gather(
            issue(klucznik, context_of(nip), company(nip, ksef), listener=heard.append),
            issue(klucznik, context_of(other_nip), company(other_nip, ksef), listener=heard.append),
        )
        for outcome in outcomes:
            await assert_whole_pair(klucznik, outcome)
    assert "subject_busy" not in {progress.stage.value for progress in heard}


class Freezing(PoweredDatabase):
    """The process stops right after the commit of an intent to send, and goes on when `meanwhile` is over."""

    def __init__(self, opened: Database, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(opened, Power(10_000))
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    async def write(self, work: Callable[[Connection], T]) -> T:
        saved = await super().write(work)
        if self._meanwhile and isinstance(saved, Enrollment) and saved.state is EnrollmentState.SENDING:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        return saved


async def test_rule_4_a_process_that_was_frozen_and_wakes_sends_nothing_any_more(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef) as frozen, installed(tmp_path, ksef) as other:

        async def another_takes_over() -> None:
            ksef.advance(seconds=LEASE_LASTS.total_seconds())
            await assert_whole_pair(other, await issue(other, context_of(nip), credential))

        sleeper = replace(frozen, database=Freezing(frozen.database, another_takes_over))
        with pytest.raises(SubjectBusy):
            await issue(sleeper, context_of(nip), credential)
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_4_a_process_that_froze_while_its_request_was_on_the_way_to_the_socket_sends_nothing(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)

    async def another_takes_over() -> None:
        ksef.advance(seconds=LEASE_LASTS.total_seconds())
        async with installed(tmp_path, ksef) as other:
            await assert_whole_pair(other, await issue(other, context_of(nip), credential))

    network = Network(Mishap(FILING, meanwhile(another_takes_over)))
    async with installed(tmp_path, ksef, transport=network) as frozen:
        with pytest.raises(SubjectBusy):
            await issue(frozen, context_of(nip), credential)
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_4_a_process_that_was_frozen_between_two_acts_asks_ksef_nothing(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)

    async def another_begins() -> None:
        ksef.advance(minutes=2)
        async with installed(tmp_path, ksef) as other:
            await take_lease(other, credential.holder.signs_in_as)
        network.sent.clear()

    class FreezingAfterKeys(PoweredDatabase):
        async def write(self, work: Callable[[Connection], T]) -> T:
            saved = await super().write(work)
            if isinstance(saved, Issuance) and saved.state is IssuanceState.UNDERWAY:
                await another_begins()
            return saved

    network = Network()
    async with installed(tmp_path, ksef, transport=network) as frozen:
        sleeper = replace(frozen, database=FreezingAfterKeys(frozen.database, Power(10_000)))
        with pytest.raises(SubjectBusy):
            await issue(sleeper, context_of(nip), credential)
    assert network.sent == []


async def test_a_process_that_was_frozen_alone_goes_on(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef) as frozen:

        async def the_lid_is_closed() -> None:
            ksef.advance(hours=8)

        sleeper = replace(frozen, database=Freezing(frozen.database, the_lid_is_closed))
        await assert_whole_pair(sleeper, await issue(sleeper, context_of(nip), credential))
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2

"""What is told along the road for logs and counters: who begins, what is waited for, how doubts and issuances end."""

from pathlib import Path

import pytest
from tests.klucznik.mishaps import FILING, Act, Mishap, Network, answer_lost, error_before, paced, refused
from tests.klucznik.services.test_durable import ordered
from tests.klucznik.world import company, context_of, installed, set_limits, some_nip

from klucznik.domain.issuance import IssuanceState
from klucznik.domain.waits import WaitKind
from klucznik.errors import KsefRefused
from klucznik.ksef.calls import Exchange
from klucznik.services.advance import advance, take_lease
from klucznik.services.cancel import cancel
from klucznik.services.installation import Installation
from klucznik.services.issue import issue
from klucznik.services.progress import Progress, Settled, Stage
from ksef_sandbox import Sandbox


def told(heard: list[Progress], stage: Stage) -> list[Progress]:
    return [progress for progress in heard if progress.stage is stage]


async def test_an_issuance_is_taken_on_first_and_its_end_is_told_last(ksef: Sandbox, tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        await advance(klucznik, issuance.id, listener=heard.append)
    assert (heard[0].stage, heard[-1].stage) == (Stage.TAKEN_ON, Stage.ENDED)
    first, last = heard[0].issuance, heard[-1].issuance
    assert first is not None
    assert last is not None
    assert (first.id, last.id, last.state) == (issuance.id, issuance.id, IssuanceState.DONE)
    assert not heard[0].taken_over


async def test_a_refusal_by_the_limits_is_an_end(ksef: Sandbox, tmp_path: Path) -> None:
    nip, heard = some_nip(), list[Progress]()
    credential = company(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=1)
    async with installed(tmp_path, ksef) as klucznik:
        await issue(klucznik, context_of(nip), credential, listener=heard.append)
    (end,) = told(heard, Stage.ENDED)
    assert end.issuance is not None
    assert end.issuance.state is IssuanceState.REFUSED


async def test_calling_off_is_an_end(ksef: Sandbox, tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        await cancel(klucznik, issuance.id, listener=heard.append)
    assert [progress.issuance and progress.issuance.state for progress in heard] == [IssuanceState.CANCELLED]


async def test_a_wait_is_told_when_it_is_in_the_row(ksef: Sandbox, tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, paced(60)))) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        parked = await advance(klucznik, issuance.id, listener=heard.append)
    assert told(heard, Stage.WAITING)[-1].issuance == parked
    assert parked.wait is not None
    assert parked.wait.kind is WaitKind.PACED


@pytest.mark.parametrize(("mishap", "settled"), [(answer_lost, Settled.ADOPTED), (error_before, Settled.NEVER_ARRIVED)])
async def test_what_became_of_a_lost_answer_is_told(
    ksef: Sandbox, tmp_path: Path, mishap: Act, settled: Settled
) -> None:
    heard: list[Progress] = []
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, mishap))) as klucznik:
        nip = some_nip()
        await issue(klucznik, context_of(nip), company(nip, ksef), listener=heard.append)
    assert [progress.settled for progress in told(heard, Stage.RECONCILED)] == [settled]


async def test_a_rejected_request_is_told_with_ksefs_code(ksef: Sandbox, tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, refused(25001)))) as klucznik:
        nip = some_nip()
        with pytest.raises(KsefRefused):
            await issue(klucznik, context_of(nip), company(nip, ksef), listener=heard.append)
    (rejected,) = told(heard, Stage.REJECTED)
    assert rejected.failure is not None
    assert rejected.failure.code == 25001
    assert told(heard, Stage.ENDED)[-1].issuance is not None


async def test_whoever_takes_a_dead_processs_subject_over_says_so(ksef: Sandbox, tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with installed(tmp_path, ksef) as dead, installed(tmp_path, ksef) as alive:
        issuance = await ordered(dead, some_nip(), ksef)
        await take_lease(dead, issuance.subject)
        ksef.advance(seconds=60)
        await advance(alive, issuance.id, listener=heard.append)
    assert [progress.taken_over for progress in told(heard, Stage.TAKEN_ON)] == [True]


async def test_every_call_to_ksef_is_told_by_its_route_and_never_with_a_number_in_it(
    ksef: Sandbox, tmp_path: Path
) -> None:
    seen: list[Exchange] = []
    opened = await Installation.open(tmp_path, ksef_url=ksef.base_url, watcher=seen.append)
    async with opened as klucznik:
        nip = some_nip()
        await issue(klucznik, context_of(nip), company(nip, ksef))
    assert len(seen) == len(ksef.requests())
    routes = {exchange.route for exchange in seen}
    assert {"/auth/{referenceNumber}", "/certificates/enrollments", "/certificates/limits"} <= routes
    assert not any(character.isdigit() for route in routes for character in route)
    assert all(exchange.status is not None and exchange.seconds > 0 for exchange in seen)

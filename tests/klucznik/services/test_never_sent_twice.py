"""Rule 3: a request is never sent twice while the first may have arrived. Every lost answer, on either request.

The proof is KSeF's own log: two accepted requests in all, whatever happened on the way.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.klucznik.mishaps import (
    FILING,
    Act,
    Mishap,
    Network,
    afterwards,
    answer_cut,
    answer_lost,
    answer_too_late,
    error_after,
    error_before,
    not_connected,
    refused,
    reset_before,
)
from tests.klucznik.world import (
    SandboxClock,
    accepted,
    assert_whole_pair,
    company,
    context_of,
    filed,
    installed,
    set_limits,
    some_nip,
)

from klucznik.errors import KsefError, KsefRefused, KsefUnavailable
from klucznik.services.issue import Issued, issue
from klucznik.services.limits import read_limits
from klucznik.services.progress import Listener, Progress, Stage
from klucznik.services.reconcile import GIVEN_UP_AFTER, SETTLES
from ksef_sandbox import Sandbox

each_request = pytest.mark.parametrize("nth", [1, 2], ids=["authentication", "offline"])
ARRIVED: list[Act] = [answer_lost, answer_too_late, answer_cut, error_after]
NEVER_ARRIVED: list[Act] = [reset_before, error_before]


def name_of(act: Act) -> str:
    return str(getattr(act, "__name__", act))


@each_request
@pytest.mark.parametrize("act", ARRIVED, ids=name_of)
async def test_rule_3_a_request_that_arrived_is_found_and_not_sent_again(
    act: Act, nth: int, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(FILING, act, on=nth))
    heard: list[Progress] = []
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        outcome = await issue(klucznik, context_of(nip), credential, listener=heard.append)
        await assert_whole_pair(klucznik, outcome)
    assert Stage.ANSWER_LOST in {progress.stage for progress in heard}
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


@each_request
@pytest.mark.parametrize("act", ARRIVED, ids=name_of)
async def test_rule_3_a_request_that_arrived_is_waited_for_while_ksef_is_slow(
    act: Act, nth: int, ksef: Sandbox, tmp_path: Path
) -> None:
    """It is in no list until it is issued; only the counter tells that it is there."""
    ksef.set(enroll_delay_ms=5 * 60_000)
    nip = some_nip()
    credential = company(nip, ksef)
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, act, on=nth))) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


@each_request
@pytest.mark.parametrize("act", NEVER_ARRIVED, ids=name_of)
async def test_rule_3_a_request_that_never_arrived_is_sent_again_unchanged_once_that_is_certain(
    act: Act, nth: int, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    clock = SandboxClock(ksef)
    network = Network(Mishap(FILING, act, on=nth))
    lost_at: list[timedelta] = []
    start = clock.now()

    def listen(progress: Progress) -> None:
        if progress.stage in (Stage.ANSWER_LOST, Stage.RECONCILED):
            lost_at.append(clock.now() - start)

    async with installed(tmp_path, ksef, clock=clock, transport=network) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential, listener=listen))
    first, again = lost_at
    assert again - first >= SETTLES - timedelta(seconds=1)
    bodies = network.bodies(FILING)
    assert len(bodies) == 3
    assert bodies[nth - 1] == bodies[nth]
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


@each_request
async def test_rule_3_a_request_that_never_left_is_told_and_sent_by_the_next_attempt(
    nth: int, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(FILING, not_connected, on=nth))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefUnavailable):
            await issue(klucznik, context_of(nip), credential)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    bodies = network.bodies(FILING)
    assert bodies[nth - 1] == bodies[nth]
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_3_both_answers_lost_still_means_two_requests(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(FILING, answer_lost, on=1), Mishap(FILING, error_after, on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_3_a_doubt_that_stays_is_told_and_cleared_by_a_later_attempt(ksef: Sandbox, tmp_path: Path) -> None:
    ksef.set(enroll_delay_ms=30 * 60_000)
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(FILING, answer_lost))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefUnavailable) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert caught.value.reason == "enrollment_undecided"
        assert len(filed(ksef, credential.holder.signs_in_as)) == 1
        ksef.set(enroll_delay_ms=0)
        ksef.advance(minutes=30)
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


async def test_rule_3_a_doubt_of_a_day_ends_without_sending_again(ksef: Sandbox, tmp_path: Path) -> None:
    """Somebody else's request moved the counter, so nothing can prove any more that ours never arrived."""
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as
    async with installed(tmp_path / "here", ksef, transport=Network(Mishap(FILING, reset_before))) as klucznik:

        async def order() -> object:
            return await issue(klucznik, context_of(nip), credential)

        set_limits(ksef, subject, enrollment=10)
        with pytest.raises(RuntimeError):
            await issue(klucznik, context_of(nip), credential, listener=interrupt_at(Stage.ANSWER_LOST))
        async with installed(tmp_path / "elsewhere", ksef) as other:
            await assert_whole_pair(other, await issue(other, context_of(nip), credential))
        for wait, reason in ((timedelta(0), "enrollment_undecided"), (GIVEN_UP_AFTER, "enrollment_given_up")):
            ksef.advance(seconds=wait.total_seconds())
            with pytest.raises(KsefError) as caught:
                await order()
            assert caught.value.reason == reason
        assert len(filed(ksef, subject)) == 2  # of the other installation
        await assert_whole_pair(klucznik, await order())
    assert len(filed(ksef, subject)) == 4


async def test_rule_3_a_request_that_ksef_has_forgotten_does_not_bar_the_subject_for_good(
    ksef: Sandbox, tmp_path: Path
) -> None:
    """After 30 days its status is gone, and it was rejected, so that no certificate tells of it either."""
    ksef.set(enroll_delay_ms=1000)
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as
    network = Network(Mishap(FILING, afterwards(lambda: set_limits(ksef, subject, certificate=1)), on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(RuntimeError):
            await issue(klucznik, context_of(nip), credential, listener=interrupt_at(Stage.WAITING_FOR_KSEF))
        ksef.advance(days=31)
        await read_limits(klucznik, context_of(nip), credential)  # the sandbox works when it is asked for something
        set_limits(ksef, subject, certificate=6)
        with pytest.raises(KsefRefused) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert (caught.value.reason, caught.value.data["saved"]) == ("enrollment_given_up", 1)
        outcome = await issue(klucznik, context_of(nip), credential)
        assert isinstance(outcome, Issued)
        assert [held.type.value for held in outcome.certificates] == ["Offline"]
    assert len(accepted(ksef, subject)) == 3


def interrupt_at(stage: Stage) -> Listener:
    """Whoever listens may fail; the issuance stops there, as at Ctrl-C."""

    def listen(progress: Progress) -> None:
        if progress.stage is stage:
            raise RuntimeError

    return listen


async def test_rule_3_a_lost_answer_of_the_last_request_of_all_is_adopted(ksef: Sandbox, tmp_path: Path) -> None:
    """With limits of exactly two, a request sent twice would be refused and the pair never whole."""
    nip = some_nip()
    credential = company(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=2, certificate=2)
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, answer_lost, on=2))) as klucznik:
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(filed(ksef, credential.holder.signs_in_as)) == 2


@pytest.mark.parametrize("code", [25003, 25004, 25006, 25007, 25010, 25011])
async def test_rule_3_after_a_refusal_of_the_first_request_the_second_is_never_sent(
    code: int, ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(FILING, refused(code)))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefRefused) as caught:
            await issue(klucznik, context_of(nip), credential)
        assert caught.value.code == code
    assert len(network.bodies(FILING)) == 1
    assert accepted(ksef, credential.holder.signs_in_as) == []


async def test_rule_3_a_request_that_is_refused_is_not_doubted(ksef: Sandbox, tmp_path: Path) -> None:
    """A refusal is an answer: nothing is looked for, and the next attempt starts from the limits."""
    nip = some_nip()
    credential = company(nip, ksef)
    network = Network(Mishap(FILING, refused(25004)))
    heard: list[Progress] = []
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        with pytest.raises(KsefRefused):
            await issue(klucznik, context_of(nip), credential, listener=heard.append)
        assert Stage.ANSWER_LOST not in {progress.stage for progress in heard}
        await assert_whole_pair(klucznik, await issue(klucznik, context_of(nip), credential))
    assert len(accepted(ksef, credential.holder.signs_in_as)) == 2

"""An issuance outlives the process that ordered it: it waits in its row, and whoever is woken goes on from there."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.klucznik.mishaps import FILING, LIMITS, STATUS, Mishap, Network, error_before, paced, refused
from tests.klucznik.world import (
    accepted,
    assert_key_kept,
    company,
    context_of,
    filed,
    installed,
    owner,
    set_limits,
    some_nip,
)

from klucznik.domain.certificates import PAIR, HeldCertificate
from klucznik.domain.identifiers import Subject
from klucznik.domain.issuance import EnrollmentState, Issuance, IssuanceState
from klucznik.domain.waits import LONGEST_WAIT_FOR_LIMITS, WaitKind
from klucznik.errors import InputError, KlucznikError, RateLimited, SignatureNeeded
from klucznik.services.advance import advance, load
from klucznik.services.cancel import cancel
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, WaitingForLimits, issue, order
from klucznik.services.progress import Progress, Stage
from klucznik.services.resume import resume
from klucznik.services.status import all_issuances, one_issuance
from klucznik.storage import certificates, leases, logins
from ksef_sandbox import Sandbox


async def ordered(klucznik: Installation, nip: str, ksef: Sandbox) -> Issuance:
    found = await order(klucznik, context_of(nip), company(nip, ksef))
    assert isinstance(found, Issuance)
    return found


async def held_by(klucznik: Installation, subject: Subject) -> list[HeldCertificate]:
    return await klucznik.database.read(
        lambda connection: certificates.of_subject(connection, klucznik.environment, subject)
    )


async def assert_pair_in_vault(klucznik: Installation, subject: Subject) -> None:
    found = await held_by(klucznik, subject)
    assert sorted(held.type.value for held in found) == ["Authentication", "Offline"]
    for held in found:
        assert held.verified_at is not None
        await assert_key_kept(klucznik, held.der, held.key_id)


async def work(klucznik: Installation, issuance: Issuance, most: int = 60) -> Issuance:
    """What an engine does, with the clock moved on to each moment of waking."""
    for _ in range(most):
        try:
            issuance = await advance(klucznik, issuance.id)
        except KlucznikError:
            issuance = await load(klucznik, issuance.id)
        if issuance.state.ended or issuance.wait is None or issuance.wait.until is None:
            return issuance
        await klucznik.clock.sleep(max(0.0, (issuance.wait.until - klucznik.clock.now()).total_seconds()))
    raise AssertionError(f"still {issuance}")


async def test_an_order_is_carried_out_by_another_process_with_the_login_it_was_ordered_with(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as here:
        issuance = await ordered(here, nip, ksef)
        assert (issuance.state, filed(ksef, issuance.subject)) == (IssuanceState.PLANNED, [])
    signed_in_before = len(ksef.requests(method="POST", path="/auth/xades-signature"))
    async with installed(tmp_path, ksef) as there:
        ended = await work(there, issuance)
        assert ended.state is IssuanceState.DONE
        await assert_pair_in_vault(there, issuance.subject)
    # Only the proof of the new certificate signs in; the road itself goes on with the tokens from the vault.
    assert len(ksef.requests(method="POST", path="/auth/xades-signature")) == signed_in_before + 1
    assert len(accepted(ksef, issuance.subject)) == 2


async def test_a_login_does_not_outlive_its_issuance(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)

        async def kept() -> bool:
            now = klucznik.clock.now()
            return await klucznik.database.read(
                lambda connection: logins.load(connection, issuance.id, now=now) is not None
            )

        assert await kept()
        await work(klucznik, issuance)
        assert not await kept()
    assert len(ksef.requests(method="DELETE", path="/auth/sessions/current")) == 1


@pytest.mark.parametrize("where", [FILING, STATUS, LIMITS], ids=["filing", "polling", "limits"])
async def test_a_pause_that_ksef_asks_for_is_kept_in_the_row(where: str, ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef, transport=Network(Mishap(where, paced(3000)))) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        with pytest.raises(RateLimited) as caught:
            await advance(klucznik, issuance.id)
        waiting = await load(klucznik, issuance.id)
        assert waiting.wait is not None
        assert (waiting.wait.kind, waiting.wait.until) == (WaitKind.PACED, caught.value.until)
        before = len(ksef.requests())
        ksef.advance(seconds=2900)
        assert await advance(klucznik, issuance.id) == waiting
        assert len(ksef.requests()) == before
        ksef.advance(seconds=100)
        assert (await work(klucznik, issuance)).state is IssuanceState.DONE


async def test_a_waiting_issuance_holds_no_lease(ksef: Sandbox, tmp_path: Path) -> None:
    ksef.set(enroll_delay_ms=3_600_000)
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        waiting = await advance(klucznik, issuance.id)
        assert waiting.wait is not None
        assert waiting.wait.kind is WaitKind.PROCESSING

        def take(connection: Connection) -> leases.Lease:
            now = klucznik.clock.now()
            lasts = timedelta(seconds=1)
            return leases.take(connection, klucznik.environment, issuance.subject, owner="me", now=now, lasts=lasts)

        assert await klucznik.database.write(take)


async def test_an_access_token_that_has_run_out_over_a_wait_is_renewed(ksef: Sandbox, tmp_path: Path) -> None:
    ksef.set(enroll_delay_ms=2 * 3_600_000)
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        assert (await work(klucznik, issuance, most=200)).state is IssuanceState.DONE
    assert len(ksef.requests(method="POST", path="/auth/token/refresh")) > 1
    assert len(accepted(ksef, issuance.subject)) == 2


async def test_when_the_login_is_over_before_anything_was_issued_a_person_must_sign(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, nip, ksef)
        ksef.advance(days=8)  # the refresh token lives for seven
        with pytest.raises(SignatureNeeded):
            await advance(klucznik, issuance.id)
        waiting = await load(klucznik, issuance.id)
        assert waiting.wait is not None
        assert (waiting.wait.kind, waiting.wait.until) == (WaitKind.NEEDS_SIGNATURE, None)
        assert filed(ksef, issuance.subject) == []
        with pytest.raises(InputError) as caught:
            await resume(klucznik, issuance.id, owner(nip, ksef))
        assert caught.value.reason == "credential_of_other_subject"
        outcome = await resume(klucznik, issuance.id, company(nip, ksef))
        assert isinstance(outcome, Issued)
    assert len(accepted(ksef, issuance.subject)) == 2


async def test_rule_5_the_new_authentication_certificate_finishes_the_offline_one_when_the_login_is_over(
    ksef: Sandbox, tmp_path: Path
) -> None:
    """The Offline request was lost on the way; by the time that is certain, the user's login is long over."""
    network = Network(Mishap(FILING, error_before, on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        await advance(klucznik, issuance.id)
        ksef.advance(days=8)
        ended = await work(klucznik, issuance)
        # Nobody but the vault's new certificate could sign in for the second half; before it was retrieved, nobody.
        if ended.wait is not None:
            assert ended.wait.kind is WaitKind.NEEDS_SIGNATURE
            await resume(klucznik, issuance.id, company(issuance.context.value, ksef))
        await assert_pair_in_vault(klucznik, issuance.subject)
    assert len(accepted(ksef, issuance.subject)) == 2


async def test_a_half_that_is_in_the_vault_signs_in_for_the_other(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    subject = company(nip, ksef).holder.signs_in_as
    async with installed(tmp_path, ksef) as klucznik:
        set_limits(ksef, subject, enrollment=3)
        outcome = await issue(klucznik, context_of(nip), company(nip, ksef))
        assert isinstance(outcome, Issued)
        offline = next(held for held in outcome.certificates if held.type is PAIR[1])
        now = klucznik.clock.now()
        await klucznik.database.write(
            lambda connection: certificates.mark_revoked(
                connection, klucznik.environment, offline.serial_number, now=now
            )
        )
        found = await order(klucznik, context_of(nip), None)
        assert isinstance(found, Issuance)
        assert found.missing == (PAIR[1],)
        ksef.advance(days=8)
        assert (await work(klucznik, found)).state is IssuanceState.DONE
    assert len(accepted(ksef, subject)) == 3


async def test_waiting_for_limits_goes_on_when_they_renew(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as
    async with installed(tmp_path, ksef) as klucznik:
        await issue(klucznik, context_of(nip), credential)
        set_limits(ksef, subject, enrollment=2)
        outcome = await issue(klucznik, context_of(nip), credential, another_pair=True, wait_for_limits=True)
        assert isinstance(outcome, WaitingForLimits)
        waiting = outcome.issuance
        assert waiting.wait is not None
        assert waiting.wait.kind is WaitKind.LIMITS
        assert len(filed(ksef, subject)) == 2
        ended = await work(klucznik, waiting)
        assert ended.state is IssuanceState.DONE
        assert ended.limits_before is not None
    assert len(accepted(ksef, subject)) == 4


async def test_waiting_for_limits_ends_after_sixty_days(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    subject = credential.holder.signs_in_as
    async with installed(tmp_path, ksef) as klucznik:
        await issue(klucznik, context_of(nip), credential)  # the vault can sign in for the whole time
        set_limits(ksef, subject, enrollment=0)
        began = klucznik.clock.now()
        outcome = await issue(klucznik, context_of(nip), credential, another_pair=True, wait_for_limits=True)
        assert isinstance(outcome, WaitingForLimits)
        ended = await work(klucznik, outcome.issuance, most=200)
        assert ended.state is IssuanceState.REFUSED
        assert klucznik.clock.now() - began >= LONGEST_WAIT_FOR_LIMITS
    assert len(filed(ksef, subject)) == 2


async def test_ksef_that_does_not_answer_is_asked_ever_more_seldom(ksef: Sandbox, tmp_path: Path) -> None:
    mishaps = [Mishap(LIMITS, error_before, on=nth) for nth in range(1, 13)]
    async with installed(tmp_path, ksef, transport=Network(*mishaps)) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        pauses: list[timedelta] = []
        while not pauses or len(pauses) < 4:
            with pytest.raises(KlucznikError):
                await advance(klucznik, issuance.id)
            wait = (await load(klucznik, issuance.id)).wait
            assert wait is not None
            assert wait.until is not None
            assert wait.kind is WaitKind.KSEF_UNAVAILABLE
            pauses.append(wait.until - klucznik.clock.now())
            ksef.advance(seconds=pauses[-1].total_seconds())
        assert all(later > earlier * 1.5 for earlier, later in pairwise(pauses))
        assert (await work(klucznik, issuance)).state is IssuanceState.DONE


# ── calling it off ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_calling_off_before_anything_was_filed_spends_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        done = await cancel(klucznik, issuance.id)
        assert (done.issuance.state, done.spent, done.saved) == (IssuanceState.CANCELLED, 0, 2)
        assert (await advance(klucznik, issuance.id)).state is IssuanceState.CANCELLED
        with pytest.raises(InputError) as caught:
            await cancel(klucznik, issuance.id)
        assert caught.value.reason == "issuance_ended"
    assert filed(ksef, issuance.subject) == []


async def test_calling_off_half_way_files_nothing_more_and_keeps_what_was_filed(ksef: Sandbox, tmp_path: Path) -> None:
    network = Network(Mishap(FILING, paced(60), on=2))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        waiting = await advance(klucznik, issuance.id)
        assert waiting.wait is not None
        done = await cancel(klucznik, issuance.id)
        assert (done.issuance.state, done.spent, done.saved) == (IssuanceState.UNDERWAY, 1, 1)
        assert (await work(klucznik, issuance)).state is IssuanceState.CANCELLED
        (held,) = await held_by(klucznik, issuance.subject)
        assert held.verified_at is not None
    assert len(filed(ksef, issuance.subject)) == 1


async def test_calling_off_in_doubt_counts_the_doubtful_request_as_spent_and_never_sends_it_again(
    ksef: Sandbox, tmp_path: Path
) -> None:
    network = Network(Mishap(FILING, error_before, on=1))
    async with installed(tmp_path, ksef, transport=network) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        await advance(klucznik, issuance.id)
        done = await cancel(klucznik, issuance.id)
        assert (done.spent, done.saved) == (1, 1)
        ended = await work(klucznik, issuance)
        assert ended.state is IssuanceState.CANCELLED
        status = await one_issuance(klucznik, issuance.id)
        assert [row.state for row in status.enrollments] == [EnrollmentState.UNSENT, EnrollmentState.UNSENT]
        assert status.spent == 0
    assert len(network.bodies(FILING)) == 1
    assert filed(ksef, issuance.subject) == []


async def test_a_request_that_ksef_refused_at_once_does_not_count_as_spent(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef, transport=Network(Mishap(FILING, refused(25006)))) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        assert (await work(klucznik, issuance)).state is IssuanceState.REJECTED
        assert (await one_issuance(klucznik, issuance.id)).spent == 0
    assert filed(ksef, issuance.subject) == []


# ── seeing it ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_list_of_issuances_is_paged_newest_first(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        all_of_them = []
        for _ in range(5):
            all_of_them.append((await ordered(klucznik, some_nip(), ksef)).id)
            ksef.advance(seconds=1)
        await cancel(klucznik, all_of_them[2])
        seen: list[str] = []
        last: Issuance | None = None
        while page := await all_issuances(klucznik, before=last, size=2):
            seen += [status.issuance.id for status in page]
            last = page[-1].issuance
        assert seen == all_of_them[::-1]
        running = await all_issuances(klucznik, running_only=True)
        assert {status.issuance.id for status in running} == set(all_of_them) - {all_of_them[2]}


@pytest.mark.parametrize("asked", ["", "12345", "zzzzzz", "'; drop", "0" * 32])
async def test_an_issuance_that_is_not_there_is_told(asked: str, ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(InputError) as caught:
            await one_issuance(klucznik, asked)
        assert caught.value.reason == "issuance_unknown"


async def test_the_beginning_of_an_id_names_an_issuance_where_it_names_only_one(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        assert (await one_issuance(klucznik, issuance.id[:6].upper())).issuance == issuance


# ── the embedded engine ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_engine_carries_out_every_order_and_each_once(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        issuances = [await ordered(klucznik, some_nip(), ksef) for _ in range(6)]
        heard: list[Progress] = []
        await Engine(klucznik, at_once=3, listener=heard.append).run_until_idle()
        for issuance in issuances:
            assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE
            assert len(filed(ksef, issuance.subject)) == 2
        assert [progress.stage for progress in heard].count(Stage.REQUEST_FILED) == 12


async def test_two_engines_on_one_database_do_not_meet(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as one, installed(tmp_path, ksef) as other:
        issuances = [await ordered(one, some_nip(), ksef) for _ in range(6)]
        await asyncio.gather(Engine(one).run_until_idle(), Engine(other).run_until_idle())
        for issuance in issuances:
            assert (await load(one, issuance.id)).state is IssuanceState.DONE
            assert len(filed(ksef, issuance.subject)) == 2


async def test_an_engine_that_is_stopped_ends_its_step_and_leaves_the_rest(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, some_nip(), ksef)
        engine = Engine(klucznik)

        def stop_after_the_first_request(progress: Progress) -> None:
            if progress.stage is Stage.REQUEST_FILED:
                engine.stop()

        engine.listener = stop_after_the_first_request
        await asyncio.wait_for(engine.run(), 20)
        stopped = await load(klucznik, issuance.id)
        assert (stopped.state, stopped.wait) == (IssuanceState.UNDERWAY, None)
        assert len(filed(ksef, issuance.subject)) == 1
        await Engine(klucznik).run_until_idle()
        assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE
    assert len(accepted(ksef, issuance.subject)) == 2


async def test_an_unforeseen_error_does_not_end_the_engine_and_is_not_met_every_second(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        broken, sound = await ordered(klucznik, some_nip(), ksef), await ordered(klucznik, some_nip(), ksef)

        def surprise(progress: Progress) -> None:
            if progress.limits is not None and not surprised:
                surprised.append(progress)
                raise ValueError("a text with a secret in it")

        surprised: list[Progress] = []
        engine = Engine(klucznik, at_once=1, listener=surprise)
        await engine.run_until_idle()
        states = [(await load(klucznik, one.id)).state for one in (broken, sound)]
        assert sorted(states) == [IssuanceState.DONE, IssuanceState.PLANNED]
        assert "secret" not in caplog.text
        ksef.advance(minutes=2)
        await engine.run_until_idle()
        assert (await load(klucznik, broken.id)).state is IssuanceState.DONE

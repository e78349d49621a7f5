"""KSeF takes its time for a grant or a revocation: whoever said yes is answered, and the row tells how it ends.

That nothing is granted twice after a lost answer is tried in `test_grant`; a slow signature in `test_slow_signature`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection as Transaction
from tests.klucznik.mishaps import Mishap, Network, Send, changed
from tests.klucznik.offices import OPERATION, connection_of, grants_sent, office, signed_in_as, told
from tests.klucznik.onboardings import STAFF, begun, signed
from tests.klucznik.world import (
    HeldClock,
    checked,
    context_of,
    filed,
    installed,
    nobody_waits,
    owner,
    set_limits,
    slow_to_check,
    some_nip,
)

from klucznik.domain.connections import Health, Method
from klucznik.domain.onboarding import Act, Onboarding, OnboardingState, Setback, UnderWay, act_begun
from klucznik.domain.road_steps import Standing
from klucznik.errors import InputError, SignatureNeeded, StorageError
from klucznik.keys.credential import Credential
from klucznik.services import onboarding as onboardings
from klucznik.services.checks import check_once
from klucznik.services.installation import Installation
from klucznik.services.issue import issue
from klucznik.services.onboarding import rows
from ksef_sandbox import Sandbox

S = OnboardingState
A_MINUTE_MS = 60_000


async def ready_to_grant(home: Path, ksef: Sandbox, operator: str) -> tuple[Onboarding, Credential]:
    """Signed in, and only the yes is missing."""
    nip = some_nip()
    boss = owner(nip, ksef)
    async with office(home, ksef, operator) as klucznik:
        return await signed(klucznik, nip, boss, method=Method.PERMISSION), boss


@asynccontextmanager
async def granting(
    home: Path, ksef: Sandbox, asked: Onboarding, operator: str, *mishaps: Mishap
) -> AsyncIterator[tuple[Installation, HeldClock]]:
    """Somebody has said yes, and KSeF works on it for a minute."""
    ksef.set(perm_delay_ms=A_MINUTE_MS)
    async with nobody_waits(home, ksef, Network(*mishaps)) as (klucznik, clock):
        there = await onboardings.grant(klucznik, asked.id, STAFF, operator_nip=operator)
        assert isinstance(there, Onboarding)
        await clock.somebody_waits.wait()
        yield klucznik, clock
    ksef.set(perm_delay_ms=0)


async def test_a_grant_goes_on_and_the_row_tells_how_far_it_is_and_that_it_is_done(
    ksef: Sandbox, tmp_path: Path
) -> None:
    operator = some_nip()
    asked, boss = await ready_to_grant(tmp_path, ksef, operator)
    nip = asked.context.value
    async with granting(tmp_path, ksef, asked, operator) as (klucznik, clock), installed(tmp_path, ksef) as another:
        found = await onboardings.progress(another, asked.id, STAFF)
        assert found.onboarding.state is S.CONNECT
        assert found.onboarding.under_way is not None
        assert (found.onboarding.under_way.act, found.onboarding.under_way.operator_nip) == (Act.GRANT, operator)
        assert [step.standing for step in found.steps] == [Standing.DONE, Standing.NOW, Standing.AHEAD]
        # Neither here nor elsewhere is anything else begun: no second grant, no pair, no way back.
        for process in (klucznik, another):
            for other in (
                onboardings.grant(process, asked.id, STAFF, operator_nip=operator),
                onboardings.proposed_grant(process, asked.id, STAFF),
                onboardings.connect_permission(process, asked.id, STAFF),
                onboardings.choose_method(process, asked.id, STAFF, Method.CERTIFICATES),
                onboardings.go_back(process, asked.id, STAFF, S.SIGN),
                onboardings.give_up(process, asked.id, STAFF),
            ):
                with pytest.raises(InputError, match="onboarding_act_under_way"):
                    await other
        await check_once(another)  # a worker leaves alone what somebody is at
        assert (await onboardings.find(another, asked.id, STAFF)).under_way is not None
        await checked(klucznik, clock)
        done = await onboardings.find(another, asked.id, STAFF)
        assert (done.state, done.method, done.under_way, done.setback) == (S.DONE, Method.PERMISSION, None, None)
        connection = await connection_of(another, nip)
        assert connection is not None
        assert connection.health is Health.HEALTHY
        async with signed_in_as(another, nip, boss) as signed_in:
            assert [one.is_current for one in await signed_in.session.sessions()] == [True]
    assert grants_sent(ksef) == 1


async def test_the_end_of_the_process_breaks_a_grant_off_and_the_next_yes_grants_nothing_twice(
    ksef: Sandbox, tmp_path: Path
) -> None:
    operator = some_nip()
    asked, _ = await ready_to_grant(tmp_path, ksef, operator)
    async with granting(tmp_path, ksef, asked, operator):
        pass
    async with installed(tmp_path, ksef) as klucznik:
        back = await onboardings.find(klucznik, asked.id, STAFF)
        assert (back.state, back.under_way, back.setback) == (S.CONNECT, None, Setback.GRANT_UNFINISHED)
        ksef.advance(minutes=2)
        outcome = await onboardings.grant(klucznik, asked.id, STAFF, operator_nip=operator)
        assert isinstance(outcome, tuple)
        assert (outcome[0].state, outcome[0].setback, outcome[1].permissions) == (S.DONE, None, ())
    assert grants_sent(ksef) == 1


async def test_a_worker_finishes_what_a_killed_process_had_sent_and_sends_nothing_itself(
    ksef: Sandbox, tmp_path: Path
) -> None:
    operator = some_nip()
    asked, _ = await ready_to_grant(tmp_path, ksef, operator)
    unsent, _ = await ready_to_grant(tmp_path, ksef, operator)
    async with granting(tmp_path, ksef, asked, operator), installed(tmp_path, ksef) as worker:
        # Another one was killed between the yes and the first request.
        begun_at = worker.clock.now()
        await rows.saved(worker, act_begun(unsent, UnderWay(Act.GRANT, begun_at, operator)))
        ksef.advance(minutes=10, seconds=1)
        for one in (asked, unsent):
            left = await onboardings.find(worker, one.id, STAFF)
            assert (left.under_way, left.setback) == (None, Setback.GRANT_UNFINISHED)
        await check_once(worker)
        assert (await onboardings.find(worker, asked.id, STAFF)).state is S.DONE
        connection = await connection_of(worker, asked.context.value)
        assert connection is not None
        assert connection.health is Health.HEALTHY
        back = await onboardings.find(worker, unsent.id, STAFF)
        assert (back.state, back.under_way, back.setback) == (S.CONNECT, None, Setback.GRANT_UNFINISHED)
        assert await connection_of(worker, unsent.context.value) is None
    assert grants_sent(ksef) == 1
    async with installed(tmp_path, ksef) as klucznik:  # the one that was thought dead changes nothing any more
        assert (await onboardings.find(klucznik, asked.id, STAFF)).state is S.DONE


async def test_a_worker_lets_nobody_in_but_whom_the_yes_was_for(ksef: Sandbox, tmp_path: Path) -> None:
    operator = some_nip()
    asked, _ = await ready_to_grant(tmp_path, ksef, operator)
    async with installed(tmp_path, ksef) as worker:
        yes = UnderWay(Act.GRANT, worker.clock.now(), some_nip())
        await rows.saved(worker, act_begun(asked, yes))
        ksef.advance(minutes=11)
        await check_once(worker)
        back = await onboardings.find(worker, asked.id, STAFF)
        assert (back.state, back.setback) == (S.CONNECT, Setback.GRANT_UNFINISHED)
        assert await connection_of(worker, asked.context.value) is None


async def test_a_refusal_that_comes_late_is_told_with_its_code(ksef: Sandbox, tmp_path: Path) -> None:
    operator = some_nip()
    asked, _ = await ready_to_grant(tmp_path, ksef, operator)

    def no(body: dict[str, object]) -> None:
        body["status"] = {"code": 430, "description": "Nie", "details": None}

    async with granting(tmp_path, ksef, asked, operator, Mishap(OPERATION, changed(no), on=2)) as (klucznik, clock):
        # What had been asked for is there by then, if KSeF says no or not; here it stays away.
        ksef.set(perm_delay_ms=60 * A_MINUTE_MS)
        await checked(klucznik, clock)
        back = await onboardings.find(klucznik, asked.id, STAFF)
        assert (back.state, back.under_way) == (S.CONNECT, None)
        assert (back.setback, back.refused_code) == (Setback.GRANT_REFUSED, 430)


async def test_a_revocation_goes_on_too_and_the_limits_are_told_anew(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    boss = owner(nip, ksef)
    async with installed(tmp_path / "elsewhere", ksef) as elsewhere:
        await issue(elsewhere, context_of(nip), boss)
    set_limits(ksef, boss.holder.signs_in_as, enrollment=8, certificate=3)
    here, asked, goes_on = tmp_path / "here", asyncio.Event(), asyncio.Event()

    async def take_your_time(request: httpx.Request, send: Send) -> httpx.Response:
        asked.set()
        await goes_on.wait()
        return await send(request)

    slow = Network(Mishap("POST /v2/certificates/.*/revoke", take_your_time))
    async with nobody_waits(here, ksef, slow) as (klucznik, clock), installed(here, ksef) as another:
        ready = await signed(another, nip, boss)
        refusal = (await onboardings.look(another, ready.id, STAFF)).onboarding.refusal
        assert refusal is not None
        serial = next(one.serial_numbers[0] for one in refusal.remedies if one.serial_numbers)
        there = await onboardings.revoke(klucznik, ready.id, STAFF, [serial])
        assert isinstance(there, Onboarding)
        assert there.under_way is not None
        await asked.wait()
        with pytest.raises(InputError, match="onboarding_act_under_way"):
            await onboardings.wait_for_limits(another, ready.id, STAFF)
        with pytest.raises(InputError, match="onboarding_act_under_way"):
            await onboardings.revoke(another, ready.id, STAFF, [serial])
        goes_on.set()
        await checked(klucznik, clock)
        done = await onboardings.find(another, ready.id, STAFF)
        assert (done.state, done.under_way, done.setback, done.refusal) == (S.LIMITS, None, None, None)
        # Killed in the middle: the worker revokes nothing, and whoever looks sees how far it got.
        await rows.saved(another, act_begun(done, UnderWay(Act.REVOKE, another.clock.now())))
        ksef.advance(minutes=11)
        await check_once(another)
        left = await onboardings.find(another, ready.id, STAFF)
        assert (left.under_way, left.setback) == (None, Setback.REVOCATION_UNFINISHED)
        again = (await onboardings.look(another, ready.id, STAFF, anew=True)).onboarding
        assert (again.state, again.setback) == (S.LIMITS, None)
        assert len(ksef.requests(method="POST", path=f"/certificates/{serial}/revoke")) == 1


async def test_a_key_signs_in_while_nobody_waits_and_a_second_one_is_not_taken_meanwhile(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    boss = owner(nip, ksef)
    proved: list[str] = []

    def with_login(_: Transaction) -> None:
        proved.append(nip)

    async with slow_to_check(tmp_path, ksef) as (klucznik, clock):
        ksef.set(auth_delay_ms=A_MINUTE_MS)
        asked = await begun(klucznik, nip)
        there = await onboardings.sign_in_with_key(klucznik, asked.id, STAFF, boss, with_login=with_login)
        assert there.checking_since is not None
        await clock.somebody_waits.wait()
        with pytest.raises(InputError, match="signature_being_checked"):
            await onboardings.sign_in_with_key(klucznik, asked.id, STAFF, boss)
        assert proved == []
        await checked(klucznik, clock)
        done = await onboardings.find(klucznik, asked.id, STAFF)
        assert (done.state, done.subject, done.checking_since) == (S.LIMITS, boss.holder.signs_in_as, None)
        assert proved == [nip]


async def test_what_belongs_to_a_login_is_written_with_it_or_there_is_no_login(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()

    def full(_: Transaction) -> None:
        raise StorageError("state_moved_on")

    async with installed(tmp_path, ksef) as klucznik:
        asked = await begun(klucznik, nip)
        with pytest.raises(StorageError):
            await onboardings.sign_in_with_key(klucznik, asked.id, STAFF, owner(nip, ksef), with_login=full)
        left = await onboardings.find(klucznik, asked.id, STAFF)
        assert (left.state, left.subject, left.setback) == (S.SIGN, None, Setback.SIGN_IN_UNFINISHED)


async def test_a_login_that_nobody_uses_for_a_day_is_ended_and_who_returns_is_asked_to_sign(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, busy = some_nip(), some_nip()
    boss, other = owner(nip, ksef), owner(busy, ksef)
    set_limits(ksef, boss.holder.signs_in_as, enrollment=1)
    async with installed(tmp_path, ksef) as klucznik:
        left = await signed(klucznik, nip, boss)
        refused = (await onboardings.look(klucznik, left.id, STAFF)).onboarding
        used = await signed(klucznik, busy, other)
        ksef.advance(hours=23)
        await onboardings.look(klucznik, used.id, STAFF, anew=True)
        await check_once(klucznik)
        assert ksef.requests(method="DELETE", path="/auth/sessions/current") == []
        ksef.advance(hours=1, seconds=1)
        await check_once(klucznik)
        await check_once(klucznik)
        # What the refusal says stays there to be read; only what needs KSeF asks for a signature.
        assert await onboardings.find(klucznik, left.id, STAFF) == refused
        assert (await told(klucznik, boss.holder.signs_in_as)).count("onboarding_left") == 1
        async with signed_in_as(klucznik, nip, boss) as signed_in:
            assert [one.is_current for one in await signed_in.session.sessions()] == [True]
        with pytest.raises(SignatureNeeded, match="onboarding_login_over"):
            await onboardings.look(klucznik, left.id, STAFF, anew=True)
        back = await onboardings.find(klucznik, left.id, STAFF)
        assert (back.state, back.setback) == (S.SIGN, Setback.LOGIN_OVER)
        await onboardings.sign_in_with_key(klucznik, left.id, STAFF, boss)
        assert (await onboardings.look(klucznik, left.id, STAFF)).onboarding.state is S.REFUSED
        # Whoever was here an hour ago goes on without one.
        assert (await onboardings.look(klucznik, used.id, STAFF, anew=True)).onboarding.state is S.LIMITS
    assert filed(ksef, boss.holder.signs_in_as) == []

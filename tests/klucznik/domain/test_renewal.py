"""When certificates are due, for any life, subject and moment; and how hooks are tried again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klucznik.domain.certificates import CertificateType, HeldCertificate, Origin
from klucznik.domain.deployment import ATTEMPTS, Deployment, DeploymentState
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.renewal import EARLIEST, FORGOTTEN_AFTER, due_at, lead, next_attempt, renewal_plan

START = datetime(2026, 11, 24, tzinfo=UTC)
TWO_YEARS = timedelta(days=730)
DAY = timedelta(days=1)
AUTHENTICATION, OFFLINE = CertificateType.AUTHENTICATION, CertificateType.OFFLINE


def certificate(
    kind: CertificateType = AUTHENTICATION,
    *,
    nip: str = "5265877635",
    start: datetime = START,
    life: timedelta = TWO_YEARS,
) -> HeldCertificate:
    return HeldCertificate(
        environment=Environment.SANDBOX,
        serial_number=f"01{abs(hash((kind, start, life))) % 10**14:014d}",
        subject=Subject(SubjectType.NIP, nip),
        type=kind,
        name="name",
        common_name="name",
        valid_from=start,
        valid_to=start + life,
        der=b"",
        key_id="key",
        origin=Origin.ISSUED,
        verified_at=start,
    )


nips = st.integers(min_value=10**6, max_value=9_999_999).map(lambda number: f"521{number:07d}")
lives = st.timedeltas(min_value=timedelta(hours=1), max_value=timedelta(days=4000))


@pytest.mark.parametrize(("days", "left"), [(730, 60), (180, 60), (90, 30), (30, 10), (3, 1)])
def test_a_third_of_the_life_or_sixty_days_whichever_is_less(days: int, left: int) -> None:
    assert lead(certificate(life=timedelta(days=days))) == timedelta(days=left)


@given(nips, lives)
def test_every_certificate_is_due_between_its_beginning_and_its_lead_and_at_the_same_moment_each_time(
    nip: str, life: timedelta
) -> None:
    one = certificate(nip=nip, life=life)
    assert one.valid_from < due_at(one) <= one.valid_to - lead(one)
    assert due_at(one) >= one.valid_to - lead(one) * 13 / 12 - timedelta(microseconds=2)
    assert due_at(one) >= one.valid_to - EARLIEST
    assert due_at(one) == due_at(replace(one, serial_number="01" * 8))


def test_five_thousand_companies_that_began_on_one_day_are_spread_over_five_days() -> None:
    due = [due_at(certificate(nip=f"521{number:07d}")) for number in range(5000)]
    days = [sum(START + TWO_YEARS - 65 * DAY + day * DAY <= one < START + TWO_YEARS - (64 - day) * DAY for one in due)
            for day in range(5)]  # fmt: skip
    assert sum(days) == 5000
    assert all(800 < number < 1200 for number in days)


def planned(*held: HeldCertificate, now: datetime, early: bool = False) -> tuple[CertificateType, ...]:
    plan = renewal_plan(held, now, early=early)
    assert plan is not None
    return plan.due


def test_both_halves_of_a_pair_go_together_and_nothing_before_its_time() -> None:
    pair = certificate(AUTHENTICATION), certificate(OFFLINE, start=START + 10 * DAY)
    due = due_at(pair[0])
    assert planned(*pair, now=due - DAY) == ()
    assert planned(*pair, now=due) == (AUTHENTICATION, OFFLINE)
    plan = renewal_plan(pair, due)
    assert plan is not None
    assert plan.replaces == tuple(one.serial_number for one in pair)
    assert (plan.due_at, plan.signs_in_until) == (due, pair[0].valid_to)


@pytest.mark.parametrize(("first", "second"), [(AUTHENTICATION, OFFLINE), (OFFLINE, AUTHENTICATION)])
def test_a_half_is_not_renewed_because_its_twin_is(first: CertificateType, second: CertificateType) -> None:
    older, younger = certificate(first), certificate(second, start=START + 100 * DAY)
    assert planned(older, younger, now=due_at(older) + DAY) == (first,)


def test_what_has_been_renewed_is_not_renewed_again() -> None:
    old = certificate(AUTHENTICATION), certificate(OFFLINE)
    new = tuple(replace(certificate(one.type, start=due_at(one)), verified_at=due_at(one)) for one in old)
    assert planned(*old, *new, now=due_at(old[0]) + DAY) == ()
    unproved = tuple(replace(one, verified_at=None) for one in new)
    assert planned(*old, *unproved, now=due_at(old[0]) + DAY) == (AUTHENTICATION, OFFLINE)


def test_what_was_revoked_is_not_renewed() -> None:
    pair = certificate(AUTHENTICATION), replace(certificate(OFFLINE), revoked_at=START)
    assert planned(*pair, now=due_at(pair[0])) == (AUTHENTICATION,)
    assert renewal_plan([replace(one, revoked_at=START) for one in pair], due_at(pair[0])) is None


def test_all_that_is_in_service_is_renewed_early_where_that_is_asked_for() -> None:
    pair = certificate(AUTHENTICATION), certificate(OFFLINE)
    assert planned(*pair, now=START + DAY, early=True) == (AUTHENTICATION, OFFLINE)


def test_what_has_expired_needs_a_signature_and_is_forgotten_in_the_end() -> None:
    one = certificate()
    plan = renewal_plan([one], one.valid_to + DAY)
    assert plan is not None
    assert (plan.due, plan.signs_in_until) == ((AUTHENTICATION,), None)
    assert renewal_plan([one], one.valid_to + FORGOTTEN_AFTER) is None


def test_rejected_renewals_are_tried_at_growing_distances() -> None:
    assert [(next_attempt(number, START) - START).days for number in (1, 2, 3, 4, 5, 6, 5000)] == [
        1,
        2,
        4,
        8,
        14,
        14,
        14,
    ]


def test_a_hook_that_fails_is_tried_again_for_days_and_then_only_when_told_to() -> None:
    hook, now, runs = Deployment("id", "hook"), START, [START]
    assert hook.may_run(now, told_to=False)
    while True:
        hook = replace(hook, state=DeploymentState.FAILED, attempts=hook.attempts + 1, started_at=now)
        at = hook.next_run()
        if at is None:
            break
        assert not hook.may_run(at - timedelta(seconds=1), told_to=False)
        assert hook.may_run(at, told_to=False)
        now = at
        runs.append(now)
    assert len(runs) == ATTEMPTS
    assert 3 * DAY < runs[-1] - runs[0] < 5 * DAY
    assert hook.given_up
    assert not hook.may_run(now + 100 * DAY, told_to=False)
    assert hook.may_run(now, told_to=True)


@pytest.mark.parametrize("state", DeploymentState)
def test_what_is_settled_never_runs_again_and_what_was_cut_off_does(state: DeploymentState) -> None:
    hook = Deployment("id", "hook", state, attempts=1, started_at=START)
    assert hook.may_run(START + DAY, told_to=False) is hook.may_run(START, told_to=True) is not state.settled

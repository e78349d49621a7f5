"""The road of an issuance as a whole: every combination of states that can be reached at all, not a sample of them.

Whatever KSeF and the network do at each step, what `next_step` says next keeps the promises, and the road ends.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klucznik.domain.certificates import PAIR
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import (
    Enrollment,
    EnrollmentState,
    Issuance,
    IssuanceState,
    NextStep,
    Step,
    may_follow,
    next_step,
)
from klucznik.domain.keytype import KeyType

E = EnrollmentState
States = tuple[EnrollmentState, ...]
Situation = tuple[IssuanceState, States]

# What may become of the enrollments of a step; staying as it is (a crash, no answer) is always possible.
BECOMES: dict[Step, dict[EnrollmentState, tuple[EnrollmentState, ...]]] = {
    Step.SEND: {E.KEY_COMMITTED: (E.SENDING, E.UNSENT)},
    Step.RECONCILE: {
        E.SENDING: (E.REQUESTED, E.REJECTED, E.UNKNOWN, E.KEY_COMMITTED),
        E.UNKNOWN: (E.ISSUED, E.KEY_COMMITTED, E.REJECTED),
    },
    Step.POLL: {E.REQUESTED: (E.ISSUED, E.REJECTED, E.UNKNOWN)},
    Step.RETRIEVE: {E.ISSUED: (E.RETRIEVED, E.REJECTED)},
    Step.VERIFY: {E.RETRIEVED: (E.VERIFIED, E.REJECTED)},
}
ENDS = (IssuanceState.DONE, IssuanceState.REFUSED, IssuanceState.REJECTED)
DOUBT = {E.SENDING, E.UNKNOWN}


def step_in(situation: Situation) -> NextStep:
    return next_step(*rows(situation))


def rows(situation: Situation) -> tuple[Issuance, list[Enrollment]]:
    state, states = situation
    issuance = Issuance(
        id="i",
        environment=Environment.TEST,
        context=Context.of_nip("5265877635"),
        subject=Subject(SubjectType.NIP, "5265877635"),
        key_type=KeyType.EC,
        state=state,
        missing=PAIR[: len(states)],
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    blank = Enrollment("", "i", PAIR[0], "name", "key", b"", E.KEY_COMMITTED)
    enrollments = [replace(blank, id=str(index), type=PAIR[index], state=each) for index, each in enumerate(states)]
    return issuance, enrollments


def following(situation: Situation) -> Iterator[Situation]:
    """Every situation that one step, however it goes, can lead to."""
    state, states = situation
    todo = step_in(situation)
    if todo.step is Step.PREFLIGHT:
        yield IssuanceState.REFUSED, states
        yield IssuanceState.UNDERWAY, states
        return
    if todo.step is Step.FINISH:
        for end in ENDS:
            yield end, tuple(E.UNSENT if each is E.KEY_COMMITTED else each for each in states)
        return
    indexes = {int(enrollment.id) for enrollment in todo.enrollments}
    choices = [(each, *BECOMES[todo.step][each]) if index in indexes else (each,) for index, each in enumerate(states)]
    for chosen in product(*choices):
        if chosen != states:
            yield state, chosen


@cache
def reachable(enrollments: int) -> frozenset[Situation]:
    """All there is, from the plan of so many enrollments."""
    found: set[Situation] = set()
    waiting: list[Situation] = [(IssuanceState.PLANNED, (E.KEY_COMMITTED,) * enrollments)]
    while waiting:
        situation = waiting.pop()
        if situation not in found:
            found.add(situation)
            waiting += [] if situation[0].ended else following(situation)
    return frozenset(found)


def underway() -> list[Situation]:
    return [each for count in (1, 2) for each in reachable(count) if each[0] is IssuanceState.UNDERWAY]


def test_there_are_many_situations_and_all_are_looked_at() -> None:
    assert len(reachable(1)) > 10
    assert len(reachable(2)) > 50


def test_nothing_is_sent_after_a_rejection() -> None:
    for situation in underway():
        if E.REJECTED in situation[1]:
            assert step_in(situation).step is not Step.SEND, situation


def test_doubt_is_cleared_before_anything_is_sent() -> None:
    for situation in underway():
        if DOUBT & set(situation[1]):
            todo = step_in(situation)
            assert todo.step is Step.RECONCILE, situation
            assert {enrollment.state for enrollment in todo.enrollments} <= DOUBT


def test_one_request_is_sent_at_a_time_and_only_one_whose_key_is_committed() -> None:
    for situation in underway():
        todo = step_in(situation)
        if todo.step is Step.SEND:
            assert [enrollment.state for enrollment in todo.enrollments] == [E.KEY_COMMITTED]


def test_the_authentication_certificate_is_asked_for_first() -> None:
    """With it in hand the other half can be finished without the user."""
    (first,) = step_in((IssuanceState.UNDERWAY, (E.KEY_COMMITTED, E.KEY_COMMITTED))).enrollments
    assert first.type is PAIR[0]


def test_everything_filed_is_waited_for_before_one_call_retrieves_it_all() -> None:
    todo = step_in((IssuanceState.UNDERWAY, (E.ISSUED, E.REQUESTED)))
    assert todo.step is Step.POLL
    todo = step_in((IssuanceState.UNDERWAY, (E.ISSUED, E.ISSUED)))
    assert (todo.step, len(todo.enrollments)) == (Step.RETRIEVE, 2)


def test_every_step_leads_only_where_the_road_leads() -> None:
    for situation in underway():
        for _, states in following(situation):
            for before, after in zip(situation[1], states, strict=True):
                assert before is after or may_follow(before, after), (before, after)


def test_what_ksef_has_accepted_never_becomes_sendable_again() -> None:
    for before, after in product((E.REQUESTED, E.ISSUED, E.RETRIEVED, E.VERIFIED), (E.KEY_COMMITTED, E.SENDING)):
        assert not may_follow(before, after)


@pytest.mark.parametrize("last", [E.VERIFIED, E.REJECTED, E.UNSENT])
def test_nothing_follows_an_end(last: EnrollmentState) -> None:
    assert not any(may_follow(last, after) for after in E)


def test_from_every_situation_the_road_can_end() -> None:
    for count in (1, 2):
        can_end = {situation for situation in reachable(count) if situation[0].ended}
        grew = True
        while grew:
            more = {each for each in reachable(count) - can_end if any(after in can_end for after in following(each))}
            grew = bool(more)
            can_end |= more
        assert can_end == reachable(count)


def test_the_road_stands_still_only_at_its_end() -> None:
    for count in (1, 2):
        for situation in reachable(count):
            assert (step_in(situation).step is Step.NOTHING) == situation[0].ended


def test_the_road_ends_only_when_every_enrollment_has_ended() -> None:
    for situation in underway():
        if step_in(situation).step is Step.FINISH:
            assert set(situation[1]) <= {E.VERIFIED, E.REJECTED, E.UNSENT, E.KEY_COMMITTED}
            assert E.KEY_COMMITTED not in situation[1] or E.REJECTED in situation[1]


@given(st.randoms(use_true_random=False))
def test_a_walk_with_any_luck_ends_once_luck_turns(chance: random.Random) -> None:
    """Bad luck may last as long as it likes; after it, good answers alone lead to the end in a few steps."""
    situation: Situation = (IssuanceState.PLANNED, (E.KEY_COMMITTED, E.KEY_COMMITTED))
    for _ in range(chance.randint(0, 30)):
        if situation[0].ended:
            return
        situation = chance.choice(list(following(situation)))
    for _ in range(15):
        if situation[0].ended:
            return
        situation = max(following(situation), key=progress)
    assert situation[0].ended


def progress(situation: Situation) -> tuple[bool, int]:
    order = list(E)
    return situation[0].ended, sum(order.index(each) for each in situation[1])

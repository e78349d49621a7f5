"""Requests that KSeF drops and that are filed anew: every combination that can be reached, not a sample of them.

The road without such luck is `test_issuance`.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import product

import pytest

from klucznik.domain.certificates import PAIR
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import (
    FILED_ANEW,
    Enrollment,
    EnrollmentState,
    Failure,
    Issuance,
    IssuanceState,
    NextStep,
    Step,
    ending,
    next_step,
    unreplaced,
)
from klucznik.domain.keytype import KeyType

E = EnrollmentState
DROPPED = Failure(550, "Operacja została anulowana przez system")
REFUSED = Failure(25003, "Nie.")
Row = tuple[int, EnrollmentState, Failure | None]  # which of the pair, where it is, why it was rejected
Rows = tuple[Row, ...]

# What may become of a row in a step that works on it. That it stays as it is, is always possible.
BECOMES: dict[tuple[Step, EnrollmentState], tuple[tuple[EnrollmentState, Failure | None], ...]] = {
    (Step.SEND, E.KEY_COMMITTED): ((E.REQUESTED, None), (E.UNKNOWN, None), (E.REJECTED, REFUSED)),
    (Step.RECONCILE, E.UNKNOWN): ((E.ISSUED, None), (E.KEY_COMMITTED, None), (E.REJECTED, Failure(None, ""))),
    (Step.POLL, E.REQUESTED): ((E.ISSUED, None), (E.UNKNOWN, None), (E.REJECTED, DROPPED)),
    (Step.RETRIEVE, E.ISSUED): ((E.RETRIEVED, None), (E.REJECTED, Failure(None, "", reason="certificate_unreadable"))),
    (Step.VERIFY, E.RETRIEVED): ((E.VERIFIED, None), (E.REJECTED, Failure(460, "Nie."))),
}
ISSUANCE = Issuance(
    id="i",
    environment=Environment.TEST,
    context=Context.of_nip("5265877635"),
    subject=Subject(SubjectType.NIP, "5265877635"),
    key_type=KeyType.EC,
    state=IssuanceState.UNDERWAY,
    missing=PAIR,
    created_at=datetime(2026, 11, 23, tzinfo=UTC),
)


def enrollments(rows: Rows) -> list[Enrollment]:
    return [
        Enrollment(str(index), "i", PAIR[which], f"name {index}", f"key {index}", b"", state, failure=failure)
        for index, (which, state, failure) in enumerate(rows)
    ]


def step_in(rows: Rows) -> NextStep:
    return next_step(ISSUANCE, enrollments(rows))


def following(rows: Rows) -> Iterator[Rows]:
    todo = step_in(rows)
    if todo.step is Step.FINISH:
        return
    if todo.step is Step.FILE_ANEW:
        yield (*rows, *((PAIR.index(dropped.type), E.KEY_COMMITTED, None) for dropped in todo.enrollments))
        return
    worked_on = {int(enrollment.id) for enrollment in todo.enrollments}
    choices = [
        [row, *((row[0], *after) for after in BECOMES[todo.step, row[1]])] if index in worked_on else [row]
        for index, row in enumerate(rows)
    ]
    for chosen in product(*choices):
        if chosen != rows:
            yield chosen


@cache
def reachable() -> frozenset[Rows]:
    found: set[Rows] = set()
    waiting: list[Rows] = [((0, E.KEY_COMMITTED, None), (1, E.KEY_COMMITTED, None))]
    while waiting:
        rows = waiting.pop()
        if rows not in found:
            found.add(rows)
            waiting += following(rows)
    return frozenset(found)


def spent(rows: Rows) -> int:
    return sum(state not in (E.KEY_COMMITTED, E.UNSENT) for _, state, _ in rows)


def test_many_situations_are_looked_at_and_some_have_a_third_and_a_fourth_request() -> None:
    assert len(reachable()) > 500
    assert {len(rows) for rows in reachable()} == {2, 3, 4}


def test_no_issuance_files_more_than_the_pair_and_two_more() -> None:
    assert max(spent(rows) for rows in reachable()) == 2 + FILED_ANEW


def test_of_one_type_there_is_never_a_second_request_while_the_first_may_be_granted() -> None:
    for rows in reachable():
        for which in (0, 1):
            assert sum(row[0] == which and row[1] is not E.REJECTED for row in rows) <= 1, rows


def test_nothing_is_sent_while_a_rejection_has_no_successor() -> None:
    for rows in reachable():
        if unreplaced(enrollments(rows)):
            assert step_in(rows).step is not Step.SEND, rows


def test_only_what_ksef_dropped_itself_is_filed_anew_and_only_when_everything_else_is_safe() -> None:
    seen = 0
    for rows in reachable():
        todo = step_in(rows)
        if todo.step is Step.FILE_ANEW:
            seen += 1
            assert all(enrollment.failure == DROPPED for enrollment in todo.enrollments), rows
            assert {state for _, state, _ in rows} <= {E.REJECTED, E.VERIFIED, E.KEY_COMMITTED}, rows
    assert seen


def test_an_issuance_that_was_called_off_files_nothing_anew() -> None:
    called_off = replace(ISSUANCE, cancelled_at=ISSUANCE.created_at)
    for rows in reachable():
        assert next_step(called_off, enrollments(rows)).step not in (Step.FILE_ANEW, Step.SEND)


def test_the_road_ends_whatever_happens_and_says_how() -> None:
    """Each step changes something, no change can be undone for ever, and an end is told as what it is."""
    for rows in reachable():
        if step_in(rows).step is Step.FINISH:
            ended = enrollments(tuple((which, _unsent(state), failure) for which, state, failure in rows))
            whole = all(any(row[0] == which and row[1] is E.VERIFIED for row in rows) for which in (0, 1))
            assert (ending(ISSUANCE, ended) is IssuanceState.DONE) == whole, rows
            if not whole:
                assert ending(ISSUANCE, ended) is IssuanceState.REJECTED, rows


def _unsent(state: EnrollmentState) -> EnrollmentState:
    return E.UNSENT if state is E.KEY_COMMITTED else state


@pytest.mark.parametrize(
    ("failure", "passing"),
    [
        (Failure(550, "x"), True),
        (Failure(500, "x"), True),
        (Failure(400, "Wniosek odrzucony", "Klucz publiczny został już certyfikowany przez inny podmiot."), True),
        (Failure(400, "Wniosek odrzucony", "Osiągnięto dopuszczalny limit posiadanych certyfikatów."), True),
        (Failure(400, "Wniosek odrzucony", "Something that nobody knows yet."), False),
        (Failure(400, "Wniosek odrzucony"), False),
        (Failure(450, "x"), False),
        (Failure(460, "x"), False),
        (Failure(None, "Bad Request"), False),
        (Failure(None, "", reason="enrollment_given_up"), False),
        *((Failure(code, "x"), False) for code in (*range(25000, 25012), 21405)),
    ],
    ids=str,
)
def test_a_refusal_that_would_be_the_same_again_is_final(failure: Failure, passing: bool) -> None:
    assert failure.passing is passing

"""The road as people see it: what is done stays done, one thing is now, and what was stopped says where."""

from itertools import product

from tests.klucznik.domain.test_onboarding import CONTEXT, SUBJECTS, issuance_of

from klucznik.domain.certificates import PAIR, CertificateType
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, IssuanceState
from klucznik.domain.road_steps import RoadStep, Standing, StepKind, steps_of

E = EnrollmentState


def issuance(state: IssuanceState) -> Issuance:
    return issuance_of(SUBJECTS[0], state, CONTEXT)


def row(kind: CertificateType, state: EnrollmentState) -> Enrollment:
    return Enrollment(kind.value, "1" * 32, kind, f"Klucznik {kind.value}", kind.value, b"", state)


def standings(steps: tuple[RoadStep, ...], kind: CertificateType | None) -> str:
    """The steps of one certificate (None: of all) by the first letters of their standings."""
    return "".join(step.standing.value[0] for step in steps if step.type is kind)


def test_before_the_limits_are_asked_everything_is_ahead() -> None:
    steps = steps_of(issuance(IssuanceState.PLANNED), [])
    assert [standings(steps, kind) for kind in (None, *PAIR)] == ["na", "aaaa", "aaaa"]


def test_a_refusal_stops_at_the_limits() -> None:
    steps = steps_of(issuance(IssuanceState.REFUSED), [])
    assert [standings(steps, kind) for kind in (None, *PAIR)] == ["sa", "aaaa", "aaaa"]


def test_the_second_request_waits_for_the_first() -> None:
    drawn = {
        (E.KEY_COMMITTED, E.KEY_COMMITTED): ["dd", "naaa", "aaaa"],
        (E.SENDING, E.KEY_COMMITTED): ["dd", "naaa", "aaaa"],
        (E.REQUESTED, E.KEY_COMMITTED): ["dd", "dnaa", "naaa"],
        (E.ISSUED, E.REQUESTED): ["dd", "ddna", "dnaa"],
        (E.RETRIEVED, E.VERIFIED): ["dd", "dddn", "dddd"],
    }
    for states, expected in drawn.items():
        rows = [row(kind, state) for kind, state in zip(PAIR, states, strict=True)]
        steps = steps_of(issuance(IssuanceState.UNDERWAY), rows)
        assert [standings(steps, kind) for kind in (None, *PAIR)] == expected, states


def test_a_lost_answer_is_in_doubt_at_the_request_and_nowhere_else() -> None:
    steps = steps_of(issuance(IssuanceState.UNDERWAY), [row(PAIR[0], E.UNKNOWN), row(PAIR[1], E.KEY_COMMITTED)])
    assert [step for step in steps if step.in_doubt] == [RoadStep(StepKind.REQUEST, Standing.NOW, PAIR[0], True)]


def test_an_end_leaves_nothing_under_way() -> None:
    ended = (E.VERIFIED, E.REJECTED, E.UNSENT)
    for states in product(ended, ended):
        rows = [row(kind, state) for kind, state in zip(PAIR, states, strict=True)]
        steps = steps_of(issuance(IssuanceState.REJECTED), rows)
        assert Standing.NOW not in {step.standing for step in steps}
        for kind, state in zip(PAIR, states, strict=True):
            assert ("s" in standings(steps, kind)) is (state is not E.VERIFIED)

"""The steps of an onboarding as a machine: whatever is done in whatever order, what is shown is of who has signed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from klucznik.domain.certificates import PAIR
from klucznik.domain.connections import Method
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.onboarding import (
    CHOICES,
    Onboarding,
    OnboardingState,
    Setback,
    SignerKind,
    after_issuance,
    as_of,
    being_checked,
    connected,
    document_given,
    given_up,
    gone_back,
    limits_told,
    login_lost,
    may_follow,
    may_go_back,
    method_chosen,
    not_signed_in,
    ordered,
    signed_in,
    signer_chosen,
)
from klucznik.domain.preflight import Refusal, likely_causes, preflight
from klucznik.domain.waits import Wait, WaitKind

S = OnboardingState
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONTEXT, OTHER = Context.of_nip("5265877635"), Context.of_nip("7811767696")
SUBJECTS = (Subject(SubjectType.PESEL, "80010112294"), Subject(SubjectType.NIP, "5265877635"))
ROOM, NO_ROOM = Limits(True, Allowance(6, 6), Allowance(4, 6)), Limits(True, Allowance(1, 6), Allowance(4, 6))


def fresh() -> Onboarding:
    return Onboarding(
        id="0" * 32,
        environment=Environment.SANDBOX,
        context=CONTEXT,
        begun_by="user:1",
        state=S.SIGNER,
        created_at=NOW,
        updated_at=NOW,
    )


def issuance_of(subject: Subject, state: IssuanceState, context: Context = CONTEXT) -> Issuance:
    return Issuance(
        id="1" * 32,
        environment=Environment.SANDBOX,
        context=context,
        subject=subject,
        key_type=KeyType.EC,
        state=state,
        missing=PAIR,
        created_at=NOW,
    )


def refusal_of(subject: Subject) -> Refusal:
    findings = preflight(NO_ROOM, 2)
    return Refusal(subject, CONTEXT, NO_ROOM, 2, findings, likely_causes(NO_ROOM, findings), ())


class Wizard(RuleBasedStateMachine):
    """Every act that services do to a row, wherever the row allows it."""

    def __init__(self) -> None:
        super().__init__()
        self.row = fresh()
        self.trail: list[S] = [S.SIGNER]

    def go(self, after: Onboarding) -> None:
        assert may_follow(self.row.state, after.state), (self.row.state, after.state)
        self.row = after
        self.trail.append(after.state)

    def at(*states: S) -> Callable[["Wizard"], bool]:
        return lambda self: self.row.state in states

    @precondition(at(S.SIGNER))
    @rule(signer=st.sampled_from(SignerKind))
    def choose_signer(self, signer: SignerKind) -> None:
        self.go(signer_chosen(self.row, signer))

    @precondition(at(S.METHOD))
    @rule(method=st.sampled_from(Method), unsigned=st.booleans())
    def choose_method(self, method: Method, unsigned: bool) -> None:
        self.go(method_chosen(self.row, method, unsigned=unsigned))
        signs = self.row.method in (Method.CERTIFICATES, Method.PERMISSION) or not unsigned
        assert self.row.subject is not None or not signs or self.row.state is S.SIGN

    @precondition(at(S.SIGN))
    @rule(subject=st.sampled_from(SUBJECTS), going_on=st.booleans())
    def sign(self, subject: Subject, going_on: bool) -> None:
        running = going_on and self.row.issuance_id is not None
        self.go(signed_in(self.row, subject, going_on=running))
        assert self.row.setback is None

    @precondition(at(S.SIGN))
    @rule(minutes=st.integers(0, 20), told=st.sampled_from([Setback.SIGN_IN_REFUSED, Setback.SIGN_IN_UNFINISHED, None]))
    def hand_in(self, minutes: int, told: Setback | None) -> None:
        self.go(being_checked(self.row, "2" * 32, NOW))
        assert (self.row.checking_since, self.row.setback) == (NOW, None)
        self.go(as_of(self.row, NOW + timedelta(minutes=minutes)))
        assert (self.row.checking_since is None) is (self.row.setback is Setback.SIGN_IN_UNFINISHED) is (minutes > 16)
        if told is not None:
            self.go(not_signed_in(self.row, told, 415 if told is Setback.SIGN_IN_REFUSED else None))

    @precondition(at(S.SIGN))
    @rule()
    def take_a_document(self) -> None:
        self.go(document_given(self.row, "3" * 32))
        assert self.row.setback not in (Setback.SIGN_IN_REFUSED, Setback.SIGN_IN_UNFINISHED)

    @invariant()
    def is_checked_at_the_signature_alone(self) -> None:
        assert self.row.state is S.SIGN or (self.row.checking_since, self.row.refused_code) == (None, None)

    @precondition(at(S.LIMITS, S.REFUSED))
    @rule(room=st.booleans())
    def look(self, room: bool) -> None:
        assert self.row.subject is not None
        refusal = None if room else refusal_of(self.row.subject)
        self.go(limits_told(self.row, ROOM if room else NO_ROOM, NOW, refusal))

    @precondition(at(S.LIMITS, S.REFUSED))
    @rule()
    def order(self) -> None:
        self.go(ordered(self.row, "1" * 32, waits_for_limits=self.row.state is S.REFUSED))

    @precondition(at(S.ISSUING))
    @rule(state=st.sampled_from(IssuanceState), other=st.booleans(), told=st.booleans())
    def issuance_moves(self, state: IssuanceState, other: bool, told: bool) -> None:
        assert self.row.subject is not None
        issuance = issuance_of(self.row.subject, state, OTHER if other else CONTEXT)
        refused = told and state is IssuanceState.REFUSED
        self.go(after_issuance(self.row, issuance, refusal_of(self.row.subject) if refused else None, at=NOW))

    @precondition(at(S.ISSUING))
    @rule(kind=st.sampled_from(WaitKind))
    def issuance_waits(self, kind: WaitKind) -> None:
        assert self.row.subject is not None
        waiting = replace(issuance_of(self.row.subject, IssuanceState.PLANNED), wait=Wait(kind, None, NOW))
        refusal = refusal_of(self.row.subject) if kind is WaitKind.LIMITS else None
        self.go(after_issuance(self.row, waiting, refusal, at=NOW))
        assert (self.row.setback is Setback.LOGIN_OVER) is (kind is WaitKind.NEEDS_SIGNATURE)
        assert (self.row.state is S.SIGN) is (kind is WaitKind.NEEDS_SIGNATURE)

    @precondition(at(S.LIMITS, S.REFUSED, S.CONNECT))
    @rule()
    def lose_the_login(self) -> None:
        if self.row.subject is not None:
            self.go(login_lost(self.row))

    @precondition(lambda self: not self.row.state.ended)
    @rule(to=st.sampled_from(S))
    def go_back(self, to: S) -> None:
        if not may_go_back(self.row, to):
            return
        self.go(gone_back(self.row, to))
        if to in (S.SIGNER, S.SIGN):
            assert self.row.subject is None

    @precondition(at(S.LIMITS, S.REFUSED, S.CONNECT))
    @rule(method=st.sampled_from(Method))
    def connect(self, method: Method) -> None:
        self.go(connected(self.row, method))

    @precondition(lambda self: not self.row.state.ended)
    @rule()
    def give_up(self) -> None:
        self.go(given_up(self.row))

    @precondition(lambda self: self.row.state.ended)
    @rule()
    def begin_anew(self) -> None:
        self.row, self.trail = fresh(), [S.SIGNER]

    @invariant()
    def limits_are_those_of_who_has_signed(self) -> None:
        row = self.row
        assert row.subject is not None or (row.limits, row.limits_at) == (None, None)
        assert (row.limits is None) is (row.limits_at is None)
        if row.refusal is not None:
            assert (row.refusal.subject, row.refusal.limits) == (row.subject, row.limits)

    @invariant()
    def what_needs_a_signature_has_one(self) -> None:
        if self.row.state in (S.LIMITS, S.ISSUING, S.REFUSED):
            assert self.row.subject is not None

    @invariant()
    def a_refusal_is_never_without_its_evidence(self) -> None:
        assert self.row.state is not S.REFUSED or self.row.refusal is not None

    @invariant()
    def nobody_is_stuck(self) -> None:
        if not self.row.state.ended:
            assert any(may_follow(self.row.state, after) for after in S if after is not self.row.state)

    @invariant()
    def the_end_is_the_end(self) -> None:
        assert not any(state.ended for state in self.trail[:-1])


TestWizard = Wizard.TestCase
TestWizard.settings = settings(max_examples=150, stateful_step_count=25, deadline=timedelta(seconds=30))


def test_every_choice_can_be_made_anew_before_anything_is_ordered() -> None:
    signed = (S.SIGN, S.LIMITS, S.CONNECT, S.REFUSED)
    for state in signed:
        assert all(may_go_back(replace(fresh(), state=state), to) for to in CHOICES)
    assert not any(may_go_back(replace(fresh(), state=S.ISSUING), to) for to in CHOICES)


def test_nothing_follows_an_end() -> None:
    assert not any(may_follow(end, after) for end in S if end.ended for after in S)

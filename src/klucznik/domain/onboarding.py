"""A company on its way to a connection: the steps of the wizard, what may follow what, and what may still be changed.

Pure. The row says all that is known, so whoever returns, on whatever device or process, goes on from there. The acting
is `services.onboarding`; the road of its issuance is `domain.issuance`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from klucznik.domain.connections import Method
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Refusal
from klucznik.domain.signature_requests import PROCESSED_WITHIN
from klucznik.domain.waits import WaitKind

# The process that waits for KSeF has ended without a word where the check takes longer.
_CHECKED_WITHIN = PROCESSED_WITHIN + timedelta(minutes=1)
# An act is broken off after so long; a minute later nobody can be at it any more, and nobody sends it twice.
ACT_LASTS = timedelta(minutes=9)
ACT_OVER_AFTER = ACT_LASTS + timedelta(minutes=1)


class OnboardingState(StrEnum):
    """What is to be done next. Names are kept: rows have them."""

    SIGNER = "signer"  # say who will sign
    METHOD = "method"  # say by what to connect
    SIGN = "sign"  # sign a document elsewhere, or give a key
    LIMITS = "limits"  # signed in: look at both limits, then say yes
    CONNECT = "connect"  # nothing is issued: confirm the grant, bring certificates or a token
    ISSUING = "issuing"
    REFUSED = "refused"  # by the limits, and nothing was spent; the ways out are walked from here
    DONE = "done"
    GIVEN_UP = "given_up"

    @property
    def ended(self) -> bool:
        return self in (OnboardingState.DONE, OnboardingState.GIVEN_UP)


class SignerKind(StrEnum):
    """Who will sign, as people see it. Whose the limits are is told by the signature alone."""

    PERSON = "person"  # the owner of a one-person firm
    SEAL = "seal"  # the company itself, with its qualified seal
    REPRESENTATIVE = "representative"  # a person whom the company has named (ZAW-FA) or given permissions


class Setback(StrEnum):
    """Why somebody is back at an earlier step without having gone there."""

    LOGIN_OVER = "login_over"  # only a new signature goes on
    SIGNER_REFUSED = "signer_refused"  # KSeF does not let who signed go on with the order: somebody else has to sign
    ISSUANCE_REJECTED = "issuance_rejected"  # KSeF said no to a request
    ISSUANCE_CANCELLED = "issuance_cancelled"
    LIMITS_SHRANK = "limits_shrank"  # while it was being issued; what had been requested is kept
    SIGN_IN_REFUSED = "sign_in_refused"  # by KSeF, which took its time for the signature
    SIGN_IN_UNFINISHED = "sign_in_unfinished"  # KSeF did not answer, or the process ended
    GRANT_REFUSED = "grant_refused"  # by KSeF, which took its time
    GRANT_UNFINISHED = "grant_unfinished"  # KSeF did not answer, or the process ended: it may be granted or not
    REVOCATION_REFUSED = "revocation_refused"
    REVOCATION_UNFINISHED = "revocation_unfinished"
    SIGNED_BY_OPERATOR = "signed_by_operator"  # whose own limits and certificates are no company's
    ISSUED_FOR_ANOTHER = "issued_for_another"  # the subject has its pair now; it was ordered for another company


class Act(StrEnum):
    """What is done in the session of whoever has signed, and takes KSeF a while. Names are kept: rows have them."""

    GRANT = "grant"
    REVOKE = "revoke"


@dataclass(frozen=True)
class UnderWay:
    """An act that somebody has said yes to and that has not ended.

    Attributes:
        operator_nip: of a grant: who is let in by this yes.
    """

    act: Act
    since: datetime
    operator_nip: str | None = None


_FOLLOWS: dict[OnboardingState, frozenset[OnboardingState]] = {
    OnboardingState.SIGNER: frozenset({OnboardingState.METHOD}),
    OnboardingState.METHOD: frozenset(
        {OnboardingState.SIGNER, OnboardingState.SIGN, OnboardingState.LIMITS, OnboardingState.CONNECT}
    ),
    OnboardingState.SIGN: frozenset(
        {
            OnboardingState.SIGNER,
            OnboardingState.METHOD,
            OnboardingState.LIMITS,
            OnboardingState.CONNECT,
            OnboardingState.ISSUING,  # what was ordered before goes on with the new login
            OnboardingState.REFUSED,
            OnboardingState.DONE,  # by a method that needs no signature of whoever asks
        }
    ),
    OnboardingState.LIMITS: frozenset(
        {
            OnboardingState.SIGNER,
            OnboardingState.METHOD,
            OnboardingState.SIGN,
            OnboardingState.ISSUING,
            OnboardingState.REFUSED,
            OnboardingState.DONE,  # the pair is held already; or by a grant
        }
    ),
    OnboardingState.CONNECT: frozenset(
        {OnboardingState.SIGNER, OnboardingState.METHOD, OnboardingState.SIGN, OnboardingState.DONE}
    ),
    OnboardingState.ISSUING: frozenset(
        {OnboardingState.SIGN, OnboardingState.LIMITS, OnboardingState.REFUSED, OnboardingState.DONE}
    ),
    OnboardingState.REFUSED: frozenset(
        {
            OnboardingState.SIGNER,
            OnboardingState.METHOD,
            OnboardingState.SIGN,
            OnboardingState.LIMITS,
            OnboardingState.ISSUING,
            OnboardingState.DONE,
        }
    ),
    OnboardingState.DONE: frozenset(),
    OnboardingState.GIVEN_UP: frozenset(),
}

# The choices that one can go back to, in their order.
CHOICES = (OnboardingState.SIGNER, OnboardingState.METHOD, OnboardingState.SIGN)


def may_follow(before: OnboardingState, after: OnboardingState) -> bool:
    """Whether the one leads to the other in one step; staying where one is, and giving up, is always possible."""
    if before.ended:
        return False
    return after is before or after is OnboardingState.GIVEN_UP or after in _FOLLOWS[before]


@dataclass(frozen=True)
class Onboarding:
    """One company on its way to a connection.

    Attributes:
        name: what people call the company.
        begun_by: the `Principal.id` of who began it.
        subject: who has signed in; None: nobody yet, or another signature is wanted.
        signature_request_id: of the document that waits for its signature.
        checking_since: since when KSeF is checking a signature; None: it is checking none.
        under_way: what is done at this moment; nothing else is begun meanwhile.
        limits, limits_at: what KSeF told last of `subject`, and when; None: not yet.
        issuance_id: of the last issuance that was ordered.
        refusal: with its evidence, as of `limits_at`; there while the refusal is, or an order waits for it to end.
        replaces: the connection that the pair on order takes the place of, as it stood when who signed, or who runs the
            installation, had shown a say in that (`domain.connections.as_it_stands`).
        setback: why it is where it is, where nobody went there.
        refused_code: KSeF's, where the setback is that it has refused the sign-in, the grant or the revocation.
    """

    id: str
    environment: Environment
    context: Context
    begun_by: str
    state: OnboardingState
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    invitation_id: str | None = None
    signer: SignerKind | None = None
    method: Method | None = None
    subject: Subject | None = None
    signature_request_id: str | None = None
    checking_since: datetime | None = None
    under_way: UnderWay | None = None
    limits: Limits | None = None
    limits_at: datetime | None = None
    issuance_id: str | None = None
    refusal: Refusal | None = None
    replaces: str | None = None
    setback: Setback | None = None
    refused_code: int | None = None
    version: int = 1

    @property
    def place(self) -> tuple[datetime, str]:
        """Where it stands in lists, the latest changed first."""
        return self.updated_at, self.id

    @property
    def signed_by_another(self) -> bool:
        """Whether another kind of subject signed than was said: the limits are not those that were thought of."""
        if self.subject is None or self.signer is None:
            return False
        return (self.subject.type is SubjectType.NIP) is not (self.signer is SignerKind.SEAL)


def may_go_back(onboarding: Onboarding, to: OnboardingState) -> bool:
    """Whether an earlier choice can be made anew. Whether anything was spent meanwhile, the issuance tells."""
    state = onboarding.state
    if state is OnboardingState.ISSUING:
        return to is OnboardingState.LIMITS
    return to in CHOICES and state not in CHOICES[: CHOICES.index(to)] and may_follow(state, to)


def gone_back(onboarding: Onboarding, to: OnboardingState) -> Onboarding:
    """At the earlier choice, without an order. Who signed stays signed in unless the signature is chosen anew."""
    back = replace(_idle(onboarding), state=to, setback=None, refusal=None, issuance_id=None, replaces=None)
    return back if to in (OnboardingState.METHOD, OnboardingState.LIMITS) else signed_out(back)


def signer_chosen(onboarding: Onboarding, signer: SignerKind) -> Onboarding:
    return replace(onboarding, signer=signer, state=OnboardingState.METHOD, setback=None)


def method_chosen(onboarding: Onboarding, method: Method, *, unsigned: bool) -> Onboarding:
    """With the method chosen.

    Args:
        unsigned: whether whoever asks may bring certificates or a token without a signature (`services.control`).
    """
    chosen = replace(onboarding, method=method, setback=None)
    if onboarding.subject is not None:
        return replace(chosen, state=_signed(method))
    brings = method in (Method.IMPORTED, Method.TOKEN)
    return replace(chosen, state=OnboardingState.CONNECT if brings and unsigned else OnboardingState.SIGN)


def signed_in(onboarding: Onboarding, subject: Subject, *, going_on: bool) -> Onboarding:
    """Somebody has signed.

    Args:
        going_on: whether what was ordered before still runs; it goes on with this login.
    """
    state = OnboardingState.ISSUING if going_on else _signed(onboarding.method)
    return replace(
        _idle(onboarding),
        state=state,
        subject=subject,
        setback=None,
        signature_request_id=None,
        limits=None,
        limits_at=None,
    )


def _signed(method: Method | None) -> OnboardingState:
    return OnboardingState.LIMITS if method is Method.CERTIFICATES else OnboardingState.CONNECT


def signed_out(onboarding: Onboarding) -> Onboarding:
    """Without what belongs to who has signed."""
    return replace(_idle(onboarding), subject=None, signature_request_id=None, limits=None, limits_at=None)


def document_given(onboarding: Onboarding, request_id: str) -> Onboarding:
    """A fresh document waits for its signature. Nothing comes any more of one that is being checked."""
    setback = None if onboarding.setback in _OF_A_SIGNATURE else onboarding.setback
    return replace(_idle(onboarding), signature_request_id=request_id, setback=setback)


def being_checked(onboarding: Onboarding, request_id: str | None, since: datetime) -> Onboarding:
    """A signature is with KSeF.

    Args:
        request_id: of the document whose signed form it is; of a sign-in with a key, of the one that waits, if any.
    """
    checking = replace(_idle(onboarding), signature_request_id=request_id, checking_since=since)
    return replace(checking, setback=None)


def not_signed_in(onboarding: Onboarding, setback: Setback, code: int | None) -> Onboarding:
    """Nothing has come of what was checked."""
    return replace(onboarding, checking_since=None, setback=setback, refused_code=code)


def act_begun(onboarding: Onboarding, under_way: UnderWay) -> Onboarding:
    """Somebody has said yes; KSeF is asked next."""
    return replace(_idle(onboarding), under_way=under_way, setback=None)


def act_done(onboarding: Onboarding) -> Onboarding:
    return replace(onboarding, under_way=None)


def act_failed(onboarding: Onboarding, act: Act, *, refused: bool, code: int | None = None) -> Onboarding:
    """Nothing has come of it, or nobody knows; what is done in KSeF is looked at before it is tried again.

    Args:
        refused: by KSeF, with `code` where it gave one; False: how it ended is not known.
    """
    setback = _REFUSED[act] if refused else _UNFINISHED[act]
    return replace(onboarding, under_way=None, setback=setback, refused_code=code)


def as_of(onboarding: Onboarding, now: datetime) -> Onboarding:
    """Without what nobody can be at any more: whoever waited for KSeF tells how it ends, if they live."""
    since, under_way = onboarding.checking_since, onboarding.under_way
    if since is not None and now - since > _CHECKED_WITHIN:
        return replace(onboarding, checking_since=None, setback=Setback.SIGN_IN_UNFINISHED)
    if under_way is not None and now - under_way.since > ACT_OVER_AFTER:
        return act_failed(onboarding, under_way.act, refused=False)
    return onboarding


def _idle(onboarding: Onboarding) -> Onboarding:
    return replace(onboarding, checking_since=None, under_way=None, refused_code=None)


def login_lost(onboarding: Onboarding) -> Onboarding:
    """The login is over: somebody has to sign once more. What a refusal said stays true of its date."""
    lost = replace(signed_out(onboarding), state=OnboardingState.SIGN, refusal=None)
    return replace(lost, setback=Setback.LOGIN_OVER)


def limits_told(onboarding: Onboarding, limits: Limits, at: datetime, refusal: Refusal | None) -> Onboarding:
    """After a look at the limits: go, or refused. How far a revocation got, they show."""
    state = OnboardingState.LIMITS if refusal is None else OnboardingState.REFUSED
    setback = None if onboarding.setback in _OF_A_REVOCATION else onboarding.setback
    return replace(onboarding, state=state, limits=limits, limits_at=at, refusal=refusal, setback=setback)


def ordered(
    onboarding: Onboarding, issuance_id: str, *, waits_for_limits: bool, replaces: str | None = None
) -> Onboarding:
    """Its pair is on order; what was refused is remembered only where that is waited for."""
    return replace(
        onboarding,
        state=OnboardingState.ISSUING,
        issuance_id=issuance_id,
        refusal=onboarding.refusal if waits_for_limits else None,
        replaces=replaces,
        setback=None,
    )


def given_up(onboarding: Onboarding) -> Onboarding:
    return replace(_idle(onboarding), state=OnboardingState.GIVEN_UP)


def connected(onboarding: Onboarding, method: Method) -> Onboarding:
    return replace(
        _idle(onboarding),
        state=OnboardingState.DONE,
        method=method,
        refusal=None,
        setback=None,
        signature_request_id=None,
    )


def after_issuance(onboarding: Onboarding, issuance: Issuance, refusal: Refusal | None, *, at: datetime) -> Onboarding:
    """What the end of its issuance, or a wait that only a person or KSeF can end, makes of it.

    Args:
        refusal: with its evidence, where the limits refuse the issuance, or make it wait.
        at: when that was.
    """
    if issuance.state is IssuanceState.DONE and issuance.context == onboarding.context:
        # Its login may have been lost meanwhile; whose the certificates are, the order says.
        return replace(connected(onboarding, Method.CERTIFICATES), subject=issuance.subject)
    if onboarding.state is OnboardingState.SIGN:
        return onboarding  # its login is looked for, whatever becomes of the order meanwhile
    return (
        _ended(onboarding, issuance, refusal, at)
        if issuance.state.ended
        else _waiting(onboarding, issuance, refusal, at)
    )


def _waiting(onboarding: Onboarding, issuance: Issuance, refusal: Refusal | None, at: datetime) -> Onboarding:
    wait = issuance.wait
    if wait is not None and wait.kind is WaitKind.NEEDS_SIGNATURE:
        over = wait.reason is None or wait.reason in _LOGIN_OVER
        return replace(login_lost(onboarding), setback=Setback.LOGIN_OVER if over else Setback.SIGNER_REFUSED)
    if wait is not None and wait.kind is WaitKind.LIMITS and refusal is not None:
        return replace(onboarding, limits=refusal.limits, limits_at=at, refusal=refusal)
    return onboarding


def _ended(onboarding: Onboarding, issuance: Issuance, refusal: Refusal | None, at: datetime) -> Onboarding:
    if issuance.state is IssuanceState.REFUSED and refusal is not None:
        return limits_told(onboarding, refusal.limits, at, refusal)
    back = replace(onboarding, state=OnboardingState.LIMITS, limits=None, limits_at=None, refusal=None)
    return replace(back, setback=_SETBACKS.get(issuance.state, Setback.ISSUANCE_REJECTED))


# Why a login is at its end, where it is not that KSeF refuses what was asked with it.
_LOGIN_OVER = frozenset({"login_over", "session_over", "session_ended", "access_token_refused"})
# What has come of a document that was handed in; the next one has another fate.
_OF_A_SIGNATURE = frozenset({Setback.SIGN_IN_REFUSED, Setback.SIGN_IN_UNFINISHED, Setback.SIGNED_BY_OPERATOR})
_OF_A_REVOCATION = frozenset({Setback.REVOCATION_REFUSED, Setback.REVOCATION_UNFINISHED})
_REFUSED = {Act.GRANT: Setback.GRANT_REFUSED, Act.REVOKE: Setback.REVOCATION_REFUSED}
_UNFINISHED = {Act.GRANT: Setback.GRANT_UNFINISHED, Act.REVOKE: Setback.REVOCATION_UNFINISHED}
_SETBACKS = {
    IssuanceState.DONE: Setback.ISSUED_FOR_ANOTHER,
    IssuanceState.CANCELLED: Setback.ISSUANCE_CANCELLED,
    IssuanceState.REFUSED: Setback.LIMITS_SHRANK,
}

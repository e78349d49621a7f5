"""The road of one issuance: its states, what may follow what, and the next thing to do.

Pure. `next_step` decides from the rows alone, so whoever wakes an issuance, however often, does the same thing.
The acting (KSeF, vault, database) is services.road.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from klucznik.domain.certificates import CertificateType
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.keytype import KeyType
from klucznik.domain.limits import Limits
from klucznik.domain.waits import Wait


class IssuanceState(StrEnum):
    PLANNED = "planned"
    UNDERWAY = "underway"  # keys and CSRs are committed; the enrollments tell the rest
    DONE = "done"
    REFUSED = "refused"  # by the limits, before anything was sent
    REJECTED = "rejected"  # KSeF said no to a request; nothing more is sent
    CANCELLED = "cancelled"  # by the user; what had been filed before was finished and kept

    @property
    def ended(self) -> bool:
        return self not in (IssuanceState.PLANNED, IssuanceState.UNDERWAY)


class EnrollmentState(StrEnum):
    KEY_COMMITTED = "key_committed"
    SENDING = "sending"  # the intent is committed; the POST may or may not have left
    UNKNOWN = "unknown"  # the POST left and no answer came
    REQUESTED = "requested"
    ISSUED = "issued"
    RETRIEVED = "retrieved"
    VERIFIED = "verified"
    REJECTED = "rejected"
    UNSENT = "unsent"  # never sent (its twin was rejected, the limits shrank, it was cancelled): nothing was spent


_FOLLOWS: dict[EnrollmentState, frozenset[EnrollmentState]] = {
    EnrollmentState.KEY_COMMITTED: frozenset({EnrollmentState.SENDING, EnrollmentState.UNSENT}),
    EnrollmentState.SENDING: frozenset(
        {
            EnrollmentState.REQUESTED,
            EnrollmentState.REJECTED,
            EnrollmentState.UNKNOWN,
            EnrollmentState.KEY_COMMITTED,  # only when it is certain that nothing left this machine
        }
    ),
    EnrollmentState.UNKNOWN: frozenset(
        {EnrollmentState.ISSUED, EnrollmentState.KEY_COMMITTED, EnrollmentState.REJECTED}
    ),
    # Back to UNKNOWN only where KSeF no longer tells the status; having arrived, it is never sent again.
    EnrollmentState.REQUESTED: frozenset({EnrollmentState.ISSUED, EnrollmentState.REJECTED, EnrollmentState.UNKNOWN}),
    EnrollmentState.ISSUED: frozenset({EnrollmentState.RETRIEVED, EnrollmentState.REJECTED}),
    EnrollmentState.RETRIEVED: frozenset({EnrollmentState.VERIFIED, EnrollmentState.REJECTED}),
    EnrollmentState.VERIFIED: frozenset(),
    EnrollmentState.REJECTED: frozenset(),
    EnrollmentState.UNSENT: frozenset(),
}


def may_follow(before: EnrollmentState, after: EnrollmentState) -> bool:
    """Whether the road leads from one state to the other in one step."""
    return after in _FOLLOWS[before]


# Requests that KSeF itself drops are filed anew, where both limits leave room; so many in one issuance and no more.
FILED_ANEW = 2
_REJECTED_LATER = 400
# The key belongs to somebody else; the last slot was taken meanwhile (the limits tell whether there is one again).
_NOT_OF_A_NEW_REQUEST = ("klucz publiczny", "limit posiadanych")
_BROKEN_OFF = (500, 550)


@dataclass(frozen=True)
class Failure:
    """Why an enrollment was rejected, as KSeF said it.

    Attributes:
        reason: name of our own finding, where it is not KSeF that said no.
    """

    code: int | None
    text: str
    details: str = ""
    trace_id: str | None = None
    reason: str | None = None

    @property
    def passing(self) -> bool:
        """KSeF took the request on and dropped it later for a reason that a new one, with a new key, does not have.

        These are statuses of a request (facts.md §3.7). A refusal at once (25002 to 25011 …) would be the same again.
        """
        if self.code == _REJECTED_LATER:
            return any(word in self.details.lower() for word in _NOT_OF_A_NEW_REQUEST)
        return self.code in _BROKEN_OFF


@dataclass(frozen=True)
class Enrollment:
    """One certificate request of an issuance.

    Attributes:
        name: the certificate's name in KSeF, unique; the only handle to a request whose answer was lost.
        csr: DER. Kept, so that the very same request can be sent again when KSeF shows that the first never arrived.
        remaining_before: `enrollment.remaining` that KSeF told before the POST.
        sent_at: our clock when the intent was committed; None before. Without `remaining_before` it is when the row was
            restored from a backup: it may have been sent since the backup was made, by whoever went on then.
        requested_at: KSeF's time of the request.
    """

    id: str
    issuance_id: str
    type: CertificateType
    name: str
    key_id: str
    csr: bytes = field(repr=False)
    state: EnrollmentState
    remaining_before: int | None = None
    sent_at: datetime | None = None
    requested_at: datetime | None = None
    reference_number: str | None = None
    certificate_serial_number: str | None = None
    failure: Failure | None = None
    version: int = 1

    @property
    def may_have_spent(self) -> bool:
        """Whether a request was spent on it, as far as we know; what is in doubt counts as spent.

        A request that KSeF refused at once (HTTP 400) was not, by all we know (facts.md §4.3).
        """
        if self.state is EnrollmentState.REJECTED:
            in_doubt = self.failure is not None and self.failure.reason is not None
            return self.reference_number is not None or self.certificate_serial_number is not None or in_doubt
        return self.state not in (EnrollmentState.KEY_COMMITTED, EnrollmentState.UNSENT)


@dataclass(frozen=True)
class Issuance:
    """The durable order for what is missing of a pair.

    Attributes:
        wait: what it is waiting for; None: somebody is at it, or it can be taken on at once.
        limits_until: until when it waits for limits that leave no room; None: then it is refused at once.
        cancelled_at: when the user called it off; nothing more is filed then, what was filed is finished.
        replaces: serial numbers of the certificates that this renewal replaces; None: no renewal.
        ignores_reserve: whether it may spend requests that renewals will need.
        keys_on_token: whether its keys are made on the installation's card or HSM, and stay there.
        stays_signed_in: whether its session stays open unless it ends well, for a way out: whoever ordered it ends it.
    """

    id: str
    environment: Environment
    context: Context
    subject: Subject
    key_type: KeyType
    state: IssuanceState
    missing: tuple[CertificateType, ...]
    created_at: datetime
    limits_before: Limits | None = None
    limits_after: Limits | None = None
    wait: Wait | None = None
    limits_until: datetime | None = None
    cancelled_at: datetime | None = None
    replaces: tuple[str, ...] | None = None
    ignores_reserve: bool = False
    keys_on_token: bool = False
    stays_signed_in: bool = False
    version: int = 1


class Step(StrEnum):
    PREFLIGHT = "preflight"  # read the limits; go on to keys, or refuse
    RECONCILE = "reconcile"
    SEND = "send"
    POLL = "poll"
    RETRIEVE = "retrieve"
    VERIFY = "verify"
    FILE_ANEW = "file_anew"  # what KSeF itself dropped: new keys, where the limits leave room; or the end
    FINISH = "finish"
    NOTHING = "nothing"


@dataclass(frozen=True)
class NextStep:
    step: Step
    enrollments: tuple[Enrollment, ...] = ()


def next_step(issuance: Issuance, enrollments: Sequence[Enrollment]) -> NextStep:
    """What to do now.

    The order matters: doubt is cleared before anything is sent; a rejection or the user's word stops further sending;
    everything sent is waited for before one call retrieves it all; what was dropped is thought of when all that was
    issued is safe.
    """
    if issuance.state.ended:
        return NextStep(Step.NOTHING)
    if issuance.state is IssuanceState.PLANNED:
        return NextStep(Step.PREFLIGHT if issuance.cancelled_at is None else Step.FINISH)

    def those(*states: EnrollmentState) -> tuple[Enrollment, ...]:
        return tuple(enrollment for enrollment in enrollments if enrollment.state in states)

    if doubtful := those(EnrollmentState.SENDING, EnrollmentState.UNKNOWN):
        return NextStep(Step.RECONCILE, doubtful[:1])
    unsent, rejected = those(EnrollmentState.KEY_COMMITTED), unreplaced(enrollments)
    if unsent and issuance.cancelled_at is None and not rejected:
        return NextStep(Step.SEND, unsent[:1])
    for states, step in (
        ((EnrollmentState.REQUESTED,), Step.POLL),
        ((EnrollmentState.ISSUED,), Step.RETRIEVE),
        ((EnrollmentState.RETRIEVED,), Step.VERIFY),
    ):
        if found := those(*states):
            return NextStep(step, found)
    anew = _may_be_filed_anew(issuance, enrollments, rejected)
    return NextStep(Step.FILE_ANEW, rejected) if anew else NextStep(Step.FINISH, unsent)


def _may_be_filed_anew(issuance: Issuance, enrollments: Sequence[Enrollment], rejected: Sequence[Enrollment]) -> bool:
    """Whether all that is missing was dropped by KSeF itself, and that has not happened too often."""
    if not rejected or issuance.cancelled_at is not None:
        return False
    dropped = sum(row.state is EnrollmentState.REJECTED for row in enrollments)
    return dropped <= FILED_ANEW and all(row.failure is not None and row.failure.passing for row in rejected)


def unreplaced(enrollments: Sequence[Enrollment]) -> tuple[Enrollment, ...]:
    """For each type of which nothing but rejections is left, the last of them."""
    going_on = {row.type for row in enrollments if row.state is not EnrollmentState.REJECTED}
    return tuple({row.type: row for row in enrollments if row.type not in going_on}.values())


def ending(issuance: Issuance, enrollments: Sequence[Enrollment]) -> IssuanceState:
    """The state in which an issuance ends whose enrollments have all ended."""
    if unreplaced(enrollments):
        return IssuanceState.REJECTED
    states = {row.state for row in enrollments if row.state is not EnrollmentState.REJECTED}
    if states == {EnrollmentState.VERIFIED}:
        return IssuanceState.DONE
    return IssuanceState.CANCELLED if issuance.cancelled_at is not None else IssuanceState.REFUSED

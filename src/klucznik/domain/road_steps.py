"""The road of an issuance, or of an act, drawn as steps, for people. Pure; what is done next is
`domain.issuance.next_step`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from klucznik.domain.audit import Event
from klucznik.domain.certificates import CertificateType
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, IssuanceState


class StepKind(StrEnum):
    """What a step is about, in the order of the road."""

    LIMITS = "limits"  # both are asked, and leave room
    KEYS = "keys"  # made and kept, before anything leaves
    REQUEST = "request"
    ISSUE = "issue"  # KSeF works on it
    KEEP = "keep"  # fetched and in the vault
    PROVE = "prove"  # a real login, a checked KOD II link
    LACKING = "lacking"  # what the operator may do already is looked up
    GRANT = "grant"  # KSeF works on it
    LET_IN = "let_in"  # the operator signs in to the company
    REVOKE = "revoke"
    FREED = "freed"  # KSeF counts the revoked certificates no more


class Standing(StrEnum):
    """How far a step is."""

    AHEAD = "ahead"
    NOW = "now"
    DONE = "done"
    STOPPED = "stopped"  # here it ended: refused, rejected, never sent


@dataclass(frozen=True)
class RoadStep:
    """One step.

    Attributes:
        type: of which certificate; None: of all.
        in_doubt: the answer to the request was lost; it is looked for, never sent again.
    """

    kind: StepKind
    standing: Standing
    type: CertificateType | None = None
    in_doubt: bool = False


_OF_A_GRANT = (StepKind.LACKING, StepKind.GRANT, StepKind.LET_IN)
_OF_ONE = (StepKind.REQUEST, StepKind.ISSUE, StepKind.KEEP, StepKind.PROVE)
# How many steps of one certificate are done.
_DONE = {
    EnrollmentState.KEY_COMMITTED: 0,
    EnrollmentState.SENDING: 0,
    EnrollmentState.UNKNOWN: 0,
    EnrollmentState.UNSENT: 0,
    EnrollmentState.REQUESTED: 1,
    EnrollmentState.ISSUED: 2,
    EnrollmentState.RETRIEVED: 3,
    EnrollmentState.VERIFIED: 4,
}
_IN_DOUBT = (EnrollmentState.SENDING, EnrollmentState.UNKNOWN)


def steps_of(issuance: Issuance, enrollments: Sequence[Enrollment]) -> tuple[RoadStep, ...]:
    """All steps of an issuance, those of each certificate together; of a request that was filed anew the last one."""
    latest = {row.type: row for row in enrollments}
    planned = issuance.state is IssuanceState.PLANNED
    stopped = issuance.state.ended and not enrollments
    first = Standing.STOPPED if stopped else Standing.NOW if planned else Standing.DONE
    keys = Standing.AHEAD if planned or stopped else Standing.DONE
    steps = [RoadStep(StepKind.LIMITS, first), RoadStep(StepKind.KEYS, keys)]
    before_is_sent = True
    for kind in issuance.missing:
        row = latest.get(kind)
        steps += _of_one(kind, row, issuance.state.ended, before_is_sent)
        before_is_sent = row is not None and row.state not in (EnrollmentState.KEY_COMMITTED, *_IN_DOUBT)
    return tuple(steps)


def steps_of_grant(told: Collection[str]) -> tuple[RoadStep, ...]:
    """All steps of a grant that is under way; `told`: the events that the audit log tells of the company
    since it began."""
    done = 0
    if Event.PERMISSION_GRANT_INTENDED in told:
        done = 1
    # Where nothing is lacking, the company is connected without a grant.
    if Event.PERMISSION_GRANTED in told or Event.CONNECTION_BY_PERMISSION in told:
        done = 2
    return tuple(
        RoadStep(kind, Standing.DONE if at < done else Standing.NOW if at == done else Standing.AHEAD)
        for at, kind in enumerate(_OF_A_GRANT)
    )


def steps_of_revocation() -> tuple[RoadStep, ...]:
    """A revocation that is under way: KSeF is asked, and looked at until the slots are free."""
    return (RoadStep(StepKind.REVOKE, Standing.NOW), RoadStep(StepKind.FREED, Standing.AHEAD))


def _of_one(kind: CertificateType, row: Enrollment | None, ended: bool, is_next: bool) -> list[RoadStep]:
    if row is None:
        return [RoadStep(step, Standing.AHEAD, kind) for step in _OF_ONE]
    over = row.state in (EnrollmentState.REJECTED, EnrollmentState.UNSENT)
    done = _DONE.get(row.state, 1 if row.reference_number is not None else 0)
    here = Standing.STOPPED if over or ended else Standing.NOW if is_next or done else Standing.AHEAD
    in_doubt = row.state in _IN_DOUBT
    return [
        RoadStep(
            step, Standing.DONE if at < done else here if at == done else Standing.AHEAD, kind, in_doubt and at == done
        )
        for at, step in enumerate(_OF_ONE)
    ]

"""Who is on the road, and the commits of all acts: each holds only while the subject's lease does. What an act does is
in its own module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.issuance import Enrollment, EnrollmentState, Failure, Issuance
from klucznik.domain.preflight import Refusal
from klucznik.domain.waits import Wait, WaitKind
from klucznik.errors import KsefRefused, VerificationFailed
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.login import Login
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.proof import Proof
from klucznik.services.road.limits import KnownLimits
from klucznik.storage import issuances, leases

T = TypeVar("T")

# The lease outlives every HTTP time-out (`services.installation`), so that nobody takes a subject over while a request
# may still be on its way; whoever works renews it, so that a dead worker's subject is free within half a minute.
LEASE_LASTS = timedelta(seconds=25)

# What an enrollment's new state is called in the audit log, where nothing more is known.
_MOVED = {
    EnrollmentState.KEY_COMMITTED: Event.REQUEST_NOT_SENT,
    EnrollmentState.REQUESTED: Event.REQUEST_FILED,
    EnrollmentState.UNKNOWN: Event.ANSWER_LOST,
    EnrollmentState.ISSUED: Event.CERTIFICATE_ISSUED,
    EnrollmentState.REJECTED: Event.REQUEST_REJECTED,
}


@dataclass
class Looking:
    """What is looked for again and again on this walk.

    Attributes:
        looks: how many times in a row.
        rested: whether the pause before the next look is over.
    """

    kind: WaitKind | None = None
    looks: int = 0
    rested: bool = False


@dataclass
class Road:
    """One walk on the road of an issuance, while `lease` lasts.

    Attributes:
        stopping: asked between two acts; True: this process is to end, so the rest is left to whoever is woken next.
        refusal, proofs: what a caller who waits is told beside the rows.
        before: what was waited for until now; None once something has changed.
    """

    installation: Installation
    login: Login
    lease: leases.Lease
    listener: Listener = unheard
    stopping: Callable[[], bool] = lambda: False
    refusal: Refusal | None = field(default=None, init=False)
    proofs: tuple[Proof, ...] = field(default=(), init=False)
    limits: KnownLimits = field(init=False, repr=False)
    looking: Looking = field(default_factory=Looking, init=False, repr=False)
    before: Wait | None = field(default=None, init=False, repr=False)
    random: Random = field(default_factory=Random, init=False, repr=False)

    def __post_init__(self) -> None:
        self.limits = KnownLimits(self.login, self.installation.clock, self.listener)

    @property
    def now(self) -> datetime:
        return self.installation.clock.now()

    async def rows(self, issuance: Issuance) -> list[Enrollment]:
        return await self.installation.database.read(
            lambda connection: issuances.enrollments_of(connection, issuance.id)
        )

    async def commit(self, work: Callable[[Connection], T], *entries: Entry) -> T:
        """One transaction that holds only while the lease is ours, and `entries` of the audit log in it."""

        def confirmed(connection: Connection) -> T:
            leases.confirm(connection, self.lease, now=self.now, lasts=LEASE_LASTS)
            done = work(connection)
            if entries:
                audit.record(self.installation, connection, self.lease.subject, *entries)
            return done

        return await self.installation.database.write(confirmed)

    async def save(self, issuance: Issuance, *entries: Entry) -> Issuance:
        return await self.commit(lambda connection: issuances.save(connection, issuance, now=self.now), *entries)

    async def move(
        self, enrollment: Enrollment, state: EnrollmentState, event: Event | None = None, **facts: Fact
    ) -> Enrollment:
        self.before = None  # it goes on: a later wait is a new one
        return await self.commit(
            lambda connection: issuances.save_enrollment(connection, enrollment, state, now=self.now),
            told_of(enrollment, event or _MOVED[state], **facts),
        )

    async def reject(
        self,
        enrollment: Enrollment,
        error: KsefRefused | VerificationFailed,
        event: Event = Event.REQUEST_REJECTED,
        **facts: Fact,
    ) -> None:
        if isinstance(error, KsefRefused) and (error.code is not None or error.status is not None):
            failure = Failure(error.code, error.text, " ".join(error.details), error.trace_id)
        else:
            failure = Failure(None, "", reason=error.reason)
        said: dict[str, Fact] = {"code": failure.code, "reason": failure.reason, "trace": failure.trace_id}
        await self.move(replace(enrollment, failure=failure), EnrollmentState.REJECTED, event, **said, **facts)
        self.listener(Progress(Stage.REJECTED, type=enrollment.type, failure=failure))


def told_of(enrollment: Enrollment, event: Event, **facts: Fact) -> Entry:
    """What the audit log is told of one request."""
    known = {
        "type": enrollment.type.value,
        "name": enrollment.name,
        "reference": enrollment.reference_number,
        "serial": enrollment.certificate_serial_number,
    }
    told = {name: value for name, value in {**known, **facts}.items() if value is not None}
    return Entry(event, told, enrollment.issuance_id)

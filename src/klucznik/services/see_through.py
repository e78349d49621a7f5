"""Sees one issuance through for a caller who waits: goes on whenever it may, for as long as a caller can be kept.

Whatever is not done by then goes on later from its row, by the next call, `resume` or a worker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.issuance import EnrollmentState, Issuance, IssuanceState
from klucznik.domain.preflight import Refusal
from klucznik.domain.waits import WaitKind
from klucznik.errors import KsefUnavailable, SubjectBusy
from klucznik.services.advance import Walk, held, take_lease
from klucznik.services.installation import Installation
from klucznik.services.outcomes import Outcome, WaitingForLimits, outcome_of
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.proof import Proof
from klucznik.services.sign_in import SignedIn, Signer
from klucznik.storage import issuances, leases

_BUSY_PAUSE_S = 1.0
# How long a caller is kept waiting: for the subject, and for KSeF.
_BUSY_PATIENCE = timedelta(minutes=2)
_PATIENCE = timedelta(minutes=10)
# Where nothing is missing but the proof, and KSeF does not answer: whoever waits has the certificates.
_PATIENCE_FOR_PROOF = timedelta(minutes=1)

# Under the lease: the issuance to go on with; None: there is nothing to do.
TakeUp = Callable[[leases.Lease], Awaitable[Issuance | None]]


@dataclass
class Errand:
    """Whose issuance it is, and who can sign in for it here.

    Attributes:
        stays_signed_in: where the limits refuse it, leave the session open (`signed_in`) for a way out.
    """

    installation: Installation
    subject: Subject
    context: Context
    signed_in: SignedIn | None = None
    signer: Signer | None = None
    listener: Listener = unheard
    stays_signed_in: bool = False

    async def see_through(self, take_up: TakeUp) -> Outcome | None:
        """Go on until it ends, or waits for limits; None where there is nothing to do.

        Raises:
            KsefUnavailable: KSeF does not answer, or is not done after ten minutes.
            SubjectBusy: the subject is not free within two minutes.
        """
        began = self.installation.clock.now()
        proofs: tuple[Proof, ...] = ()
        refusal: Refusal | None = None
        while True:
            lease = await wait_for_lease(self.installation, self.subject, self.listener)
            async with held(self.installation, lease):
                # Under the lease, look again: whoever held it before us may have gone on with ours.
                issuance = await take_up(lease)
                if issuance is None:
                    return None
                walk = Walk.of(
                    self.installation,
                    issuance,
                    lease,
                    signed_in=self.signed_in,
                    signer=self.signer,
                    listener=self.listener,
                    stays_signed_in=True,
                )
                issuance = await walk.go(issuance)
            proofs += walk.road.proofs
            refusal = walk.road.refusal or refusal
            self.signed_in = walk.login.signed_in
            if issuance.state.ended:
                refused = issuance.state is IssuanceState.REFUSED and refusal is not None
                if not walk.login.is_left_open(issuance) and not (refused and self.stays_signed_in):
                    await walk.login.end()
                return await outcome_of(self.installation, self.context, issuance, refusal, proofs)
            if refusal is not None and issuance.wait is not None and issuance.wait.kind is WaitKind.LIMITS:
                return WaitingForLimits(issuance, refusal)
            await _sit_out(self.installation, issuance, began)


async def _sit_out(installation: Installation, issuance: Issuance, began: datetime) -> None:
    """Wait for what the issuance waits for, unless that is longer than a caller who came at `began` may be kept."""
    wait, now = issuance.wait, installation.clock.now()
    if wait is None or wait.until is None:
        return
    patience = _PATIENCE_FOR_PROOF if wait.kind is WaitKind.KSEF_UNAVAILABLE else _PATIENCE
    at_most = max(began, wait.since) + patience
    # A pace is kept to the second; everything else may be looked at once more before the caller goes.
    until = wait.until if wait.kind is WaitKind.PACED else min(wait.until, at_most)
    if until > at_most or now >= at_most:
        raise await _still_waiting(installation, issuance)
    await installation.clock.sleep(max(0.0, (until - now).total_seconds()))


async def _still_waiting(installation: Installation, issuance: Issuance) -> KsefUnavailable:
    rows = await installation.database.read(lambda connection: issuances.enrollments_of(connection, issuance.id))
    for row in rows:
        if row.state is EnrollmentState.UNKNOWN:
            return KsefUnavailable("enrollment_undecided", name=row.name)
        if row.state is EnrollmentState.REQUESTED:
            return KsefUnavailable("still_processing", reference=row.reference_number)
    unproved = [row for row in rows if row.state is EnrollmentState.RETRIEVED]
    if unproved:
        return KsefUnavailable("proof_pending", held=len(unproved), issuance=issuance.id)
    return KsefUnavailable("issuance_waits", issuance=issuance.id)


async def wait_for_lease(installation: Installation, subject: Subject, listener: Listener) -> leases.Lease:
    """The subject's lease. Whoever holds it is waited for: a dead process' lease ends soon, a living one's work too."""
    clock = installation.clock
    until = clock.now() + _BUSY_PATIENCE
    told = False
    while True:
        try:
            return await take_lease(installation, subject)
        except SubjectBusy as busy:
            if clock.now() >= until:
                raise
            if not told:
                seconds = (busy.until - clock.now()).total_seconds()
                listener(Progress(Stage.SUBJECT_BUSY, seconds=seconds))
                told = True
        await clock.sleep(_BUSY_PAUSE_S)

"""Issue what is missing of a subject's pair: both limits first, then the requests, then the proofs.

The lease of the subject is held from before the limits are read until the road ends (rules 1 and 4 of the design).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Connection

from klucznik.domain.certificates import PAIR, CertificateType, HeldCertificate
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Refusal
from klucznik.domain.waits import LONGEST_WAIT_FOR_LIMITS
from klucznik.errors import KsefError, KsefRefused, KsefUnavailable, SignatureNeeded, SubjectBusy
from klucznik.services import login
from klucznik.services.advance import Walk, held, load, take_lease
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.proof import Proof
from klucznik.services.road import LEASE_LASTS
from klucznik.services.sign_in import SignedIn, Signer, sign_in, signer_for
from klucznik.storage import certificates, issuances, leases

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential


_BUSY_PAUSE_S = 1.0
# How long a caller is kept waiting: for the subject, and for KSeF. Whatever is not done by then goes on later from its
# row, by the next call, `klucznik resume` or a worker.
_BUSY_PATIENCE = timedelta(minutes=2)
_PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True)
class Issued:
    """Certificates were issued and proved; their keys are in the vault."""

    subject: Subject
    context: Context
    certificates: tuple[HeldCertificate, ...]
    limits_before: Limits
    limits_after: Limits
    proofs: tuple[Proof, ...]


@dataclass(frozen=True)
class AlreadyHeld:
    """A valid, proved pair of this subject is in the vault already; KSeF was not asked for anything."""

    subject: Subject
    context: Context
    certificates: tuple[HeldCertificate, ...]


@dataclass(frozen=True)
class WaitingForLimits:
    """The limits leave no room now, and the issuance waits in its row until they do, as was asked for."""

    issuance: Issuance
    refusal: Refusal


Outcome: TypeAlias = Issued | AlreadyHeld | Refusal | WaitingForLimits


async def issue(
    installation: Installation,
    context: Context,
    credential: Credential | None,
    *,
    key_type: KeyType = KeyType.EC,
    another_pair: bool = False,
    wait_for_limits: bool = False,
    listener: Listener = unheard,
) -> Outcome:
    """Issue what the subject lacks of a pair (Authentication and Offline).

    An issuance that was interrupted is finished first, whatever it was started with; an answer that was lost is looked
    for, never asked for twice.

    Args:
        credential: what to sign in with; None: an Authentication certificate from the vault.
        another_pair: issue a whole new pair although a valid one is held.
        wait_for_limits: where the limits leave no room, leave the order waiting for up to 60 days instead of ending it.

    Returns:
        `Refusal` when KSeF's limits do not leave room; then no request was filed.

    Raises:
        KsefRefused: KSeF rejected a sign-in or a request.
        KsefUnavailable: KSeF does not answer, or is not done after ten minutes; calling again goes on where it stopped.
        SubjectBusy: another issuance of the same subject is running and does not end within two minutes.
    """
    signer = await signer_for(installation, context, credential)
    if not another_pair and not await _unfinished(installation, signer.subject):
        pair = await _held_pair(installation, signer.subject)
        if len(pair) == len(PAIR):
            return AlreadyHeld(signer.subject, context, pair)
    signed_in = await sign_in(installation, context, signer, listener=listener)
    order = _Order(installation, signed_in, signer, key_type, another_pair, wait_for_limits, listener)
    return await order.carry_out()


@dataclass
class _Order:
    """What was asked for, and the login it was asked with."""

    installation: Installation
    signed_in: SignedIn
    signer: Signer
    key_type: KeyType
    another_pair: bool
    wait_for_limits: bool
    listener: Listener

    async def carry_out(self) -> Outcome:
        """Order and see it through, waiting as long as a caller may be kept."""
        began = self.installation.clock.now()
        signed_in: SignedIn | None = self.signed_in
        issuance: Issuance | None = None
        proofs: tuple[Proof, ...] = ()
        while True:
            lease = await self._lease(ordered=issuance is not None)
            async with held(self.installation, lease):
                # Under the lease, look again: whoever held it before us may have issued the pair, or gone on with ours.
                issuance = await self._taken_up(issuance, lease)
                if issuance is None:
                    await end(self.signed_in)
                    pair = await _held_pair(self.installation, self.signed_in.subject)
                    return AlreadyHeld(self.signed_in.subject, self.signed_in.context, pair)
                walk = Walk.of(
                    self.installation, issuance, lease, signed_in=signed_in, signer=self.signer, listener=self.listener
                )
                issuance = await walk.go(issuance)
            proofs += walk.road.proofs
            if issuance.state.ended:
                return await _outcome(self.installation, self.signed_in.context, issuance, walk.road.refusal, proofs)
            if walk.road.refusal is not None:
                return WaitingForLimits(issuance, walk.road.refusal)
            signed_in = walk.login.signed_in
            await _sit_out(self.installation, issuance, began)

    async def _lease(self, *, ordered: bool) -> leases.Lease:
        try:
            return await _wait_for_lease(self.installation, self.signed_in.subject, self.listener)
        except SubjectBusy:
            if not ordered:
                await end(self.signed_in)
            raise

    async def _taken_up(self, issuance: Issuance | None, lease: leases.Lease) -> Issuance | None:
        """Our own issuance, or one of this subject that has not ended, or a new one; None: nothing is missing."""
        if issuance is not None:
            return await load(self.installation, issuance.id)
        subject = self.signed_in.subject
        unfinished = await _unfinished(self.installation, subject)
        if unfinished is not None:
            return unfinished
        pair = () if self.another_pair else await _held_pair(self.installation, subject)
        missing = tuple(kind for kind in PAIR if kind not in {certificate.type for certificate in pair})
        return await self._plan(lease, missing) if missing else None

    async def _plan(self, lease: leases.Lease, missing: tuple[CertificateType, ...]) -> Issuance:
        now = self.installation.clock.now()
        issuance = Issuance(
            id=secrets.token_hex(16),
            environment=self.installation.environment,
            context=self.signed_in.context,
            subject=self.signed_in.subject,
            key_type=self.key_type,
            state=IssuanceState.PLANNED,
            missing=missing,
            created_at=now,
            limits_until=now + LONGEST_WAIT_FOR_LIMITS if self.wait_for_limits else None,
        )
        sealed = login.seal(self.installation, issuance, self.signed_in)

        def commit(connection: Connection) -> None:
            leases.confirm(connection, lease, now=now, lasts=LEASE_LASTS)
            issuances.add(connection, issuance, now=now)
            if sealed is not None:
                login.keep(connection, sealed, self.signed_in)

        await self.installation.database.write(commit)
        return issuance


async def _sit_out(installation: Installation, issuance: Issuance, began: datetime) -> None:
    """Wait for what the issuance waits for, unless that is longer than a caller who came at `began` may be kept."""
    wait = issuance.wait
    if wait is None or wait.until is None:
        return
    if wait.until > max(began, wait.since) + _PATIENCE:
        raise await _still_waiting(installation, issuance)
    await installation.clock.sleep(max(0.0, (wait.until - installation.clock.now()).total_seconds()))


async def _still_waiting(installation: Installation, issuance: Issuance) -> KsefUnavailable:
    rows = await installation.database.read(lambda connection: issuances.enrollments_of(connection, issuance.id))
    for row in rows:
        if row.state is EnrollmentState.UNKNOWN:
            return KsefUnavailable("enrollment_undecided", name=row.name)
        if row.state is EnrollmentState.REQUESTED:
            return KsefUnavailable("still_processing", reference=row.reference_number)
    return KsefUnavailable("issuance_waits", issuance=issuance.id)


async def _outcome(
    installation: Installation, context: Context, ended: Issuance, refusal: Refusal | None, proofs: tuple[Proof, ...]
) -> Outcome:
    rows = await installation.database.read(lambda connection: issuances.enrollments_of(connection, ended.id))
    if ended.state is IssuanceState.DONE and ended.limits_before and ended.limits_after:
        held_now = await installation.database.read(lambda connection: _certificates_of(connection, ended, rows))
        return Issued(ended.subject, context, tuple(held_now), ended.limits_before, ended.limits_after, proofs)
    if ended.state is IssuanceState.REFUSED and refusal is not None:
        return refusal
    failure = next((row.failure for row in rows if row.failure is not None), None)
    saved = sum(row.certificate_serial_number is not None for row in rows)
    if failure is None:
        raise KsefRefused("issuance_stopped", saved=saved)
    if failure.reason is not None:
        raise KsefRefused(failure.reason, saved=saved)
    raise KsefRefused(
        "enrollment_rejected",
        code=failure.code,
        text=failure.text,
        details=(failure.details,) if failure.details else (),
        trace_id=failure.trace_id,
        saved=saved,
    )


def _certificates_of(connection: Connection, issuance: Issuance, rows: list[Enrollment]) -> list[HeldCertificate]:
    serial_numbers = {row.certificate_serial_number for row in rows}
    mine = certificates.of_subject(connection, issuance.environment, issuance.subject)
    return sorted(
        (certificate for certificate in mine if certificate.serial_number in serial_numbers),
        key=lambda certificate: PAIR.index(certificate.type),
    )


async def _unfinished(installation: Installation, subject: Subject) -> Issuance | None:
    return await installation.database.read(
        lambda connection: issuances.running(connection, installation.environment, subject)
    )


async def _held_pair(installation: Installation, subject: Subject) -> tuple[HeldCertificate, ...]:
    """The newest usable certificate of each type."""
    held = await installation.database.read(
        lambda connection: certificates.of_subject(connection, installation.environment, subject)
    )
    now = installation.clock.now()
    newest: dict[CertificateType, HeldCertificate] = {}
    for certificate in held:
        if certificate.usable(now):
            newest.setdefault(certificate.type, certificate)
    return tuple(newest[kind] for kind in PAIR if kind in newest)


async def _wait_for_lease(installation: Installation, subject: Subject, listener: Listener) -> leases.Lease:
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


async def end(signed_in: SignedIn) -> None:
    """Leave no open session behind. The work is done either way, so a failure here is nobody's problem."""
    try:
        await signed_in.session.end()
    except (KsefError, SignatureNeeded):
        return

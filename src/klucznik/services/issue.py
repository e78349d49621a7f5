"""Issue what is missing of a subject's pair: both limits first, then the requests, then the proofs.

The lease of the subject is held from before the limits are read until the road ends (rules 1 and 4 of the design).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Connection

from klucznik.domain.certificates import PAIR, CertificateType, HeldCertificate
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.issuance import Enrollment, Issuance, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Refusal
from klucznik.errors import KsefError, KsefRefused, SubjectBusy
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.proof import Proof
from klucznik.services.road import LEASE_LASTS, Road
from klucznik.services.sign_in import SignedIn, sign_in, signer_for
from klucznik.storage import certificates, issuances, leases

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential


_BUSY_PAUSE_S = 1.0


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


Outcome: TypeAlias = Issued | AlreadyHeld | Refusal


async def issue(
    installation: Installation,
    context: Context,
    credential: Credential | None,
    *,
    key_type: KeyType = KeyType.EC,
    another_pair: bool = False,
    listener: Listener = unheard,
) -> Outcome:
    """Issue what the subject lacks of a pair (Authentication and Offline).

    An issuance that was interrupted is finished first, whatever it was started with; an answer that was lost is looked
    for, never asked for twice.

    Args:
        credential: what to sign in with; None: an Authentication certificate from the vault.
        another_pair: issue a whole new pair although a valid one is held.

    Returns:
        `Refusal` when KSeF's limits do not leave room; then no request was filed.

    Raises:
        KsefRefused: KSeF rejected a sign-in or a request.
        KsefUnavailable: KSeF does not answer; calling again goes on where it stopped.
        SubjectBusy: another issuance of the same subject is running and does not end within two minutes.
    """
    signer = await signer_for(installation, context, credential)
    if not another_pair and not await _unfinished(installation, signer.subject):
        pair = await _held_pair(installation, signer.subject)
        if len(pair) == len(PAIR):
            return AlreadyHeld(signer.subject, context, pair)
    signed_in = await sign_in(installation, context, signer, listener=listener)
    try:
        lease = await _take_lease(installation, signer.subject, listener)
        try:
            return await _issue(
                installation, signed_in, lease, key_type=key_type, another_pair=another_pair, listener=listener
            )
        finally:
            await installation.database.write(
                lambda connection: leases.give_back(connection, lease, now=installation.clock.now())
            )
    finally:
        await _end(signed_in)


async def _issue(
    installation: Installation,
    signed_in: SignedIn,
    lease: leases.Lease,
    *,
    key_type: KeyType,
    another_pair: bool,
    listener: Listener,
) -> Outcome:
    # Under the lease, look again: whoever held it before us may have issued the pair.
    issuance = await _unfinished(installation, signed_in.subject)
    if issuance is None:
        pair = () if another_pair else await _held_pair(installation, signed_in.subject)
        missing = tuple(kind for kind in PAIR if kind not in {certificate.type for certificate in pair})
        if not missing:
            return AlreadyHeld(signed_in.subject, signed_in.context, pair)
        issuance = await _plan(installation, signed_in, lease, key_type, missing)
    road = Road(installation, signed_in, lease, listener)
    ended = await road.advance(issuance)
    return await _outcome(installation, signed_in.context, ended, road)


async def _outcome(installation: Installation, context: Context, ended: Issuance, road: Road) -> Outcome:
    rows = await installation.database.read(lambda connection: issuances.enrollments_of(connection, ended.id))
    if ended.state is IssuanceState.DONE and ended.limits_before and ended.limits_after:
        held = await installation.database.read(lambda connection: _certificates_of(connection, ended, rows))
        return Issued(ended.subject, context, tuple(held), ended.limits_before, ended.limits_after, road.proofs)
    if ended.state is IssuanceState.REFUSED and road.refusal is not None:
        return road.refusal
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


async def _take_lease(installation: Installation, subject: Subject, listener: Listener) -> leases.Lease:
    """The subject's lease. Whoever holds it is waited for, as long as a lease of a dead process may last."""
    clock = installation.clock
    until = clock.now() + LEASE_LASTS

    def take(connection: Connection) -> leases.Lease:
        return leases.take(
            connection,
            installation.environment,
            subject,
            owner=installation.owner,
            now=clock.now(),
            lasts=LEASE_LASTS,
        )

    told = False
    while True:
        try:
            return await installation.database.write(take)
        except SubjectBusy as busy:
            if clock.now() >= until:
                raise
            if not told:
                seconds = (busy.until - clock.now()).total_seconds()
                listener(Progress(Stage.SUBJECT_BUSY, seconds=seconds))
                told = True
        await clock.sleep(_BUSY_PAUSE_S)


async def _plan(
    installation: Installation,
    signed_in: SignedIn,
    lease: leases.Lease,
    key_type: KeyType,
    missing: tuple[CertificateType, ...],
) -> Issuance:
    now = installation.clock.now()
    issuance = Issuance(
        id=secrets.token_hex(16),
        environment=installation.environment,
        context=signed_in.context,
        subject=signed_in.subject,
        key_type=key_type,
        state=IssuanceState.PLANNED,
        missing=missing,
        created_at=now,
    )

    def commit(connection: Connection) -> None:
        leases.confirm(connection, lease, now=now, lasts=LEASE_LASTS)
        issuances.add(connection, issuance, now=now)

    await installation.database.write(commit)
    return issuance


async def _end(signed_in: SignedIn) -> None:
    """Leave no open session behind. The work is done either way, so a failure here is nobody's problem."""
    try:
        await signed_in.session.end()
    except KsefError:
        return

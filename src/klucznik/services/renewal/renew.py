"""Renew the certificates of one subject: sign in with the one that is still valid, new keys, new requests, proofs.

A renewal is an issuance that says what it replaces, so it is as durable and as careful as any other: limits first,
interrupted ones are taken on again, nothing is asked for twice. What comes after it (hooks, the old certificates) is
`services.renewal.deploy`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.certificates import CertificateType, HeldCertificate
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.preflight import Refusal
from klucznik.errors import (
    InputError,
    KlucznikError,
    KsefUnavailable,
    SignatureNeeded,
    SignInRefused,
    SubjectBusy,
)
from klucznik.services import audit, login
from klucznik.services.advance import held, load, take_lease
from klucznik.services.installation import Installation
from klucznik.services.outcomes import Issued, WaitingForLimits
from klucznik.services.progress import Listener, unheard
from klucznik.services.renewal import renewals
from klucznik.services.renewal.renewals import Standing
from klucznik.services.road import LEASE_LASTS
from klucznik.services.see_through import Errand
from klucznik.services.sign_in import SignedIn, Signer, sign_in, sign_out, signer_from_vault
from klucznik.storage import certificates, issuances, leases

# Status of a sign-in into a context in which the subject has no rights (facts.md §2.7): another company may let it in.
_NO_RIGHTS_HERE = 415


class RenewalEnd(StrEnum):
    """How a renewal came out, or why there was none."""

    RENEWED = "renewed"
    NOT_DUE = "not_due"
    UNDER_WAY = "under_way"  # KSeF does not answer or is not done, or somebody else is at it: it goes on by itself
    REFUSED_BY_LIMITS = "refused_by_limits"
    NEEDS_SIGNATURE = "needs_signature"  # nothing in the vault signs in any more
    PAUSED = "paused"  # KSeF has rejected one lately
    FAILED = "failed"


@dataclass(frozen=True)
class Renewal:
    """What became of the renewal of one subject.

    Attributes:
        certificates: the new ones.
        issuance: what issued them.
        next_at: when it is looked at again, where that is known.
    """

    standing: Standing
    end: RenewalEnd
    certificates: tuple[HeldCertificate, ...] = ()
    issuance: Issuance | None = None
    refusal: Refusal | None = None
    error: KlucznikError | None = None
    next_at: datetime | None = None


async def renew(
    installation: Installation, subject: Subject, *, early: bool = False, listener: Listener = unheard
) -> Renewal | None:
    """Renew what is due, and see it through; an issuance of this subject that was interrupted is finished first.

    Args:
        early: renew all that is in service, due or not, and whatever became of the last renewal.

    Returns:
        None where the subject has nothing in service. What went wrong is in the `Renewal`: a batch goes on.
    """
    standing = await renewals.standing_of(installation, subject, early=early)
    if standing is None:
        return None
    if standing.running is None or standing.running.replaces is not None:
        return await _renew(installation, standing, early=early, listener=listener)
    finished = await _renew(installation, standing, early=False, listener=listener)
    standing = await renewals.standing_of(installation, subject, early=early) or standing
    if finished.end is not RenewalEnd.RENEWED or not standing.plan.due:
        return finished
    return await _renew(installation, standing, early=early, listener=listener)


async def order_renewal(
    installation: Installation, subject: Subject, *, early: bool = False, listener: Listener = unheard
) -> Issuance | None:
    """Order what is due of a subject and leave it to whoever is woken; None: nothing is to be ordered now.

    Args:
        early: order all that is in service, due or not, and whatever became of the last renewal.

    Raises:
        SubjectBusy: somebody is at work for this subject.
        SignatureNeeded: ``renewal_needs_signature``: nothing in the vault can sign in.
        KlucznikError: KSeF does not let it in, or does not answer.
    """
    lease = await take_lease(installation, subject)
    ordering = _Ordering(installation, subject, early=early, listener=listener)
    async with held(installation, lease):
        standing = await renewals.standing_of(installation, subject, early=early)
        if standing is None or standing.running is not None:
            return None
        if (nothing := _nothing_to_do(standing, installation.clock.now(), early=early)) is not None:
            if nothing.error is not None:
                raise nothing.error
            return None
        ordered = await ordering.take_up(lease)
    if ordered is not None:
        await installation.wake(ordered.id)  # after the lease was given back: whoever is woken may begin at once
    return ordered


async def order_renewals(
    installation: Installation, context: Context, *, listener: Listener = unheard
) -> list[tuple[Standing, Issuance | None]]:
    """Order what is due of those whose certificates act for a company; errors as of `order_renewal`.

    Returns:
        for each of them how it stood, and the issuance that renews it or that runs already.
    """
    found = await renewals.standings(installation, await renewals.subjects_of(installation, context))
    return [(one, one.running or await order_renewal(installation, one.subject, listener=listener)) for one in found]


async def _renew(installation: Installation, standing: Standing, *, early: bool, listener: Listener) -> Renewal:
    nothing = _nothing_to_do(standing, installation.clock.now(), early=early)
    return nothing or await _see_through(installation, standing, early=early, listener=listener)


def _nothing_to_do(standing: Standing, now: datetime, *, early: bool) -> Renewal | None:
    if standing.running is not None:
        return None
    plan = standing.plan
    if not plan.due:
        return Renewal(standing, RenewalEnd.NOT_DUE, next_at=plan.due_at)
    if not standing.companies:
        no_company = InputError("renewal_company_unknown", subject=str(standing.subject))
        return Renewal(standing, RenewalEnd.FAILED, error=no_company)
    if plan.signs_in_until is None:
        return Renewal(standing, RenewalEnd.NEEDS_SIGNATURE, error=_signature_needed(standing))
    if standing.not_before is not None and now < standing.not_before and not early:
        return Renewal(standing, RenewalEnd.PAUSED, next_at=standing.not_before)
    return None


async def _see_through(installation: Installation, standing: Standing, *, early: bool, listener: Listener) -> Renewal:
    ordering = _Ordering(installation, standing.subject, early=early, listener=listener)
    errand = Errand(installation, standing.subject, standing.companies[0], listener=listener)

    async def take_up(lease: leases.Lease) -> Issuance | None:
        issuance = await ordering.take_up(lease)
        if issuance is not None:
            errand.context, errand.signed_in = issuance.context, ordering.signed_in or errand.signed_in
            ordering.signed_in = None
        return issuance

    try:
        outcome = await errand.see_through(take_up)
    except KlucznikError as error:
        return await _stopped(installation, standing, error)
    if outcome is None:  # somebody else has renewed it meanwhile
        return Renewal(standing, RenewalEnd.NOT_DUE)
    if isinstance(outcome, Issued):
        return Renewal(standing, RenewalEnd.RENEWED, outcome.certificates, issuance=ordering.issuance)
    if isinstance(outcome, WaitingForLimits):
        wait = outcome.issuance.wait
        until = None if wait is None else wait.until
        return Renewal(standing, RenewalEnd.REFUSED_BY_LIMITS, refusal=outcome.refusal, next_at=until)
    refusal = outcome if isinstance(outcome, Refusal) else None
    return Renewal(standing, RenewalEnd.REFUSED_BY_LIMITS, refusal=refusal)


async def _stopped(installation: Installation, standing: Standing, error: KlucznikError) -> Renewal:
    running = await installation.database.read(
        lambda connection: issuances.running(connection, installation.environment, standing.subject)
    )
    until = None if running is None or running.wait is None else running.wait.until
    if isinstance(error, SignatureNeeded) or (isinstance(error, SignInRefused) and not error.passing):
        return Renewal(standing, RenewalEnd.NEEDS_SIGNATURE, error=error)
    if isinstance(error, SubjectBusy) or (isinstance(error, KsefUnavailable) and running is not None):
        return Renewal(standing, RenewalEnd.UNDER_WAY, error=error, next_at=until)
    return Renewal(standing, RenewalEnd.FAILED, error=error, next_at=until)


@dataclass
class _Ordering:
    """Takes up what is due under the lease: what is running, or a new issuance with a login of its own."""

    installation: Installation
    subject: Subject
    early: bool
    listener: Listener = unheard
    issuance: Issuance | None = None
    signed_in: SignedIn | None = field(default=None, repr=False)

    async def take_up(self, lease: leases.Lease) -> Issuance | None:
        """The subject's running issuance, or a new one; None: nothing is due any more."""
        if self.issuance is not None:
            return await load(self.installation, self.issuance.id)
        standing = await renewals.standing_of(self.installation, self.subject, early=self.early)
        if standing is None:
            return None
        issuance = standing.running
        if issuance is None:
            if not standing.plan.due:
                return None
            issuance = await self._order(lease, standing)
        self.issuance = issuance
        return issuance

    async def _order(self, lease: leases.Lease, standing: Standing) -> Issuance:
        """Sign in, and plan. In this order: in which company the subject is let in is known only then."""
        signed_in = await self._sign_in(standing)
        try:
            issuance = await self._plan(lease, standing, signed_in)
        except KlucznikError:
            await sign_out(signed_in)
            raise
        self.signed_in = signed_in
        return issuance

    async def _sign_in(self, standing: Standing) -> SignedIn:
        """With the certificate that is still valid, in the first company that lets it in."""
        signer = await self._signer(standing)
        refused: SignInRefused | None = None
        for context in standing.companies:
            try:
                return await sign_in(self.installation, context, signer, listener=self.listener)
            except SignInRefused as error:
                if error.code != _NO_RIGHTS_HERE:
                    raise
                refused = refused or error
        raise refused or _signature_needed(standing)

    async def _signer(self, standing: Standing) -> Signer:
        now = self.installation.clock.now()
        mine = await self.installation.database.read(
            lambda connection: certificates.of_subject(connection, self.installation.environment, self.subject)
        )
        for certificate in mine:
            if certificate.type is CertificateType.AUTHENTICATION and certificate.usable(now):
                return await signer_from_vault(self.installation, certificate)
        raise _signature_needed(standing)

    async def _plan(self, lease: leases.Lease, standing: Standing, signed_in: SignedIn) -> Issuance:
        now, plan = self.installation.clock.now(), standing.plan
        issuance = Issuance(
            id=secrets.token_hex(16),
            environment=self.installation.environment,
            context=signed_in.context,
            subject=self.subject,
            key_type=_key_type(plan.in_service[0]),
            state=IssuanceState.PLANNED,
            missing=plan.due,
            created_at=now,
            # Room may come while the old certificate can still sign in.
            limits_until=plan.signs_in_until,
            replaces=plan.replaces,
            keys_on_token=plan.in_service[0].key_on_token,
        )
        sealed = login.seal(self.installation, issuance, signed_in)

        def commit(connection: Connection) -> None:
            leases.confirm(connection, lease, now=now, lasts=LEASE_LASTS)
            issuances.add(connection, issuance, now=now)
            if sealed is not None:
                login.keep(connection, sealed, signed_in)
            audit.record(self.installation, connection, self.subject, _ordered(issuance))

        await self.installation.database.write(commit)
        return issuance


def _signature_needed(standing: Standing) -> SignatureNeeded:
    return SignatureNeeded("renewal_needs_signature", nip=standing.companies[0].value)


def _key_type(certificate: HeldCertificate) -> KeyType:
    """Programs that took an RSA key take one again."""
    key = x509.load_der_x509_certificate(certificate.der).public_key()
    return KeyType.RSA if isinstance(key, rsa.RSAPublicKey) else KeyType.EC


def _ordered(issuance: Issuance) -> Entry:
    facts: dict[str, Fact] = {
        "context": issuance.context.value,
        "missing": [kind.value for kind in issuance.missing],
        "key_type": issuance.key_type.value,
        "replaces": list(issuance.replaces or ()),
    }
    return Entry(Event.ISSUANCE_ORDERED, facts, issuance.id)

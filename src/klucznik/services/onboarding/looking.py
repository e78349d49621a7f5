"""What is known before anybody says yes: whose the limits are, what they leave, what is here; or the refusal."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event, Fact, limits_facts
from klucznik.domain.certificates import PAIR, CertificateType, HeldCertificate
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.limits import Limits
from klucznik.domain.onboarding import Onboarding, OnboardingState, limits_told
from klucznik.domain.preflight import Finding, Refusal, preflight
from klucznik.domain.roles import Principal
from klucznik.errors import SignatureNeeded
from klucznik.services import audit, refusals
from klucznik.services.installation import Installation
from klucznik.services.issue import held_pair
from klucznik.services.onboarding import logins, rows
from klucznik.services.reserve import kept_back
from klucznik.services.sign_in import SignedIn

# A page that is looked at again within this time shows what KSeF told last.
_FRESH = timedelta(seconds=30)
_TO_LOOK = (OnboardingState.LIMITS, OnboardingState.REFUSED)


@dataclass(frozen=True)
class Look:
    """What a person decides on.

    Attributes:
        onboarding: with the subject, both limits and when they were told; refused or not, its state says.
        held: usable certificates of the subject in the vault; nothing is requested for them.
        missing: what would be requested: one request and one slot each. Empty: the pair is here, and nothing is spent.
        reserved: requests kept back for renewals.
    """

    onboarding: Onboarding
    held: tuple[HeldCertificate, ...]
    missing: tuple[CertificateType, ...]
    reserved: int

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Why not, by the limits as they were told last; empty: go."""
        limits = self.onboarding.limits
        return (
            () if limits is None or not self.missing else preflight(limits, len(self.missing), reserved=self.reserved)
        )


async def look(installation: Installation, onboarding_id: str, by: Principal, *, anew: bool = False) -> Look:
    """The limits of who has signed, and what follows from them. Spends nothing.

    KSeF is asked where what it told is older than half a minute, or was never told. A refusal is kept with all of its
    evidence and shown as of its date until somebody asks `anew`.

    Raises:
        InputError: ``onboarding_unknown``.
        SignatureNeeded: ``onboarding_login_over``: the onboarding is back at the signature.
        KsefUnavailable, KsefRefused: KSeF does not tell.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by)
    if onboarding.state not in _TO_LOOK or not (anew or _stale(installation, onboarding)):
        return await known(installation, onboarding)
    async with logins.session_of(installation, onboarding) as signed_in:
        return await look_anew(installation, onboarding, signed_in)


async def known(installation: Installation, onboarding: Onboarding) -> Look:
    """What the rows say; KSeF is not asked."""
    if onboarding.subject is None:
        return Look(onboarding, (), PAIR, 0)
    held = await held_pair(installation, onboarding.subject)
    missing = _missing(held)
    return Look(onboarding, held, missing, await kept_back(installation, _would_be(onboarding, missing)))


async def look_anew(installation: Installation, onboarding: Onboarding, signed_in: SignedIn) -> Look:
    """Ask KSeF, and save what it tells; `signed_in` is the subject of the onboarding."""
    limits = await signed_in.session.limits()
    found = await known(installation, onboarding)
    told = Look(
        limits_told(onboarding, limits, installation.clock.now(), None), found.held, found.missing, found.reserved
    )
    refusal = None
    if told.findings:
        issuance = _would_be(onboarding, told.missing)
        refusal = await refusals.explain(installation, signed_in, issuance, limits, told.findings, told.missing)
    return Look(await _saved(installation, onboarding, limits, refusal), found.held, found.missing, found.reserved)


async def _saved(
    installation: Installation, onboarding: Onboarding, limits: Limits, refusal: Refusal | None
) -> Onboarding:
    """Two who look at the same moment both see; what was decided meanwhile stays decided."""
    now = installation.clock.now()

    def commit(transaction: Transaction) -> Onboarding:
        there = rows.to_change(installation, transaction, onboarding.id)
        if there.state not in _TO_LOOK or there.subject != onboarding.subject:
            return there
        saved = rows.save(installation, transaction, limits_told(there, limits, now, refusal))
        if refusal is not None and there.refusal is None:
            audit.record(installation, transaction, refusal.subject, _refused(refusal))
        return saved

    return await installation.database.write(commit)


def _refused(refusal: Refusal) -> Entry:
    facts: dict[str, Fact] = {
        "context": refusal.context.value,
        "limits": limits_facts(refusal.limits),
        "needed": refusal.needed,
        "kept_back": max(finding.reserved for finding in refusal.reasons),
        "reasons": [finding.code.value for finding in refusal.reasons],
    }
    return Entry(Event.PREFLIGHT_REFUSED, facts)


def _stale(installation: Installation, onboarding: Onboarding) -> bool:
    if onboarding.limits_at is None:
        return True
    if onboarding.state is OnboardingState.REFUSED:
        return False
    return installation.clock.now() - onboarding.limits_at > _FRESH


def _missing(held: Sequence[HeldCertificate]) -> tuple[CertificateType, ...]:
    there = {certificate.type for certificate in held}
    return tuple(kind for kind in PAIR if kind not in there)


def _would_be(onboarding: Onboarding, missing: tuple[CertificateType, ...]) -> Issuance:
    """What would be ordered; it is in no row."""
    if onboarding.subject is None:
        raise SignatureNeeded("onboarding_login_over")
    return Issuance(
        id=secrets.token_hex(16),
        environment=onboarding.environment,
        context=onboarding.context,
        subject=onboarding.subject,
        key_type=KeyType.EC,
        state=IssuanceState.PLANNED,
        missing=missing,
        created_at=onboarding.created_at,
    )

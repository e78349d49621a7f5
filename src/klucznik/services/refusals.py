"""Gathers the evidence of a refusal: what the subject holds, what it has requested, which ways out remain."""

from __future__ import annotations

from klucznik.domain import remedies
from klucznik.domain.certificates import CertificateRecord
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Finding, Refusal, likely_causes
from klucznik.domain.renewal_window import REQUEST_WINDOW
from klucznik.errors import KsefError
from klucznik.services.installation import Installation
from klucznik.services.sign_in import SignedIn
from klucznik.storage import certificates, issuances


async def explain(
    installation: Installation, signed_in: SignedIn, limits: Limits, findings: tuple[Finding, ...], *, needed: int
) -> Refusal:
    """The refusal with causes and ways out. Only reads; where KSeF does not list the certificates, says less."""
    subject, environment, now = signed_in.subject, installation.environment, installation.clock.now()
    try:
        listed: list[CertificateRecord] = [record async for record in signed_in.session.certificates()]
    except KsefError:
        listed = []
    held, requested_at = await installation.database.read(
        lambda connection: (
            certificates.of_subject(connection, environment, subject),
            issuances.requests_since(
                connection,
                environment,
                subject,
                now - REQUEST_WINDOW,
                apart_from={record.serial_number for record in listed},
            ),
        )
    )
    return Refusal(
        subject=subject,
        limits=limits,
        needed=needed,
        reasons=findings,
        causes=likely_causes(limits, findings),
        remedies=remedies.plan(
            limits,
            needed,
            certificates=listed,
            held_keys=frozenset(certificate.serial_number for certificate in held),
            requested_at=requested_at,
            now=now,
        ),
    )

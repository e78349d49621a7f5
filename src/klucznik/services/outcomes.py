"""How an issuance comes out, for whoever ordered it or took it on again. Data, not words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Connection

from klucznik.domain.certificates import PAIR, HeldCertificate
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.issuance import Enrollment, Issuance, IssuanceState, unreplaced
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Refusal
from klucznik.errors import KsefRefused
from klucznik.services.installation import Installation
from klucznik.services.proof import Proof
from klucznik.storage import certificates, issuances


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


async def outcome_of(
    installation: Installation, context: Context, ended: Issuance, refusal: Refusal | None, proofs: tuple[Proof, ...]
) -> Outcome:
    rows = await installation.database.read(lambda connection: issuances.enrollments_of(connection, ended.id))
    if ended.state is IssuanceState.DONE and ended.limits_before and ended.limits_after:
        held_now = await installation.database.read(lambda connection: certificates_of(connection, ended, rows))
        return Issued(ended.subject, context, tuple(held_now), ended.limits_before, ended.limits_after, proofs)
    if ended.state is IssuanceState.REFUSED and refusal is not None:
        return refusal
    failure = next((row.failure for row in unreplaced(rows) if row.failure is not None), None)
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


def certificates_of(connection: Connection, issuance: Issuance, rows: Sequence[Enrollment]) -> list[HeldCertificate]:
    """What has been issued by it and is in the vault, the one for signing in first."""
    serial_numbers = {row.certificate_serial_number for row in rows} - {None}
    if not serial_numbers:
        return []
    mine = certificates.of_subject(connection, issuance.environment, issuance.subject)
    return sorted(
        (certificate for certificate in mine if certificate.serial_number in serial_numbers),
        key=lambda certificate: PAIR.index(certificate.type),
    )

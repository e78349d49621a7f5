"""Certificates and limits: what is here, and what KSeF says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from klucznik.api.models.parts import Certificate, Company, Limits, Model, Moment, NipInBody, SerialNumber, Subject
from klucznik.domain.certificates import CertificateStatus, CertificateType, Origin, RevocationReason


class SubjectLimits(Model):
    """Both limits, and whose they are."""

    subject: Subject
    context: Company
    limits: Limits


class VaultCertificate(Certificate):
    """A certificate whose key is here, and whose it is."""

    subject: Subject
    origin: Origin
    revoked_at: Moment | None = Field(description="When we learned that it is revoked")
    programs: list[str] = Field(description="Programs that it was exported for")


class CertificatePage(Model):
    """A page of certificates whose keys are here, by serial number."""

    items: list[VaultCertificate]
    next: str | None = Field(description="The cursor of the next page; null: this is the last", examples=[None])


class VaultCertificateDetail(VaultCertificate):
    """With the certificate itself. The key is never in an answer."""

    pem: Annotated[str, StringConstraints(pattern=r"^-----BEGIN CERTIFICATE-----\n")] = Field(
        examples=["-----BEGIN CERTIFICATE-----\nMIIC…\n-----END CERTIFICATE-----\n"]
    )


class ListedCertificate(Model):
    """A certificate as KSeF lists it."""

    type: CertificateType
    serial: SerialNumber
    name: str
    status: CertificateStatus
    valid_from: Moment
    valid_to: Moment
    requested_at: Moment
    last_used_at: Moment | None
    key_in_vault: bool = Field(description="Whether its key is here")


class ListedCertificates(Model):
    """All certificates of a subject, in all its companies."""

    subject: Subject
    certificates: list[ListedCertificate]


class NewRevocation(Model):
    """A revocation. It is final: it frees a certificate slot, never a request."""

    nip: NipInBody = Field(description="The connected company whose subject holds the certificate")
    reason: RevocationReason = RevocationReason.UNSPECIFIED
    end_sessions: bool = Field(
        default=False, description="End the subject's other sessions in this company too: revoking closes none"
    )


class Revocation(Model):
    """What was revoked."""

    serial: SerialNumber
    type: CertificateType
    name: str
    key_in_vault: bool
    programs: list[str] = Field(description="Programs that it was exported for: they will notice")
    sessions_ended: int | None = Field(description="null: that was not asked for")

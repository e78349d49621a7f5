"""Who signed a document elsewhere, and whether KSeF will let that certificate in (facts.md §2.3, §2.5).

Pure. The signature itself is `ksef.signed_document`; what the document was signed for is `services.signing`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509

from klucznik.domain.certificates import CertificateType
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.values import InvalidValue
from klucznik.errors import SignedDocumentError
from klucznik.keys import names
from klucznik.keys.holder import Holder, HolderKind, read_holder
from klucznik.keys.ksef_certificate import KsefCertificateFacts, inspect_ksef_certificate
from klucznik.ksef.auth_request import SubjectIdentifierType, identifier_type_of
from klucznik.ksef.signed_document import SignedDocument, check_signed_document
from klucznik.services.sign_in import other_environment, self_signed_in_vain

# A certificate for one signature begins at this very moment, by its issuer's clock.
_CLOCKS_APART = timedelta(minutes=5)


class SignedWith(StrEnum):
    """What kind of certificate signed."""

    PERSON = "person"
    SEAL = "seal"
    TRUSTED_PROFILE = "trusted_profile"  # the Ministry's seal, put for a person
    KSEF = "ksef"
    FINGERPRINT = "fingerprint"  # a certificate without an identity that KSeF reads


class Doubt(StrEnum):
    """What KSeF allows and may refuse all the same."""

    RSA_PSS = "rsa_pss"
    TRUSTED_PROFILE = "trusted_profile"


@dataclass(frozen=True)
class SignedBy:
    """Who signed. Dates are UTC.

    Attributes:
        subject: whose the limits and the certificates will be.
        serial_number: of the certificate, upper-case hexadecimal.
        issuer: common name of the certificate's issuer.
    """

    subject: Subject
    signed_with: SignedWith
    common_name: str | None = field(repr=False)
    issuer: str | None = field(repr=False)
    serial_number: str
    valid_from: datetime
    valid_to: datetime
    doubts: tuple[Doubt, ...] = ()


def check_signed(
    signed: bytes, given: bytes, *, environment: Environment, now: datetime, wanted: Subject | None = None
) -> SignedBy:
    """Check a document that was signed elsewhere; nothing is sent.

    Args:
        signed: the file that the person brings.
        given: the unsigned document that the person got.
        wanted: who has to sign, where that is known already; None: anybody.

    Raises:
        SignedDocumentError: what is wrong; its words say why that probably happened and what to do.
    """
    document = check_signed_document(signed, given)
    certificate = document.certificate
    try:
        facts, holder = inspect_ksef_certificate(certificate), read_holder(certificate)
        issuer = names.read_issuer(certificate).get(names.COMMON_NAME)
    except ValueError:
        raise SignedDocumentError("signed_certificate_unreadable") from None
    _check_certificate(certificate, facts, environment, now)
    subject, signed_with = _identity(document, holder, facts, identifier_type_of(given), certificate)
    if wanted is not None and subject != wanted:
        raise SignedDocumentError("signed_by_other_subject", given=str(subject), wanted=str(wanted))
    return SignedBy(
        subject=subject,
        signed_with=signed_with,
        common_name=holder.common_name,
        issuer=issuer,
        serial_number=facts.serial_number,
        valid_from=facts.valid_from,
        valid_to=facts.valid_to,
        doubts=_doubts(document, signed_with),
    )


def _check_certificate(
    certificate: x509.Certificate, facts: KsefCertificateFacts, environment: Environment, now: datetime
) -> None:
    if now >= facts.valid_to:
        raise SignedDocumentError("signed_certificate_expired", valid_to=facts.valid_to.isoformat())
    if now < facts.valid_from - _CLOCKS_APART:
        raise SignedDocumentError("signed_certificate_not_yet_valid", valid_from=facts.valid_from.isoformat())
    other = other_environment(certificate, environment)
    if other is not None:
        raise SignedDocumentError(
            "signed_certificate_of_other_environment", environment=environment.value, other=other.value
        )
    if self_signed_in_vain(certificate, environment):
        raise SignedDocumentError("signed_by_self_signed", environment=environment.value)
    if facts.issued_by_ksef and facts.type is CertificateType.OFFLINE:
        raise SignedDocumentError("signed_with_offline_certificate")


def _identity(
    document: SignedDocument,
    holder: Holder,
    facts: KsefCertificateFacts,
    identifier_type: SubjectIdentifierType,
    certificate: x509.Certificate,
) -> tuple[Subject, SignedWith]:
    if identifier_type is SubjectIdentifierType.CERTIFICATE_FINGERPRINT:
        return Subject(SubjectType.FINGERPRINT, holder.fingerprint), SignedWith.FINGERPRINT
    if document.for_pesel is not None and "zaufan" in (holder.common_name or "").casefold():
        try:
            return Subject(SubjectType.PESEL, document.for_pesel), SignedWith.TRUSTED_PROFILE
        except InvalidValue:
            raise SignedDocumentError("signed_without_identity") from None
    if holder.subject is None:
        attributes = names.read_name(certificate).keys()
        mixed = names.ORGANIZATION_IDENTIFIER in attributes and attributes & {names.GIVEN_NAME, names.SURNAME}
        raise SignedDocumentError("signed_by_seal_with_person" if mixed else "signed_without_identity")
    if facts.issued_by_ksef:
        return holder.subject, SignedWith.KSEF
    return holder.subject, SignedWith.PERSON if holder.kind is HolderKind.PERSON else SignedWith.SEAL


def _doubts(document: SignedDocument, signed_with: SignedWith) -> tuple[Doubt, ...]:
    found = []
    if document.rsa_pss:
        found.append(Doubt.RSA_PSS)
    if signed_with is SignedWith.TRUSTED_PROFILE:
        found.append(Doubt.TRUSTED_PROFILE)
    return tuple(found)

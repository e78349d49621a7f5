"""Whether a certificate that KSeF issued is the one that was asked for (facts.md §3.2). Pure checks on one certificate.

The proof by use, a sign-in or a KOD II link, is for services.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from klucznik.domain.certificates import CertificateType
from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.environments import Environment
from klucznik.errors import VerificationFailed

# What KSeF adds to the common name of the enrollment data.
NAME_SUFFIX = {CertificateType.AUTHENTICATION: " (uwierzytelnienie)", CertificateType.OFFLINE: " (offline)"}
_UNIQUE_IDENTIFIER = x509.ObjectIdentifier("2.5.4.45")


class Issuer(StrEnum):
    """Whose certificate it seems to be, from the issuer's name alone: a hint, not a proof. KSeF gives no chain."""

    SANDBOX = "sandbox"
    TEST = "test"
    KSEF = "ksef"  # demo or production; their names are not confirmed (facts.md §3.2)
    OTHER = "other"


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate that has passed `check_issued`. Dates are UTC.

    Attributes:
        serial_number: 16 upper-case hexadecimal digits.
        der: X.509, DER.
    """

    serial_number: str
    type: CertificateType
    common_name: str
    issuer: Issuer
    valid_from: datetime
    valid_to: datetime
    der: bytes


def check_issued(
    der: bytes,
    *,
    type: CertificateType,
    serial_number: str,
    public_key: PublicKeyTypes,
    data: EnrollmentData,
    environment: Environment,
    now: datetime,
) -> IssuedCertificate:
    """Check a retrieved certificate against everything that was asked for.

    Args:
        type: of the request.
        serial_number: which KSeF gave with the status of the request.
        public_key: of the request.
        data: which the request repeated.
        environment: that issued it.
        now: the present moment; a certificate may start in the future, but must not have ended.

    Raises:
        VerificationFailed: ``certificate_unreadable``, ``certificate_key_differs``, ``certificate_serial_differs``,
            ``certificate_type_differs``, ``certificate_subject_differs``, ``certificate_validity_wrong`` or
            ``certificate_issuer_wrong``.
    """
    certificate = _load(der)
    if _spki(certificate.public_key()) != _spki(public_key):
        raise VerificationFailed("certificate_key_differs")
    found_serial = f"{certificate.serial_number:016X}"
    if found_serial != serial_number.upper():
        raise VerificationFailed("certificate_serial_differs", expected=serial_number, found=found_serial)
    found_type = certificate_type(certificate)
    if found_type is not type:
        raise VerificationFailed(
            "certificate_type_differs", expected=type.value, found=found_type.value if found_type else None
        )
    _check_subject(certificate, type, data)
    valid_from, valid_to = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not valid_from < valid_to or valid_to <= now:
        raise VerificationFailed(
            "certificate_validity_wrong", valid_from=valid_from.isoformat(), valid_to=valid_to.isoformat()
        )
    issuer = issuer_kind(certificate)
    if issuer not in _ISSUERS[environment]:
        raise VerificationFailed("certificate_issuer_wrong", environment=environment.value, found=issuer.value)
    return IssuedCertificate(
        found_serial, type, _attribute(certificate, NameOID.COMMON_NAME) or "", issuer, valid_from, valid_to, der
    )


# Only what is known to be impossible is refused: an official environment never issues under the sandbox's name, nor
# production under the name of TEST. An unknown name may be a new authority.
_ISSUERS = {
    Environment.SANDBOX: frozenset({Issuer.SANDBOX}),
    Environment.TEST: frozenset({Issuer.TEST, Issuer.KSEF, Issuer.OTHER}),
    Environment.DEMO: frozenset({Issuer.KSEF, Issuer.OTHER, Issuer.TEST}),
    Environment.PRODUCTION: frozenset({Issuer.KSEF, Issuer.OTHER}),
}


def certificate_type(certificate: x509.Certificate) -> CertificateType | None:
    """The type by keyUsage: digitalSignature alone, or nonRepudiation alone; None for anything else (facts.md §3.2)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    if usage.digital_signature is usage.content_commitment:
        return None
    return CertificateType.AUTHENTICATION if usage.digital_signature else CertificateType.OFFLINE


def issuer_kind(certificate: x509.Certificate) -> Issuer:
    """From the issuer's name (facts.md §3.2): ``TEST CCK KSeF``, the older ``TI CCK KSeF``, ``CCK KSeF``."""
    name = certificate.issuer.rfc4514_string().upper()
    if "SANDBOX" in name:
        return Issuer.SANDBOX
    common_name = str(next((a.value for a in certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)), ""))
    if common_name in ("TEST CCK KSeF", "TI CCK KSeF"):
        return Issuer.TEST
    return Issuer.KSEF if common_name.endswith("CCK KSeF") else Issuer.OTHER


def _load(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        # Lazy parsing would fail later, in the middle of a check.
        _ = certificate.public_key(), certificate.subject, certificate.issuer, certificate.extensions
    except (ValueError, x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm):
        raise VerificationFailed("certificate_unreadable") from None
    return certificate


def _check_subject(certificate: x509.Certificate, type: CertificateType, data: EnrollmentData) -> None:
    """Every attribute of the data, the common name with the suffix of the type, and no attribute more."""
    expected = _attributes(data)
    found: dict[x509.ObjectIdentifier, str] = {}
    for attribute in certificate.subject:
        if attribute.oid in found:
            raise VerificationFailed("certificate_subject_differs", attribute=attribute.oid.dotted_string)
        found[attribute.oid] = str(attribute.value)
    for oid in expected.keys() | found.keys():
        allowed = {expected.get(oid)} if oid != NameOID.COMMON_NAME else _common_names(data, type)
        if found.get(oid) not in allowed:
            raise VerificationFailed("certificate_subject_differs", attribute=oid.dotted_string)


def _attributes(data: EnrollmentData) -> dict[x509.ObjectIdentifier, str]:
    every = {
        NameOID.COMMON_NAME: data.common_name,
        NameOID.COUNTRY_NAME: data.country_name,
        NameOID.GIVEN_NAME: data.given_name,
        NameOID.SURNAME: data.surname,
        NameOID.SERIAL_NUMBER: data.serial_number,
        _UNIQUE_IDENTIFIER: data.unique_identifier,
        NameOID.ORGANIZATION_NAME: data.organization_name,
        NameOID.ORGANIZATION_IDENTIFIER: data.organization_identifier,
    }
    return {oid: value for oid, value in every.items() if value is not None}


def _common_names(data: EnrollmentData, type: CertificateType) -> set[str | None]:
    """Data that come from a KSeF certificate may or may not bring its suffix along (facts.md §3.4): both are right."""
    name = data.common_name or ""
    bare = name.removesuffix(NAME_SUFFIX[CertificateType.AUTHENTICATION])
    return {name + NAME_SUFFIX[type], bare + NAME_SUFFIX[type]}


def _attribute(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str | None:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None


def _spki(public_key: PublicKeyTypes) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

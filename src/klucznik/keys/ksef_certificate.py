"""What a certificate says of itself when KSeF issued it: type, environment, whose it is (facts.md §3.2).

Whether that is what somebody wanted is judged in `credential` and `import_`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from klucznik.domain.certificates import CertificateType
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject
from klucznik.keys import names
from klucznik.keys.holder import read_holder

_ISSUER_MARK = "CCK KSeF"
_ENVIRONMENTS = {
    "TEST CCK KSeF": Environment.TEST,
    "TI CCK KSeF": Environment.TEST,
    "CCK KSeF": Environment.PRODUCTION,
}


@dataclass(frozen=True)
class KsefCertificateFacts:
    """The certificate in KSeF's words. Dates are UTC.

    Attributes:
        issued_by_ksef: the issuer bears KSeF's name. A name is a claim: only a sign-in proves it.
        type: by keyUsage; None where it fits neither type.
        serial_number: upper-case hexadecimal, 16 digits in what KSeF issues.
        environment: by the issuer's name; None where it names none that is known. Production is a presumption:
            DEMO may sign with the same name (facts.md §3.2, §12).
        subject: None where no NIP or PESEL stands in it.
    """

    issued_by_ksef: bool
    type: CertificateType | None
    serial_number: str
    environment: Environment | None
    subject: Subject | None
    common_name: str | None = field(repr=False)
    valid_from: datetime
    valid_to: datetime


def inspect_ksef_certificate(certificate: x509.Certificate) -> KsefCertificateFacts:
    """Read any certificate as one of KSeF's.

    Raises:
        ValueError: its names break the rules of their encoding.
    """
    holder = read_holder(certificate)
    issuer = names.read_issuer(certificate)
    return KsefCertificateFacts(
        issued_by_ksef=_ISSUER_MARK in issuer.get(names.COMMON_NAME, ""),
        type=_type(certificate),
        serial_number=f"{_serial(certificate):016X}",
        environment=_environment(issuer),
        subject=holder.subject,
        common_name=holder.common_name,
        valid_from=certificate.not_valid_before_utc,
        valid_to=certificate.not_valid_after_utc,
    )


def _serial(certificate: x509.Certificate) -> int:
    with warnings.catch_warnings(action="ignore"):  # of a negative one, which is the issuer's sin
        return certificate.serial_number


def _type(certificate: x509.Certificate) -> CertificateType | None:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return None
    return {
        (True, False): CertificateType.AUTHENTICATION,
        (False, True): CertificateType.OFFLINE,
    }.get((usage.digital_signature, usage.content_commitment))


def _environment(issuer: dict[ObjectIdentifier, str]) -> Environment | None:
    common_name = issuer.get(names.COMMON_NAME, "")
    if _ISSUER_MARK not in common_name:
        return None
    marks = (common_name, issuer.get(names.ORGANIZATION_NAME, ""), issuer.get(names.ORGANIZATIONAL_UNIT_NAME, ""))
    if any("sandbox" in mark.lower() for mark in marks):
        return Environment.SANDBOX
    return _ENVIRONMENTS.get(common_name)

"""Whose a certificate is in KSeF's eyes: the attributes of its subject mapped to a NIP or a PESEL.

The rules and expressions of facts.md §2.3. Where files are read and judged is `credential`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.values import InvalidValue
from klucznik.keys import names

# "Find", not "full match": a real seal carries `VATPL-… NTRPL-… BR:PL-…` (facts.md §2.3).
_PESEL = re.compile(r"(?:PNOPL|PESEL).*?([0-9]{11})", re.DOTALL)
_NIP_OF_PERSON = re.compile(r"(?:TINPL|NIP).*?([0-9]{10})", re.DOTALL)
_NIP_OF_SEAL = re.compile(r"VATPL.*?([0-9]{10})", re.DOTALL)
_PERSON = {names.GIVEN_NAME, names.SURNAME, names.SERIAL_NUMBER, names.COMMON_NAME, names.COUNTRY_NAME}
_SEAL = {names.ORGANIZATION_NAME, names.ORGANIZATION_IDENTIFIER, names.COMMON_NAME, names.COUNTRY_NAME}


class HolderKind(StrEnum):
    PERSON = "person"
    SEAL = "seal"
    NONE = "none"


@dataclass(frozen=True)
class Holder:
    """Who stands in a certificate.

    Attributes:
        kind: ``none`` when KSeF reads no identity; such a certificate signs in by its fingerprint only.
        subject: NIP or PESEL; None when `kind` is ``none``.
        fingerprint: SHA-256 of the certificate's DER, 64 upper-case hexadecimal digits.
    """

    kind: HolderKind
    subject: Subject | None
    common_name: str | None = field(repr=False)
    fingerprint: str

    @property
    def signs_in_as(self) -> Subject:
        """The identity in the certificate, or its fingerprint where there is none."""
        return self.subject or Subject(SubjectType.FINGERPRINT, self.fingerprint)


def read_holder(certificate: x509.Certificate) -> Holder:
    """The holder of any certificate.

    Raises:
        ValueError: the subject breaks the rules of its encoding.
    """
    attributes = names.read_name(certificate)
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex().upper()
    common_name = attributes.get(names.COMMON_NAME)
    if attributes.keys() >= _PERSON:
        kind, subject = HolderKind.PERSON, _person(attributes[names.SERIAL_NUMBER])
    elif attributes.keys() >= _SEAL and not attributes.keys() & {names.GIVEN_NAME, names.SURNAME}:
        kind, subject = HolderKind.SEAL, _seal(attributes[names.ORGANIZATION_IDENTIFIER])
    else:
        kind, subject = HolderKind.NONE, None
    return Holder(kind if subject else HolderKind.NONE, subject, common_name, fingerprint)


def subject_named(serial_number: str | None, organization_identifier: str | None) -> Subject | None:
    """The subject of whom KSeF tells these two attributes; a seal has no serial number."""
    if serial_number is not None:
        return _person(serial_number)
    return None if organization_identifier is None else _seal(organization_identifier)


def _person(serial_number: str) -> Subject | None:
    return _identity(SubjectType.PESEL, _PESEL.search(serial_number)) or _identity(
        SubjectType.NIP, _NIP_OF_PERSON.search(serial_number)
    )


def _seal(organization_identifier: str) -> Subject | None:
    return _identity(SubjectType.NIP, _NIP_OF_SEAL.search(organization_identifier))


def _identity(kind: SubjectType, found: re.Match[str] | None) -> Subject | None:
    if found is None:
        return None
    try:
        return Subject(kind, found[1])
    except InvalidValue:
        return None

"""Who a certificate speaks for: subject attributes to KSeF identity, by the exact rules of facts.md §2.3.
No signatures here (`xml/xades.py`) and no rights: whether the identity may enter a context is decided elsewhere.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from ksef_sandbox.errors import BadRequest


class IdentityType(StrEnum):
    """What limits, certificates and permissions hang on."""

    NIP = "Nip"
    PESEL = "Pesel"
    FINGERPRINT = "Fingerprint"
    PEPPOL_ID = "PeppolId"


class ContextType(StrEnum):
    """For whom one may act."""

    NIP = "Nip"
    INTERNAL_ID = "InternalId"
    NIP_VAT_UE = "NipVatUe"
    PEPPOL_ID = "PeppolId"


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated identity; `value` is 10 digits (NIP), 11 (PESEL), 64 upper hex (fingerprint) or a Peppol id."""

    type: IdentityType
    value: str


@dataclass(frozen=True, slots=True)
class ContextIdentifier:
    """The context of a sign-in; `value` in the syntax of facts.md §1.2."""

    type: ContextType
    value: str


HolderKind = Literal["person", "seal", "peppol", "none"]


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a certificate.

    `identity` is what `certificateSubject` means; None where the subject names no identity KSeF knows.
    The attributes are those of `GET /certificates/enrollments/data`, normalised as there (facts.md §3.4).
    `fingerprint` is SHA-256 of the DER, 64 upper-case hex digits.
    """

    kind: HolderKind
    identity: Identity | None
    fingerprint: str
    common_name: str | None = None
    country_name: str | None = None
    given_name: str | None = None
    surname: str | None = None
    serial_number: str | None = None
    unique_identifier: str | None = None
    organization_name: str | None = None
    organization_identifier: str | None = None


# Found anywhere in the attribute, as the official rules are applied: a real seal carries
# "VATPL-6381853612 NTRPL-0001040934 BR:PL-525516467" (facts.md §2.3).
_PERSON_PESEL: Final = (re.compile("PNOPL|PESEL"), re.compile(r"\d{11}", re.ASCII))
_PERSON_NIP: Final = (re.compile("TINPL|NIP"), re.compile(r"\d{10}", re.ASCII))
_SEAL_NIP: Final = (re.compile("VATPL"), re.compile(r"\d{10}", re.ASCII))
_PEPPOL_ID: Final = re.compile(r"P[A-Z]{2}[0-9]{6}", re.ASCII)

_UNIQUE_IDENTIFIER: Final = x509.ObjectIdentifier("2.5.4.45")


def read_holder(certificate: x509.Certificate) -> Holder:
    """Read whom the certificate speaks for.

    Raises BadRequest 21115 when the subject cannot be decoded (facts.md §2.3, §2.6).
    """
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex().upper()
    try:
        subject = certificate.subject
    except ValueError as error:
        raise BadRequest(21115, "Nieczytelny podmiot certyfikatu.") from error
    given_name = _joined(subject, NameOID.GIVEN_NAME)
    surname = _joined(subject, NameOID.SURNAME)
    serial_number = _first(subject, NameOID.SERIAL_NUMBER)
    common_name = _first(subject, NameOID.COMMON_NAME)
    country_name = _first(subject, NameOID.COUNTRY_NAME)
    organization_name = _first(subject, NameOID.ORGANIZATION_NAME)
    organization_identifier = _first(subject, NameOID.ORGANIZATION_IDENTIFIER)

    kind: HolderKind = "none"
    identity: Identity | None = None
    if given_name and surname and serial_number and common_name and country_name:
        kind, identity = "person", _person_identity(serial_number)
    elif organization_name and organization_identifier and common_name and country_name and not (given_name or surname):
        kind, identity = _seal_identity(organization_identifier, common_name)
    return Holder(
        kind=kind,
        identity=identity,
        fingerprint=fingerprint,
        common_name=common_name,
        country_name=country_name,
        given_name=given_name,
        surname=surname,
        serial_number=_normalised(serial_number),
        unique_identifier=_first(subject, _UNIQUE_IDENTIFIER),
        organization_name=organization_name,
        organization_identifier=organization_identifier,
    )


def _person_identity(serial_number: str) -> Identity | None:
    if found := _identifier(_PERSON_PESEL, serial_number):
        return Identity(IdentityType.PESEL, found)
    if found := _identifier(_PERSON_NIP, serial_number):
        return Identity(IdentityType.NIP, found)
    return None


def _identifier(rule: tuple[re.Pattern[str], re.Pattern[str]], text: str) -> str | None:
    """What the official `prefix.*?(?<identifier>digits)` finds, but in linear time: an attribute may be long."""
    prefix, digits = rule
    for line in text.split("\n"):
        start = prefix.search(line)
        found = digits.search(line, start.end()) if start else None
        if found:
            return found[0]
    return None


def _seal_identity(organization_identifier: str, common_name: str) -> tuple[HolderKind, Identity | None]:
    if organization_identifier == common_name and _PEPPOL_ID.fullmatch(common_name):
        return "peppol", Identity(IdentityType.PEPPOL_ID, common_name)
    if found := _identifier(_SEAL_NIP, organization_identifier):
        return "seal", Identity(IdentityType.NIP, found)
    return "seal", None


def _normalised(serial_number: str | None) -> str | None:
    """KSeF answers `TINPL-…` for a certificate that says `NIP-…` and wants that in the CSR (facts.md §3.4)."""
    if serial_number is None:
        return None
    for written, answered in (("NIP-", "TINPL-"), ("PESEL-", "PNOPL-")):
        if serial_number.startswith(written):
            return answered + serial_number.removeprefix(written)
    return serial_number


def _first(subject: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    """The first value in DER order, also inside a multi-valued RDN; an empty value counts as missing."""
    attributes = subject.get_attributes_for_oid(oid)
    return _text(attributes[0].value) or None if attributes else None


def _joined(subject: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    """Two first names may be two attributes; KSeF answers one string (facts.md §3.4)."""
    return " ".join(_text(attribute.value) for attribute in subject.get_attributes_for_oid(oid)).strip() or None


def _text(value: str | bytes) -> str:
    """2.5.4.45 is a BIT STRING by X.520: its octets are shown as hex."""
    return value if isinstance(value, str) else value.hex().upper()

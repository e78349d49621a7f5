"""Subject names: their attributes by the object identifiers of facts.md §3.5, written and read.

What the attributes mean to KSeF lives in `holder`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID, ObjectIdentifier

COMMON_NAME = NameOID.COMMON_NAME  # 2.5.4.3
SURNAME = NameOID.SURNAME  # 2.5.4.4
SERIAL_NUMBER = NameOID.SERIAL_NUMBER  # 2.5.4.5
COUNTRY_NAME = NameOID.COUNTRY_NAME  # 2.5.4.6
ORGANIZATION_NAME = NameOID.ORGANIZATION_NAME  # 2.5.4.10
ORGANIZATIONAL_UNIT_NAME = NameOID.ORGANIZATIONAL_UNIT_NAME  # 2.5.4.11
GIVEN_NAME = NameOID.GIVEN_NAME  # 2.5.4.42
UNIQUE_IDENTIFIER = NameOID.X500_UNIQUE_IDENTIFIER  # 2.5.4.45, not the 0.9.2342… "UID" of LDAP
ORGANIZATION_IDENTIFIER = NameOID.ORGANIZATION_IDENTIFIER  # 2.5.4.97

_PRINTABLE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")


def build_name(attributes: Sequence[tuple[ObjectIdentifier, str]]) -> x509.Name:
    """A name of single-valued RDNs in the given order.

    Strings are UTF8String, except countryName and serialNumber: PrintableString where the text allows it
    (facts.md §3.5). Polish letters under the tag of PrintableString cost people error 25004.

    Raises:
        ValueError: a value that no certificate can hold (a lone surrogate).
    """
    with _length_is_for_ksef_to_judge():
        return x509.Name(
            [x509.NameAttribute(oid, value, _string_type(oid, value), _validate=False) for oid, value in attributes]
        )


def read_name(certificate: x509.Certificate | x509.CertificateSigningRequest) -> dict[ObjectIdentifier, str]:
    """The first value of each textual attribute of the subject.

    Raises:
        ValueError: the name breaks the rules of its encoding.
    """
    with _length_is_for_ksef_to_judge():
        return _first_values(certificate.subject)


def read_issuer(certificate: x509.Certificate) -> dict[ObjectIdentifier, str]:
    """The first value of each textual attribute of the issuer; raises as `read_name`."""
    with _length_is_for_ksef_to_judge():
        return _first_values(certificate.issuer)


def _first_values(name: x509.Name) -> dict[ObjectIdentifier, str]:
    found: dict[ObjectIdentifier, str] = {}
    for attribute in name:
        if isinstance(attribute.value, str):
            found.setdefault(attribute.oid, attribute.value)
    return found


def _string_type(oid: ObjectIdentifier, value: str) -> _ASN1Type:
    value.encode()  # fails on what UTF-8 cannot hold
    if oid in (COUNTRY_NAME, SERIAL_NUMBER) and _PRINTABLE.issuperset(value):
        return _ASN1Type.PrintableString
    return _ASN1Type.UTF8String


@contextmanager
def _length_is_for_ksef_to_judge() -> Iterator[None]:
    # The library counts bytes and warns above 64. Polish company names are longer, KSeF issues for them all the same
    # and lengthens the name by a suffix.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attribute's length", category=UserWarning)
        yield

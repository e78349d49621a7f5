"""The certificate request (PKCS#10), made of the enrolment data alone.

Never of one's own certificate: KSeF normalises the values and compares them exactly (facts.md §3.4, §3.5).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ObjectIdentifier

from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.errors import InputError
from klucznik.keys import names
from klucznik.keys.generate import PrivateKey


def build_csr(data: EnrollmentData, private_key: PrivateKey) -> bytes:
    """The request in DER, signed with ECDSA-SHA256 or RSA PKCS#1 v1.5 SHA-256, read back and checked.

    Raises:
        InputError: ``enrollment_data_empty``; ``enrollment_data_unusable`` (a value that no certificate can hold);
            ``csr_differs_from_data`` (what was built is not what was asked; nothing may be sent).
    """
    attributes = _attributes(data)
    if not attributes:
        raise InputError("enrollment_data_empty")
    try:
        subject = names.build_name(attributes)
    except ValueError:
        raise InputError("enrollment_data_unusable") from None
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(private_key, hashes.SHA256())
    der = request.public_bytes(Encoding.DER)
    if not csr_matches(der, data, private_key):
        raise InputError("csr_differs_from_data")
    return der


def csr_matches(der: bytes, data: EnrollmentData, private_key: PrivateKey) -> bool:
    """Whether a request is signed by ``private_key``, for its public key, and names exactly ``data``."""
    request = x509.load_der_x509_csr(der)
    return (
        request.is_signature_valid
        and request.public_key() == private_key.public_key()
        and names.read_name(request) == dict(_attributes(data))
    )


def data_in(der: bytes) -> EnrollmentData:
    """What a request of ours names: the enrollment data it was built from."""
    found = names.read_name(x509.load_der_x509_csr(der))
    return EnrollmentData(
        common_name=found.get(names.COMMON_NAME),
        country_name=found.get(names.COUNTRY_NAME),
        given_name=found.get(names.GIVEN_NAME),
        surname=found.get(names.SURNAME),
        serial_number=found.get(names.SERIAL_NUMBER),
        unique_identifier=found.get(names.UNIQUE_IDENTIFIER),
        organization_name=found.get(names.ORGANIZATION_NAME),
        organization_identifier=found.get(names.ORGANIZATION_IDENTIFIER),
    )


def _attributes(data: EnrollmentData) -> list[tuple[ObjectIdentifier, str]]:
    """In the order of the certificates that KSeF issues; KSeF itself accepts any order."""
    every = (
        (names.COUNTRY_NAME, data.country_name),
        (names.ORGANIZATION_IDENTIFIER, data.organization_identifier),
        (names.ORGANIZATION_NAME, data.organization_name),
        (names.SERIAL_NUMBER, data.serial_number),
        (names.UNIQUE_IDENTIFIER, data.unique_identifier),
        (names.GIVEN_NAME, data.given_name),
        (names.SURNAME, data.surname),
        (names.COMMON_NAME, data.common_name),
    )
    return [(oid, value) for oid, value in every if value]

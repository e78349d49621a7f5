"""Certificates of every kind for the tests of `klucznik.keys`, made with the library and with OpenSSL's own tool.

Written without klucznik's code, so that a mistake there is not repeated here.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID, ObjectIdentifier

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PASSWORD = b"kanarek-7f3a9c"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Attributes = Sequence[tuple[ObjectIdentifier, str]]

PERSON: Attributes = (
    (NameOID.COUNTRY_NAME, "PL"),
    (NameOID.SERIAL_NUMBER, "PNOPL-80010112345"),
    (NameOID.GIVEN_NAME, "Łucja"),
    (NameOID.SURNAME, "Żółkiewska"),
    (NameOID.COMMON_NAME, "Łucja Żółkiewska"),
)
SEAL: Attributes = (
    (NameOID.COUNTRY_NAME, "PL"),
    (NameOID.ORGANIZATION_IDENTIFIER, "VATPL-5265877635"),
    (NameOID.ORGANIZATION_NAME, "Spółka"),
    (NameOID.COMMON_NAME, "Spółka"),
)
TEST_ISSUER = "TEST CCK KSeF"


@lru_cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache
def other_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(
    subject: Attributes = SEAL,
    *,
    key: Key | None = None,
    issuer: str | None = None,
    issuer_unit: str | None = None,
    usage: str | None = None,
    serial: int = 0x01F20A5D352AE590,
    valid_from: datetime = NOW - timedelta(days=1),
    valid_to: datetime = NOW + timedelta(days=729),
) -> x509.Certificate:
    """Self-signed unless `issuer` is given; `usage` is ``authentication``, ``offline``, ``both`` or nothing."""
    key = key or ec_key()
    name = name_of(subject)
    issued_by: list[tuple[ObjectIdentifier, str]] = [(NameOID.COMMON_NAME, issuer)] if issuer else []
    if issuer_unit:
        issued_by.append((NameOID.ORGANIZATIONAL_UNIT_NAME, issuer_unit))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name_of(issued_by) if issued_by else name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(valid_from)
        .not_valid_after(valid_to)
    )
    if usage:
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=usage in ("authentication", "both"),
                content_commitment=usage in ("offline", "both"),
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    return builder.sign(other_key() if issuer else key, hashes.SHA256())


def name_of(attributes: Attributes) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def key_pem(key: Key | None = None, password: bytes | None = None) -> bytes:
    protection: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    return (key or ec_key()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def openssl(directory: Path, *arguments: str) -> None:
    """Run the tool in `directory`; it is part of every Debian, and its absence is a failure."""
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=60)


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A directory of an ordinary user, and that user's rights: root could read and write everything."""
    with tempfile.TemporaryDirectory() as directory:
        was = os.geteuid()
        if was == 0:
            Path(directory).chmod(0o755)
            os.chown(directory, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(directory)
        finally:
            os.seteuid(was)
            Path(directory).chmod(0o700)

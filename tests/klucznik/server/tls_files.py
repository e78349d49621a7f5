"""Builders of certificates and keys for TLS, good and bad."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.keys.test_credential import self_signed


def tls_files(
    directory: Path, *, now: datetime | None = None, other_key: bool = False, password: bytes | None = None
) -> dict[str, Path]:
    """`cert` and `key` in PEM, written over those that are there."""
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    certificate = self_signed(Subject(SubjectType.NIP, "5265877635"), key, now=now or datetime.now(UTC))
    files = {"cert": directory / "cert.pem", "key": directory / "key.pem"}
    files["cert"].write_bytes(certificate.public_bytes(Encoding.PEM))
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    shown = other if other_key else key
    files["key"].write_bytes(shown.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return files

"""A self-signed credential for TEST and the sandbox, which believe any name (facts.md §1.1). Worthless elsewhere.

Whether the environment takes one is asked by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.keytype import KeyType
from klucznik.errors import InputError
from klucznik.keys import names
from klucznik.keys.generate import PrivateKey, generate_key
from klucznik.keys.safe_files import make_directory, write_files

VALIDITY = timedelta(days=730)
# A clock that is a little ahead must not make a credential that is not valid yet.
HEAD_START = timedelta(hours=1)


@dataclass(frozen=True)
class CredentialFiles:
    """Where the credential lies; the key is not encrypted."""

    certificate_file: Path
    key_file: Path


def write_test_credential(
    directory: Path, subject: Subject, *, now: datetime, key_type: KeyType = KeyType.EC
) -> CredentialFiles:
    """Write ``credential.crt`` and ``credential.key`` (0600), never over existing files.

    Args:
        subject: a NIP makes a company seal, a PESEL a person's signature.
        now: the two years of validity start one hour before.

    Raises:
        InputError: ``test_credential_needs_nip_or_pesel``, ``file_exists``, ``directory_missing``,
            ``directory_not_writable``.
        StorageError: ``disk_full``, ``file_not_written``.
    """
    private_key = generate_key(key_type)
    certificate = self_signed(subject, private_key, now=now)
    made = CredentialFiles(directory / "credential.crt", directory / "credential.key")
    make_directory(directory)
    write_files(
        {
            made.certificate_file: certificate.public_bytes(Encoding.PEM),
            made.key_file: private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        }
    )
    return made


def self_signed(subject: Subject, private_key: PrivateKey, *, now: datetime) -> x509.Certificate:
    """The certificate alone, with the attributes that KSeF reads (facts.md §2.3)."""
    name = names.build_name(_attributes(subject))
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    start = (now - HEAD_START).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(private_key, hashes.SHA256())
    )


def _attributes(subject: Subject) -> list[tuple[x509.ObjectIdentifier, str]]:
    if subject.type is SubjectType.NIP:
        company = f"Firma testowa {subject.value}"
        return [
            (names.COUNTRY_NAME, "PL"),
            (names.ORGANIZATION_IDENTIFIER, f"VATPL-{subject.value}"),
            (names.ORGANIZATION_NAME, company),
            (names.COMMON_NAME, company),
        ]
    if subject.type is SubjectType.PESEL:
        return [
            (names.COUNTRY_NAME, "PL"),
            (names.SERIAL_NUMBER, f"PNOPL-{subject.value}"),
            (names.GIVEN_NAME, "Żaneta"),
            (names.SURNAME, "Próbna"),
            (names.COMMON_NAME, "Żaneta Próbna"),
        ]
    raise InputError("test_credential_needs_nip_or_pesel")

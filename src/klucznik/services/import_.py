"""Brings a KSeF certificate with its key, issued elsewhere, into the vault. Spends nothing, asks KSeF nothing."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event
from klucznik.domain.certificates import HeldCertificate, Origin
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.sealed import ON_TOKEN, KeyBinding, SealedKey
from klucznik.errors import InputError
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.token_keys import check_can_be_kept
from klucznik.storage import certificates, private_keys
from klucznik.storage.races import alone

if TYPE_CHECKING:
    from klucznik.keys.import_ import ImportedCertificate


async def bring_in(installation: Installation, brought: ImportedCertificate) -> HeldCertificate:
    """Keep a checked certificate (`keys.import_.load_ksef_certificate`).

    Raises:
        InputError: ``certificate_already_held``.
        Pkcs11Error: ``pkcs11_token_not_set``, ``pkcs11_other_token``: its key is on a token that is not ours.
    """
    serial_number = brought.facts.serial_number
    held = await installation.database.read(
        lambda connection: certificates.by_serial(connection, installation.environment, serial_number)
    )
    if held is not None:
        raise InputError("certificate_already_held", serial=serial_number)
    incoming = await seal_in(installation, brought)

    def commit(connection: Connection) -> None:
        if not keep_in(installation, connection, incoming):
            raise InputError("certificate_already_held", serial=serial_number)

    await installation.database.write(commit)
    return incoming.certificate


@dataclass(frozen=True)
class Incoming:
    """A certificate on its way into the vault, its key sealed."""

    certificate: HeldCertificate
    key: SealedKey
    binding: KeyBinding


async def seal_in(installation: Installation, brought: ImportedCertificate) -> Incoming:
    """The certificate as it will be held.

    Raises:
        Pkcs11Error: as `bring_in`.
    """
    facts, certificate = brought.facts, brought.pair.certificate
    await check_can_be_kept(installation, brought.pair.private_key)
    subject = subject_of(brought)
    key_id = secrets.token_hex(16)
    binding = KeyBinding(installation.environment, subject.type, subject.value)
    sealed = installation.vault.seal(key_id, brought.pair.private_key, binding=binding)
    held = HeldCertificate(
        environment=installation.environment,
        serial_number=facts.serial_number,
        subject=subject,
        type=brought.type,
        name=(facts.common_name or facts.serial_number)[:100],
        common_name=facts.common_name or "",
        valid_from=facts.valid_from,
        valid_to=facts.valid_to,
        der=certificate.public_bytes(Encoding.DER),
        key_id=key_id,
        origin=Origin.IMPORTED,
        key_on_token=sealed.algorithm == ON_TOKEN,
    )
    return Incoming(held, sealed, binding)


def subject_of(brought: ImportedCertificate) -> Subject:
    """Whose it is. A certificate of a fingerprint names no identity; it is kept under its own fingerprint."""
    return brought.facts.subject or Subject(SubjectType.FINGERPRINT, _fingerprint(brought))


def keep_in(installation: Installation, connection: Connection, incoming: Incoming) -> bool:
    """Part of a transaction; False where the certificate is held already, and then nothing is done."""
    held, now = incoming.certificate, installation.clock.now()
    alone(connection, f"import {held.serial_number}")
    if certificates.by_serial(connection, installation.environment, held.serial_number) is not None:
        return False
    private_keys.add(connection, incoming.key, incoming.binding, now=now)
    certificates.add(connection, held, now=now)
    imported = {"serial": held.serial_number, "type": held.type.value, "key": held.key_id}
    audit.record(installation, connection, held.subject, Entry(Event.CERTIFICATE_IMPORTED, imported))
    return True


def _fingerprint(brought: ImportedCertificate) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256

    return brought.pair.certificate.fingerprint(SHA256()).hex().upper()

"""Takes certificates with their keys out of the vault, for other programs. Keys leave only encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.identifiers import Context
from klucznik.errors import InputError
from klucznik.keys.export import certificate_file, pem_files, pkcs12_file, write_export
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.sign_in import unsealed
from klucznik.services.ways import holder_for
from klucznik.storage import certificates, program_uses


class ExportFormat(StrEnum):
    PEM = "pem"
    PKCS12 = "p12"
    CERTIFICATE = "crt"  # without the key


@dataclass(frozen=True)
class Exported:
    """One certificate, and the files it was written to."""

    certificate: HeldCertificate
    files: tuple[Path, ...]


async def export(
    installation: Installation,
    *,
    context: Context | None = None,
    serial_number: str | None = None,
    directory: Path,
    password: bytes | None,
    format: ExportFormat,
    program: str | None = None,
) -> list[Exported]:
    """Write the certificates of a context, or the one with a serial number; all files or none.

    Args:
        context: the usable ones of whoever signs in for it, see `ways.holder_for`.
        program: who gets them; remembered, so that a revocation can say who will notice.
        password: for the keys; None only where none is written.

    Raises:
        InputError: ``nothing_to_export``; ``export_key_on_token`` (``serial``), as such a key cannot leave;
            ``file_exists`` and the like from `keys.safe_files`; the password's own.
    """
    chosen = await those_to_export(installation, context, serial_number)
    if not chosen:
        raise InputError(
            "nothing_to_export",
            wanted=serial_number or (context.value if context else None),
            environment=installation.environment.value,
        )
    made = [(held, await _files(installation, held, password, format)) for held in chosen]
    written = write_export(directory, {name: content for _, files in made for name, content in files.items()})
    try:
        await installation.database.write(lambda connection: _record(installation, connection, chosen, format, program))
    except BaseException:
        for file in written:  # no key leaves unrecorded
            file.unlink(missing_ok=True)
        raise
    return [Exported(held, tuple(directory / name for name in files)) for held, files in made]


async def hand_out(
    installation: Installation,
    those: Sequence[HeldCertificate],
    *,
    password: bytes,
    format: ExportFormat,
    program: str | None = None,
) -> dict[str, bytes]:
    """The files of certificates, by name, for whoever takes them away at once; no key is handed out unrecorded.

    Args:
        program: as in `export`.

    Raises:
        InputError: ``export_key_on_token``; the password's own.
    """
    files: dict[str, bytes] = {}
    for held in those:
        files |= await _files(installation, held, password, format)
    chosen = list(those)
    await installation.database.write(lambda connection: _record(installation, connection, chosen, format, program))
    return files


async def _files(
    installation: Installation, held: HeldCertificate, password: bytes | None, format: ExportFormat
) -> dict[str, bytes]:
    # No PESEL in a file name: names of files travel further than their contents.
    stem = f"ksef-{held.type.value.lower()}-{held.serial_number}"
    certificate = x509.load_der_x509_certificate(held.der)
    if format is ExportFormat.CERTIFICATE:
        return certificate_file(stem, certificate)
    if held.key_on_token:
        raise InputError("export_key_on_token", serial=held.serial_number)
    make = pem_files if format is ExportFormat.PEM else pkcs12_file
    return make(stem, certificate, await unsealed(installation, held.key_id), password or b"")


def _record(
    installation: Installation,
    connection: Connection,
    those: list[HeldCertificate],
    format: ExportFormat,
    program: str | None,
) -> None:
    # In one order everywhere, so that two exports never wait for each other.
    for held in sorted(those, key=lambda one: (one.subject.type, one.subject.value, one.serial_number)):
        if program is not None:
            program_uses.record(
                connection, installation.environment, held.serial_number, program, now=installation.clock.now()
            )
        if format is ExportFormat.CERTIFICATE:
            continue  # no key has left
        facts: dict[str, Fact] = {
            "serial": held.serial_number,
            "type": held.type.value,
            "key": held.key_id,
            "format": format.value,
        }
        if program is not None:
            facts["program"] = program
        audit.record(installation, connection, held.subject, Entry(Event.KEY_EXPORTED, facts))


async def those_to_export(
    installation: Installation, context: Context | None, serial_number: str | None = None
) -> list[HeldCertificate]:
    """The one with a serial number, or the usable ones of whoever signs in for a company; none: an empty list."""
    environment, now = installation.environment, installation.clock.now()
    if serial_number is not None:
        one = await installation.database.read(
            lambda connection: certificates.by_serial(connection, environment, serial_number)
        )
        return [one] if one else []
    if context is None:
        return []

    def read(connection: Connection) -> list[HeldCertificate]:
        holder = holder_for(connection, environment, context)
        return [] if holder is None else certificates.of_subject(connection, environment, holder)

    held = await installation.database.read(read)
    return [certificate for certificate in held if certificate.usable(now)]

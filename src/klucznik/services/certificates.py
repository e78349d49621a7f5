"""The certificates of a company: what the vault holds, and what KSeF lists beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from klucznik.domain.certificates import CertificateRecord, CertificateStatus, HeldCertificate
from klucznik.domain.identifiers import Context, Subject
from klucznik.errors import InputError
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import sign_in, sign_out
from klucznik.services.ways import holder_for, way_for
from klucznik.storage import certificates, program_uses

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential


_ASKED_AT_ONCE = 1000
REVOKED_OR_SOON = (CertificateStatus.BLOCKED, CertificateStatus.REVOKED)


@dataclass(frozen=True)
class ListedCertificate:
    """A certificate as KSeF lists it, and whether its key is here."""

    record: CertificateRecord
    held: bool


@dataclass(frozen=True)
class SubjectCertificates:
    """All certificates of a subject: they are the subject's in every context."""

    subject: Subject
    certificates: tuple[ListedCertificate, ...]


@dataclass(frozen=True)
class VaultCertificate:
    """A certificate in the vault, and the programs that it was exported for."""

    certificate: HeldCertificate
    programs: tuple[str, ...]


async def in_vault(installation: Installation) -> list[HeldCertificate]:
    """Everything in the vault for this environment, by serial number. Asks KSeF nothing."""
    found: list[HeldCertificate] = []
    after: str | None = None
    while True:
        page = await installation.database.read(
            lambda connection: certificates.page(connection, installation.environment, after=after)  # noqa: B023
        )
        found += page
        if not page:
            return found
        after = page[-1].serial_number


async def page_in_vault(
    installation: Installation, *, size: int, after: str | None = None, only: Context | None = None
) -> list[VaultCertificate]:
    """A page of what is in the vault, by serial number, in three queries at most.

    Args:
        after: serial number of the last one of the page before.
        only: what this company is acted for with, for those who may see no other.
    """
    environment = installation.environment

    def read(transaction: Connection) -> list[VaultCertificate]:
        holder = None if only is None else holder_for(transaction, environment, only)
        if only is not None and holder is None:
            return []
        found = certificates.page(transaction, environment, after=after, size=size, subject=holder)
        programs = program_uses.of_certificates(transaction, environment, [one.serial_number for one in found])
        return [VaultCertificate(one, programs.get(one.serial_number, ())) for one in found]

    return await installation.database.read(read)


async def one_in_vault(
    installation: Installation, serial_number: str, *, only: Context | None = None
) -> VaultCertificate:
    """A certificate whose key is here; `only` as for `page_in_vault`.

    Raises:
        InputError: ``certificate_not_held``.
    """
    environment = installation.environment

    def read(transaction: Connection) -> VaultCertificate | None:
        found = certificates.by_serial(transaction, environment, serial_number)
        if found is None or (only is not None and holder_for(transaction, environment, only) != found.subject):
            return None
        programs = program_uses.of_certificates(transaction, environment, [serial_number])
        return VaultCertificate(found, programs.get(serial_number, ()))

    found = await installation.database.read(read)
    if found is None:
        raise InputError("certificate_not_held", serial=serial_number)
    return found


async def programs_of(installation: Installation, serial_numbers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For which programs certificates were exported; those that no program got are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(serial_numbers), _ASKED_AT_ONCE):
        some = serial_numbers[start : start + _ASKED_AT_ONCE]
        found |= await installation.database.read(
            lambda connection: program_uses.of_certificates(connection, installation.environment, some)  # noqa: B023
        )
    return found


async def in_ksef(
    installation: Installation, context: Context, credential: Credential | None, *, listener: Listener = unheard
) -> SubjectCertificates:
    """What KSeF lists for the subject. Learns of revocations made elsewhere on the way."""
    signer = await way_for(installation, context, credential)
    signed_in = await sign_in(installation, context, signer, listener=listener)
    try:
        records = [record async for record in signed_in.session.certificates()]
    finally:
        await sign_out(signed_in)
    held = await installation.database.read(
        lambda connection: certificates.of_subject(connection, installation.environment, signer.subject)
    )
    await learn_revocations(installation, held, records)
    ours = {certificate.serial_number for certificate in held}
    listed = tuple(ListedCertificate(record, record.serial_number in ours) for record in records)
    return SubjectCertificates(signer.subject, listed)


async def learn_revocations(
    installation: Installation, held: list[HeldCertificate], records: list[CertificateRecord]
) -> None:
    """The vault learns from KSeF's list what was revoked without it."""
    gone = {record.serial_number for record in records if record.status in REVOKED_OR_SOON}
    news = [one.serial_number for one in held if one.revoked_at is None and one.serial_number in gone]
    if not news:
        return
    now = installation.clock.now()

    def commit(connection: Connection) -> None:
        for serial_number in news:
            certificates.mark_revoked(connection, installation.environment, serial_number, now=now)

    await installation.database.write(commit)

"""After a restore KSeF may know of more than the rows do: what it has issued since is found and told, and what has its
key here is taken in. Sends no request.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event
from klucznik.domain.certificates import CertificateRecord, CertificateStatus, HeldCertificate
from klucznik.domain.identifiers import Subject
from klucznik.domain.issuance import Enrollment
from klucznik.errors import KsefUnavailable, VerificationFailed
from klucznik.services import audit, proof
from klucznik.services.installation import Installation
from klucznik.services.naming import OURS
from klucznik.services.sign_in import SignedIn
from klucznik.storage import certificates, dump, issuances, leases

_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class Compared:
    """What KSeF lists under Klucznik's names, beside what is here.

    Attributes:
        since: when the backup was made; None: nothing comes from a backup, so all of them were looked at.
        adopted: serial numbers that were taken in, for their keys are in the vault.
        revoked: serial numbers held here that KSeF lists as revoked, which was not known.
        gone: certificates whose keys are not in this vault. Another installation may have them.
    """

    subject: Subject
    since: datetime | None
    adopted: tuple[str, ...]
    revoked: tuple[str, ...]
    gone: tuple[CertificateRecord, ...]


async def is_from_a_backup(installation: Installation, subject: Subject) -> bool:
    """Whether this subject's rows have still to be compared with KSeF."""
    return await _since(installation, subject) is not None


async def compare(
    installation: Installation, signed_in: SignedIn, lease: leases.Lease, *, lasts: timedelta
) -> Compared:
    """Compare, keep what can be kept, and take the mark of the restore away; under the subject's lease.

    Raises:
        VerificationFailed: a new certificate has our key and does not work.
    """
    subject, now = signed_in.subject, installation.clock.now()
    since = await _since(installation, subject)
    ours = [record async for record in signed_in.session.certificates() if record.name.startswith(OURS)]
    held = await installation.database.read(
        lambda connection: certificates.of_subject(connection, installation.environment, subject)
    )
    known = {one.serial_number: one for one in held}
    revoked = tuple(
        record.serial_number
        for record in ours
        if record.status is CertificateStatus.REVOKED
        and record.serial_number in known
        and known[record.serial_number].revoked_at is None
    )
    adopted: list[tuple[Enrollment, HeldCertificate]] = []
    gone: list[CertificateRecord] = []
    for record in ours:
        if record.serial_number in known or (since is not None and record.requested_at < since - _CLOCKS_DIFFER):
            continue
        asked = await installation.database.read(
            lambda connection, name=record.name: issuances.enrollment_named(connection, name)  # type: ignore[misc]
        )
        if asked is None:
            gone.append(record)
        elif (found := await _taken_in(installation, signed_in, record, asked)) is not None:
            adopted.append(found)
    facts = {
        "since": None if since is None else since.isoformat(),
        "adopted": [one.serial_number for _, one in adopted],
        "revoked": list(revoked),
        "keys_gone": [record.serial_number for record in gone],
    }

    def commit(connection: Connection) -> None:
        leases.confirm(connection, lease, now=installation.clock.now(), lasts=lasts)
        for _, certificate in adopted:
            certificates.add(connection, certificate, now=now)
        for serial_number in revoked:
            certificates.mark_revoked(connection, installation.environment, serial_number, now=now)
        dump.checked(connection, installation.environment.value, subject)
        audit.record(installation, connection, subject, Entry(Event.RESTORED_SUBJECT_CHECKED, facts))

    await installation.database.write(commit)
    for enrollment, certificate in adopted:
        await _prove(installation, signed_in, enrollment, certificate)
    return Compared(subject, since, tuple(one.serial_number for _, one in adopted), revoked, tuple(gone))


async def _since(installation: Installation, subject: Subject) -> datetime | None:
    return await installation.database.read(
        lambda connection: dump.backup_of(connection, installation.environment.value, subject)
    )


async def _taken_in(
    installation: Installation, signed_in: SignedIn, record: CertificateRecord, asked: Enrollment
) -> tuple[Enrollment, HeldCertificate] | None:
    """The certificate of an issuance that had ended without it; one that still runs takes it in by itself."""
    issuance = await installation.database.read(lambda connection: issuances.load(connection, asked.issuance_id))
    if issuance is None or not issuance.state.ended or record.status is not CertificateStatus.ACTIVE:
        return None
    given = await signed_in.session.retrieve([record.serial_number])
    enrollment = replace(asked, certificate_serial_number=record.serial_number)
    try:
        return enrollment, proof.find_ours(issuance, enrollment, given, now=installation.clock.now())
    except (VerificationFailed, KsefUnavailable):
        return None  # under our name, and not (now) what was asked for


async def _prove(
    installation: Installation, signed_in: SignedIn, enrollment: Enrollment, certificate: HeldCertificate
) -> None:
    await proof.prove(installation, signed_in.context, enrollment)
    await installation.database.write(
        lambda connection: certificates.mark_verified(
            connection, certificate.environment, certificate.serial_number, now=installation.clock.now()
        )
    )

"""Revoke one certificate in KSeF. It frees a certificate slot, never a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event
from klucznik.domain.certificates import CertificateRecord, RevocationReason
from klucznik.domain.identifiers import Context
from klucznik.errors import InputError
from klucznik.services import audit
from klucznik.services.certificates import programs_of
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import sign_in
from klucznik.services.ways import signer_for
from klucznik.storage import certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from klucznik.keys.credential import Credential


@dataclass(frozen=True)
class Revocation:
    """What is about to be revoked.

    Attributes:
        programs: those that the certificate was exported for: they will notice.
    """

    record: CertificateRecord
    programs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Revoked:
    """A certificate that has been revoked, as it was listed before."""

    record: CertificateRecord
    was_held: bool
    programs: tuple[str, ...] = ()


async def revoke(
    installation: Installation,
    context: Context,
    serial_number: str,
    credential: Credential | None,
    *,
    reason: RevocationReason = RevocationReason.UNSPECIFIED,
    confirm: Callable[[Revocation], bool],
    listener: Listener = unheard,
) -> Revoked:
    """Revoke a certificate of the subject that signs in.

    Args:
        confirm: is shown what will be revoked and must agree; revoking cannot be undone.

    Raises:
        InputError: ``certificate_not_listed`` (KSeF lists none such for this subject), ``not_confirmed``.
        KsefRefused: 25008, 25009.
    """
    signer = await signer_for(installation, context, credential)
    signed_in = await sign_in(installation, context, signer, listener=listener)
    try:
        listed = [record async for record in signed_in.session.certificates(serial_number=serial_number)]
        record = next((one for one in listed if one.serial_number == serial_number), None)
        if record is None:
            raise InputError("certificate_not_listed", serial=serial_number, subject=str(signer.subject))
        programs = await programs_of(installation, [serial_number])
        asked = Revocation(record, programs.get(serial_number, ()))
        if not confirm(asked):
            raise InputError("not_confirmed")
        await signed_in.session.revoke(serial_number, reason)
    finally:
        await signed_in.session.end()
    environment, now = installation.environment, installation.clock.now()
    held = await installation.database.read(
        lambda connection: certificates.by_serial(connection, environment, serial_number)
    )
    facts = {"serial": serial_number, "reason": reason.value, "context": context.value, "held": held is not None}

    def commit(connection: Connection) -> None:
        if held is not None:
            certificates.mark_revoked(connection, environment, serial_number, now=now)
        audit.record(installation, connection, signer.subject, Entry(Event.CERTIFICATE_REVOKED, facts))

    await installation.database.write(commit)
    return Revoked(record, held is not None, asked.programs)

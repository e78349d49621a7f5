"""Revoke certificates in KSeF. It frees certificate slots, never requests; and it closes no session by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.certificates import CertificateRecord, RevocationReason
from klucznik.domain.identifiers import Context, Subject
from klucznik.errors import InputError
from klucznik.services import audit
from klucznik.services.certificates import REVOKED_OR_SOON, learn_revocations, programs_of
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import SignedIn, sign_in, sign_out
from klucznik.services.ways import signer_for
from klucznik.storage import certificates, connections

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
    """A certificate that has been revoked, as it was listed before.

    Attributes:
        sessions_ended: other sessions of the subject that were ended with it; None: that was not asked for.
    """

    record: CertificateRecord
    was_held: bool
    programs: tuple[str, ...] = ()
    sessions_ended: int | None = None


async def revoke(
    installation: Installation,
    context: Context,
    serial_number: str,
    credential: Credential | None,
    *,
    reason: RevocationReason = RevocationReason.UNSPECIFIED,
    end_sessions: bool = False,
    spares_others: bool = False,
    confirm: Callable[[Revocation], bool],
    listener: Listener = unheard,
) -> Revoked:
    """Revoke a certificate of the subject that signs in.

    Args:
        spares_others: refuse where the same subject signs in for further companies, for those who may not touch them.
        end_sessions: end the subject's other sessions in this company too: those opened with the certificate live on.
            A certificate that has been revoked before is no error then.
        confirm: is shown what will be revoked and must agree; revoking cannot be undone.

    Raises:
        InputError: ``certificate_not_listed`` (KSeF lists none such for this subject), ``not_confirmed``,
            ``certificate_serves_others``.
        KsefRefused: 25008, 25009.
    """
    signer = await signer_for(installation, context, credential)
    if spares_others:
        await _check_serves_alone(installation, context, signer.subject)
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
        if end_sessions and record.status in REVOKED_OR_SOON:
            # Its sessions live on: a run that was broken off before they were ended is made good by the next one.
            revoked = await _revoked_before(installation, asked)
        else:
            revoked = await revoke_listed(installation, signed_in, asked, reason)
        ended = await end_other_sessions(installation, signed_in) if end_sessions else None
    finally:
        await sign_out(signed_in)
    return replace(revoked, sessions_ended=ended)


async def _check_serves_alone(installation: Installation, context: Context, subject: Subject) -> None:
    served = await installation.database.read(
        lambda connection: connections.of_subject(connection, installation.environment, subject)
    )
    if any(one.context != context for one in served):
        raise InputError("certificate_serves_others")


async def _revoked_before(installation: Installation, asked: Revocation) -> Revoked:
    """Nothing is revoked; the vault learns of it where it does not know yet."""
    held = await installation.database.read(
        lambda connection: certificates.by_serial(connection, installation.environment, asked.record.serial_number)
    )
    await learn_revocations(installation, [] if held is None else [held], [asked.record])
    return Revoked(asked.record, held is not None, asked.programs)


async def revoke_listed(
    installation: Installation, signed_in: SignedIn, asked: Revocation, reason: RevocationReason
) -> Revoked:
    """Revoke, for good, what KSeF lists for the signed-in subject."""
    serial_number = asked.record.serial_number
    await signed_in.session.revoke(serial_number, reason)
    environment, now = installation.environment, installation.clock.now()
    held = await installation.database.read(
        lambda connection: certificates.by_serial(connection, environment, serial_number)
    )
    facts: dict[str, Fact] = {
        "serial": serial_number,
        "reason": reason.value,
        "context": signed_in.context.value,
        "held": held is not None,
    }

    def commit(connection: Connection) -> None:
        if held is not None:
            certificates.mark_revoked(connection, environment, serial_number, now=now)
        audit.record(installation, connection, signed_in.subject, Entry(Event.CERTIFICATE_REVOKED, facts))

    await installation.database.write(commit)
    return Revoked(asked.record, held is not None, asked.programs)


async def end_other_sessions(installation: Installation, signed_in: SignedIn) -> int:
    """End the subject's sessions in this company but the one at hand; how many there were.

    KSeF does not say with which certificate a session was opened, so it is all or none (facts.md §2.9).
    """
    others = [one for one in await signed_in.session.sessions() if not one.is_current]
    for one in others:
        await signed_in.session.end_session(one.reference_number)
    facts: dict[str, Fact] = {"context": signed_in.context.value, "number": len(others)}
    await installation.database.write(
        lambda connection: audit.record(installation, connection, signed_in.subject, Entry(Event.SESSIONS_ENDED, facts))
    )
    return len(others)

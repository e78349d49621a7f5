"""The certificates that a renewal has replaced: left to expire, or revoked as superseded where somebody chose that.

An Authentication certificate is of no more use once its successor has proved itself everywhere. An Offline one is: the
KOD II codes that were printed with it stop verifying when it is revoked. So that is never done unless asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.certificates import CertificateType, HeldCertificate, RevocationReason
from klucznik.domain.issuance import Issuance
from klucznik.errors import KsefRefused, SignatureNeeded
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.road import LEASE_LASTS
from klucznik.services.sign_in import sign_in, sign_out, signer_from_vault
from klucznik.storage import certificates, leases

# Already revoked, blocked or expired: what was wanted.
_ALREADY = 25009


@dataclass(frozen=True)
class Retiring:
    """Which replaced certificates are to be revoked."""

    authentication: bool = False
    offline: bool = False

    def concerns(self, kind: CertificateType) -> bool:
        return self.authentication if kind is CertificateType.AUTHENTICATION else self.offline


KEEP_THEM = Retiring()


async def retire(
    installation: Installation, renewal: Issuance, lease: leases.Lease, retiring: Retiring
) -> tuple[str, ...]:
    """Revoke what `retiring` says of the certificates that an ended renewal replaced; their serial numbers.

    Raises:
        SignatureNeeded, SignInRefused, KsefRefused, KsefUnavailable: it can be tried again.
    """
    replaced, signing = await installation.database.read(lambda connection: _look(connection, installation, renewal))
    now = installation.clock.now()
    old = [one for one in replaced if retiring.concerns(one.type) and one.revoked_at is None and now < one.valid_to]
    if not old:
        return ()
    if signing is None:
        raise SignatureNeeded("renewal_needs_signature", nip=renewal.context.value)
    signed_in = await sign_in(installation, renewal.context, await signer_from_vault(installation, signing))
    try:
        for one in old:
            try:
                await signed_in.session.revoke(one.serial_number, RevocationReason.SUPERSEDED)
            except KsefRefused as error:
                if error.code != _ALREADY:
                    raise
            await _record(installation, renewal, lease, one)
    finally:
        await sign_out(signed_in)
    return tuple(one.serial_number for one in old)


def _look(
    connection: Connection, installation: Installation, renewal: Issuance
) -> tuple[list[HeldCertificate], HeldCertificate | None]:
    """What was replaced, and with what to sign in: never with what is about to be revoked."""
    mine, now = certificates.of_subject(connection, renewal.environment, renewal.subject), installation.clock.now()
    serials = renewal.replaces or ()
    replaced = sorted(
        (one for one in mine if one.serial_number in serials), key=lambda one: serials.index(one.serial_number)
    )
    signing = (
        one for one in mine if one.type is CertificateType.AUTHENTICATION and one.usable(now) and one not in replaced
    )
    return replaced, next(signing, None)


async def _record(installation: Installation, renewal: Issuance, lease: leases.Lease, revoked: HeldCertificate) -> None:
    now = installation.clock.now()
    facts: dict[str, Fact] = {
        "serial": revoked.serial_number,
        "reason": RevocationReason.SUPERSEDED.value,
        "context": renewal.context.value,
        "held": True,
    }

    def commit(connection: Connection) -> None:
        leases.confirm(connection, lease, now=now, lasts=LEASE_LASTS)
        certificates.mark_revoked(connection, renewal.environment, revoked.serial_number, now=now)
        told = Entry(Event.CERTIFICATE_REVOKED, facts, renewal.id)
        audit.record(installation, connection, renewal.subject, told)

    await installation.database.write(commit)

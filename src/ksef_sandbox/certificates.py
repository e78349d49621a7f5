"""Issued certificates: their state at a moment, finding, listing, revoking, shortening (facts.md §3.8-3.10).
How they come to be issued is `enrollments.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ksef_sandbox import rights
from ksef_sandbox.errors import BadRequest, InvalidInput
from ksef_sandbox.identity import Identity
from ksef_sandbox.records import Certificate, CertificateType
from ksef_sandbox.state import World


class CertificateState(StrEnum):
    """State as the list shows it."""

    ACTIVE = "Active"
    BLOCKED = "Blocked"
    REVOKED = "Revoked"
    EXPIRED = "Expired"


@dataclass(frozen=True, slots=True)
class Filters:
    """What POST /certificates/query may ask for; all given ones must hold."""

    serial: str | None = None
    name: str | None = None
    type: CertificateType | None = None
    state: CertificateState | None = None
    expires_after: datetime | None = None


def state_of(certificate: Certificate, now: datetime) -> CertificateState:
    """Revoked before Blocked before Expired before Active; one that is not valid yet is Active (ASSUME of §3.10)."""
    if certificate.revoked_at is not None and certificate.revoked_at <= now:
        return CertificateState.REVOKED
    if certificate.blocked_at is not None and certificate.blocked_at <= now:
        return CertificateState.BLOCKED
    return CertificateState.EXPIRED if certificate.valid_to <= now else CertificateState.ACTIVE


def find_own(world: World, identity: Identity, serial: str, now: datetime) -> Certificate | None:
    """A certificate that the identity may read: its own, under a switch also those of the linked NIP or PESEL."""
    certificate = world.certificates.get(serial)
    return certificate if certificate and certificate.identity in _readable(world, identity, now) else None


def query(world: World, identity: Identity, filters: Filters, now: datetime) -> list[Certificate]:
    """Certificates of the identity that pass the filters, the newest request first."""
    found = [c for owner in _readable(world, identity, now) for c in _matching(world, owner, filters, now)]
    return sorted(found, key=lambda certificate: certificate.requested_at, reverse=True)


def revoke(world: World, identity: Identity, serial: str, reason: str, now: datetime) -> None:
    """Begin the revocation: Blocked from now, Revoked after the delay. Raises BadRequest 25008 or 25009."""
    certificate = world.certificates.get(serial)
    if certificate is None or certificate.identity not in (identity, *rights.linked(world, identity, now)):
        raise BadRequest(25008)
    if state_of(certificate, now) is not CertificateState.ACTIVE:
        raise BadRequest(25009)
    complete = now + timedelta(milliseconds=world.switches.revoke_delay_ms)
    world.certificates.put(replace(certificate, blocked_at=now, revoked_at=complete, revocation_reason=reason))


def shorten(world: World, identity: Identity, serial: str, valid_to: datetime) -> None:
    """Test data: bring the end of validity forward. The DER stays as it is. Raises BadRequest 25008 or 21405."""
    certificate = world.certificates.get(serial)
    if certificate is None or certificate.identity != identity:
        raise BadRequest(25008)
    if valid_to > certificate.valid_to:
        raise InvalidInput("'validTo' must be less than or equal to the current end of validity.")
    world.certificates.put(replace(certificate, valid_to=valid_to))


def _readable(world: World, identity: Identity, now: datetime) -> tuple[Identity, ...]:
    if world.switches.nip_pesel_link_scope == "revoke":
        return (identity,)
    return (identity, *rights.linked(world, identity, now))


def _matching(world: World, owner: Identity, filters: Filters, now: datetime) -> Iterator[Certificate]:
    for certificate in world.certificates.where(world.certificates_by_identity, owner):
        if filters.serial is not None and certificate.serial != filters.serial:
            continue
        if filters.name is not None and filters.name.casefold() not in certificate.name.casefold():
            continue
        if filters.type is not None and certificate.type is not filters.type:
            continue
        if filters.state is not None and state_of(certificate, now) is not filters.state:
            continue
        if filters.expires_after is not None and certificate.valid_to <= filters.expires_after:
            continue
        yield certificate

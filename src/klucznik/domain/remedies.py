"""The ways out of a refusal, ranked: what can be done at once comes first, waiting last.

Pure: from KSeF's numbers, the subject's certificates and the requests we know of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from klucznik.domain.certificates import CertificateRecord, CertificateStatus
from klucznik.domain.limits import Limits
from klucznik.domain.reasons import RemedyKind
from klucznik.domain.renewal_window import Estimate, requests_renew, slots_renew


@dataclass(frozen=True)
class Remedy:
    """One way out.

    Attributes:
        frees_requests, frees_certificates: what it gives back, as far as KSeF's rules promise.
        serial_numbers: the certificates it is about.
        estimate: when it works, where that is not at once.
    """

    kind: RemedyKind
    frees_requests: int = 0
    frees_certificates: int = 0
    serial_numbers: tuple[str, ...] = ()
    estimate: Estimate | None = None


def plan(
    limits: Limits,
    needed: int,
    *,
    certificates: Sequence[CertificateRecord],
    held_keys: frozenset[str],
    requested_at: Sequence[datetime],
    now: datetime,
) -> tuple[Remedy, ...]:
    """Ranked ways out of a refusal.

    Args:
        certificates: what KSeF lists for the subject (empty where it could not be asked).
        held_keys: serial numbers of certificates whose private key is in our vault.
        requested_at: times of requests known to us apart from those of `certificates`.
    """
    active = [record for record in certificates if record.status is CertificateStatus.ACTIVE]
    lacks_requests = limits.enrollment.remaining < needed
    lacks_slots = limits.certificate.remaining < needed
    remedies = [Remedy(RemedyKind.GRANT_PERMISSION)]
    foreign = tuple(record.serial_number for record in active if record.serial_number not in held_keys)
    if foreign:
        remedies.append(Remedy(RemedyKind.IMPORT, serial_numbers=foreign))
    if lacks_slots:
        candidates = sorted(active, key=lambda record: (record.last_used_at is not None, record.requested_at))
        serial_numbers = tuple(record.serial_number for record in candidates)
        remedies.append(Remedy(RemedyKind.REVOKE, frees_certificates=len(candidates), serial_numbers=serial_numbers))
    if lacks_requests or not limits.can_request:
        times = [*requested_at, *(record.requested_at for record in certificates)]
        estimate = requests_renew(limits, needed, times, now)
        remedies.append(Remedy(RemedyKind.WAIT_FOR_REQUESTS, estimate=estimate))
    if lacks_slots:
        ends = [record.valid_to for record in active]
        remedies.append(Remedy(RemedyKind.WAIT_FOR_CERTIFICATE_SLOT, estimate=slots_renew(limits, needed, ends, now)))
    return tuple(remedies)

"""Requests that are kept back: those that the renewals of what a subject holds will need.

Pure. A new issuance may not spend them; a renewal, for which they are kept, may.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from klucznik.domain.certificates import CertificateType, HeldCertificate

# A pair is renewed within its last 60 days, and requests that are spent may take 30 days or more to come back.
AHEAD = timedelta(days=60)


def needed_for_renewals(held: Sequence[HeldCertificate], now: datetime) -> tuple[HeldCertificate, ...]:
    """The certificates that will need a request each within 60 days.

    Of each type the one that lasts longest counts: whatever ends before it has been renewed already, or is not missed.

    Args:
        held: the certificates of one subject in the vault.
    """
    longest: dict[CertificateType, HeldCertificate] = {}
    for one in held:
        before = longest.get(one.type)
        if one.usable(now) and (before is None or one.valid_to > before.valid_to):
            longest[one.type] = one
    return tuple(one for one in longest.values() if one.valid_to <= now + AHEAD)

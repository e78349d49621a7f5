"""When limits may renew. The Ministry documents no window, so every date here is an estimate with its evidence.

Sources and their contradictions: facts.md §4.4. The rules considered: each request counts for 30 days (rolling); the
period starts with its first request (fixed); it ends 30 days after the last one. A limit for life cannot be excluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from klucznik.domain.limits import Limits

REQUEST_WINDOW = timedelta(days=30)
SLOT_GRACE = timedelta(days=30)


@dataclass(frozen=True)
class Estimate:
    """A range of dates (UTC) and what it rests on.

    Attributes:
        earliest, latest: the range; None where nothing known supports a date.
        known: how many of the requests (or active certificates) we know the dates of.
        counted: how many KSeF counts.
    """

    earliest: datetime | None
    latest: datetime | None
    known: int
    counted: int

    @property
    def complete(self) -> bool:
        """Whether every request (certificate) that KSeF counts is known to us by its date."""
        return self.known >= self.counted


def requests_renew(limits: Limits, needed: int, requested_at: Sequence[datetime], now: datetime) -> Estimate:
    """When `needed` requests may be available again.

    Args:
        requested_at: times of the requests we know: our own and those that certificates tell.
        now: the present moment; requests older than the window are no evidence any more.
    """
    counted = max(0, limits.enrollment.limit - limits.enrollment.remaining)
    recent = sorted(moment for moment in requested_at if moment > now - REQUEST_WINDOW)
    if not recent or needed <= limits.enrollment.remaining:
        latest = now + REQUEST_WINDOW if counted else None
        return Estimate(None, latest, len(recent), counted)
    earliest = max(now, recent[0] + REQUEST_WINDOW)
    latest = recent[-1] + REQUEST_WINDOW if len(recent) >= counted else max(earliest, now + REQUEST_WINDOW)
    return Estimate(earliest, latest, len(recent), counted)


def slots_renew(limits: Limits, needed: int, valid_to: Sequence[datetime], now: datetime) -> Estimate:
    """When `needed` certificate slots may be free by expiry alone.

    One of the Ministry's programs says that a slot can be used 30 days before its certificate expires; no
    document of the API repeats it. Hence the range.

    Args:
        valid_to: expiry dates of the active certificates.
    """
    counted = max(0, limits.certificate.limit - limits.certificate.remaining)
    ends = sorted(moment for moment in valid_to if moment > now)
    lacking = needed - limits.certificate.remaining
    if not 1 <= lacking <= len(ends):
        return Estimate(None, None, len(ends), counted)
    end = ends[lacking - 1]
    return Estimate(max(now, end - SLOT_GRACE), end, len(ends), counted)

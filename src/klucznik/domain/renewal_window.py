"""When limits may renew. The Ministry documents no window, so every date here is an estimate with its evidence.

Sources and their contradictions: facts.md §4.4. Which rules they leave possible is named here; an estimate says what
each of them would mean, and spans them all. That a limit is for life cannot be excluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from klucznik.domain.limits import Limits

REQUEST_WINDOW = timedelta(days=30)
SLOT_GRACE = timedelta(days=30)


class Rule(StrEnum):
    """How KSeF may count; what a source says or leaves open."""

    ROLLING = "rolling"  # each request comes back 30 days after it was filed
    FIXED_FROM_FIRST = "fixed_from_first"  # all come back 30 days after the first of the period
    UNTIL_30D_AFTER_LAST = "until_30d_after_last"  # all come back 30 days after the last
    LIFETIME = "lifetime"  # none comes back
    BY_EXPIRY = "by_expiry"  # a slot is free when its certificate expires
    BEFORE_EXPIRY = "before_expiry"  # a slot can be used 30 days before its certificate expires


@dataclass(frozen=True)
class Estimate:
    """A range of dates (UTC) and what it rests on.

    Attributes:
        earliest, latest: the range over all rules that name a day; None where nothing known supports a date. While
            some of what KSeF counts is unknown to us (`complete` is false), it may be earlier.
        known: how many of the requests (or active certificates) we know the dates of.
        counted: how many KSeF counts.
        by_rule: the day that each rule names; None: never, or nothing is known to count it from.
    """

    earliest: datetime | None
    latest: datetime | None
    known: int
    counted: int
    by_rule: tuple[tuple[Rule, datetime | None], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every request (certificate) that KSeF counts is known to us by its date."""
        return self.known >= self.counted


def requests_renew(limits: Limits, needed: int, requested_at: Sequence[datetime], now: datetime) -> Estimate:
    """When `needed` requests may be available again, if nobody files any until then.

    Args:
        needed: how many must be left; what is kept back for renewals counts too.
        requested_at: times of the requests we know: our own and those that certificates tell.
        now: the present moment; requests older than the window are no evidence any more.
    """
    counted = max(0, limits.enrollment.limit - limits.enrollment.remaining)
    recent = sorted(moment for moment in requested_at if moment > now - REQUEST_WINDOW)
    lacking = needed - limits.enrollment.remaining
    if lacking < 1 or needed > limits.enrollment.limit:
        return Estimate(None, None, len(recent), counted)
    if not recent:
        return Estimate(None, now + REQUEST_WINDOW, len(recent), counted)
    unknown = max(0, counted - len(recent))
    # What we do not know was filed a moment ago at the latest.
    last = now if unknown else recent[-1]
    moments = recent + [now] * unknown
    days = {
        Rule.ROLLING: moments[min(lacking, len(moments)) - 1] + REQUEST_WINDOW,
        Rule.FIXED_FROM_FIRST: recent[0] + REQUEST_WINDOW,
        Rule.UNTIL_30D_AFTER_LAST: last + REQUEST_WINDOW,
    }
    earliest, latest = max(now, min(days.values())), max(now, *days.values())
    return Estimate(earliest, latest, len(recent), counted, (*days.items(), (Rule.LIFETIME, None)))


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
    if not 1 <= lacking <= len(ends) or needed > limits.certificate.limit:
        return Estimate(None, None, len(ends), counted)
    end = ends[lacking - 1]
    days = ((Rule.BEFORE_EXPIRY, max(now, end - SLOT_GRACE)), (Rule.BY_EXPIRY, end))
    return Estimate(days[0][1], end, len(ends), counted, days)

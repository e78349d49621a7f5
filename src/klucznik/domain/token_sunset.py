"""Until when KSeF tokens sign in. A dated rule: whoever learns of another date changes it here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_WARSAW = ZoneInfo("Europe/Warsaw")


@dataclass(frozen=True)
class Sunset:
    """A day after which something is over, and where that is written.

    Attributes:
        last_day: the last day (Polish calendar) on which it still is.
        source: the act.
    """

    last_day: date
    source: str

    @property
    def ends_at(self) -> datetime:
        """The first moment after the last day."""
        return datetime.combine(self.last_day + timedelta(days=1), time(), _WARSAW)

    def over(self, now: datetime) -> bool:
        return now >= self.ends_at


# facts.md §6: the regulation of 12 December 2025; a proposal of June 2026 to keep tokens has not become law.
TOKEN_SUNSET = Sunset(date(2026, 12, 31), "Dz.U. 2025 poz. 1815, § 13 ust. 1 pkt 1")

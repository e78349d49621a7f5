"""The calendar: when certificates are due for renewal and when they end, by month and as a feed. Asks KSeF nothing."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection as Transaction

from klucznik.domain.connections import Connection, Dated, Method
from klucznik.domain.identifiers import ContextType
from klucznik.errors import InputError
from klucznik.services.installation import Installation
from klucznik.storage import board
from klucznik.storage.board import Place, Placed

PAGE = 100
# A calendar program gets no more: those that come first.
MOST_IN_FEED = 2000
_FED_BACK = timedelta(days=31)
_FED_FORWARD = timedelta(days=800)  # certificates last two years
_WARSAW = ZoneInfo("Europe/Warsaw")
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)
_VALUE = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Month:
    """A month of the Polish calendar."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """``2026-12``; raises InputError ``month_malformed``."""
        found = _MONTH.fullmatch(text)
        if found is None:
            raise InputError("month_malformed")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, moment: datetime) -> Month:
        there = moment.astimezone(_WARSAW)
        return cls(there.year, there.month)

    @property
    def begins(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=_WARSAW).astimezone(UTC)

    @property
    def next(self) -> Month:
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def previous(self) -> Month:
        return Month(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


@dataclass(frozen=True)
class Event:
    """A date of one company."""

    at: datetime
    about: Dated
    connection: Connection

    @property
    def day(self) -> datetime:
        """The Polish day, as its first moment."""
        return self.at.astimezone(_WARSAW).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Dates:
    """A page of dates in their order; `following` is the cursor of the next."""

    events: tuple[Event, ...]
    following: str | None


async def month_page(
    installation: Installation, month: Month, *, cursor: str | None = None, size: int = PAGE, nip: str | None = None
) -> Dates:
    """The dates of a month, page by page, in two queries.

    Args:
        nip: the only company that whoever asks may see.

    Raises:
        InputError: ``list_place_malformed``.
    """
    after = None if cursor is None else _after(cursor)

    def read(transaction: Transaction) -> Dates:
        found = _between(transaction, installation, month.begins, month.next.begins, after, size + 1, nip)
        shown = found[:size]
        return Dates(tuple(event for event, _ in shown), _cursor(*shown[-1]) if len(found) > size else None)

    return await installation.database.read(read)


async def next_month(installation: Installation, *, after: Month, nip: str | None = None) -> Month | None:
    """The next month with a date in it."""

    def read(transaction: Transaction) -> list[tuple[Event, Place]]:
        begins = after.next.begins
        return _between(transaction, installation, begins, begins + 5 * _FED_FORWARD, None, 1, nip)

    found = await installation.database.read(read)
    return Month.of(found[0][0].at) if found else None


async def feed(installation: Installation, *, nip: str | None = None) -> tuple[Event, ...]:
    """What calendar programs show: from a month ago on, no more than `MOST_IN_FEED`."""
    now = installation.clock.now()

    def read(transaction: Transaction) -> tuple[Event, ...]:
        begins, ends = now - _FED_BACK, now + _FED_FORWARD
        found = _between(transaction, installation, begins, ends, None, MOST_IN_FEED, nip)
        return tuple(event for event, _ in found)

    return await installation.database.read(read)


def _between(
    transaction: Transaction,
    installation: Installation,
    from_: datetime,
    to: datetime,
    after: tuple[Place, bool] | None,
    size: int,
    nip: str | None,
) -> list[tuple[Event, Place]]:
    """Both kinds of dates together, in one order: by moment and company, what is due before what ends."""

    def those(*, ends: bool) -> list[Placed]:
        # After a date of the other kind, one of the same company at the same moment may still be to come.
        same = after is not None and ends and not after[1]
        return board.between(
            transaction,
            installation.environment,
            ends=ends,
            from_=from_,
            to=to,
            after=None if after is None else after[0],
            inclusive=same,
            size=size,
            nip=nip,
        )

    found = [(_event(one, ends=ends), one.place) for ends in (False, True) for one in those(ends=ends)]
    found.sort(key=lambda one: (one[0].at, one[1].context_type, one[1].context_value, _ends(one[0])))
    return found[:size]


def _event(one: Placed, *, ends: bool) -> Event:
    connection, key = one.connection, one.place.key
    assert isinstance(key, datetime)  # noqa: S101  what `between` sorts by
    end = Dated.TOKENS_END if connection.method is Method.TOKEN else Dated.CERTIFICATE_ENDS
    return Event(key, end if ends else Dated.RENEWAL_DUE, connection)


def _ends(event: Event) -> bool:
    return event.about is not Dated.RENEWAL_DUE


def _cursor(event: Event, place: Place) -> str:
    told = [event.at.isoformat(), place.context_type, place.context_value, _ends(event)]
    return base64.urlsafe_b64encode(json.dumps(told, separators=(",", ":")).encode()).decode().rstrip("=")


def _after(cursor: str) -> tuple[Place, bool]:
    try:
        told = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        at, kind, value, ends = told
        place = Place(datetime.fromisoformat(at).astimezone(UTC), ContextType(kind).value, str(value))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise InputError("list_place_malformed") from None
    if not _VALUE.fullmatch(place.context_value):
        raise InputError("list_place_malformed")
    return place, bool(ends)

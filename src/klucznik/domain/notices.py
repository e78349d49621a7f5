"""Notices: what people are told by e-mail, when, and what they are asked to do about it. Pure.

A notice is made of an event, for each user, once. When it is sent is the user's choice (`accounts.Digest`); what is
due together goes in one letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from klucznik.domain.accounts import Digest
from klucznik.domain.audit import Fact
from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.connections import Health
from klucznik.domain.events import Happening, Kind, PublicEvent, subject_data
from klucznik.domain.identifiers import Subject
from klucznik.domain.renewal import due_at

_WARSAW = ZoneInfo("Europe/Warsaw")
# So many days before something ends people are told.
DAYS_BEFORE = (90, 60, 30, 7)
# Digests come in the morning, by the Polish clock; those of a week on Mondays.
_MORNING = time(7, 0)
# After each failure to send; the last repeats.
_PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
)
# What is older is no news any more; a digest of a week may have waited seven days already.
STALE_AFTER = timedelta(days=14)


class Renewal(StrEnum):
    """What is to be expected for a certificate that will end."""

    PLANNED = "planned"  # Klucznik renews it by itself, in time
    LATE = "late"  # it should have been renewed by now; Klucznik goes on trying
    BY_PERSON = "by_person"  # nothing here can sign in for it: only a person's signature helps


@dataclass(frozen=True)
class Notice:
    """One thing that somebody is told.

    Attributes:
        kind: of the event.
        at: when it happened.
        claimed_until: while somebody is sending it.
    """

    id: str
    recipient: str
    kind: Kind
    nip: str | None
    at: datetime
    data: Mapping[str, Fact]
    attempts: int
    created_at: datetime
    claimed_until: datetime

    @property
    def topic(self) -> tuple[Kind, str | None]:
        """Under which heading it is told: its kind and, where that makes a difference to people, which kind of that."""
        if self.kind is Kind.CERTIFICATE_EXPIRING:
            return self.kind, str(self.data["renewal"])
        if self.kind is Kind.CONNECTION_HEALTH_CHANGED:
            return self.kind, str(self.data["to"])
        return self.kind, None

    @property
    def calm(self) -> bool:
        """Whether nobody has to do anything about it."""
        return self.data.get("renewal") == Renewal.PLANNED


_NOTICED = frozenset(
    {
        Kind.ISSUANCE_REFUSED,
        Kind.ISSUANCE_REJECTED,
        Kind.RENEWAL_FAILED,
        Kind.CONNECTION_PERMISSION_LOST,
        Kind.CONNECTION_HEALTH_CHANGED,
        Kind.CERTIFICATE_EXPIRING,
        Kind.TOKEN_ENDING,
        Kind.WEBHOOK_DISABLED,
    }
)
_BAD_HEALTH = (Health.CERTIFICATE_INVALID, Health.TOKEN_INVALID, Health.BLOCKED)
# Every topic (`Notice.topic`), the most pressing first.
TOPICS: tuple[tuple[Kind, str | None], ...] = (
    (Kind.CONNECTION_PERMISSION_LOST, None),
    *((Kind.CONNECTION_HEALTH_CHANGED, health.value) for health in _BAD_HEALTH),
    (Kind.RENEWAL_FAILED, None),
    (Kind.CERTIFICATE_EXPIRING, Renewal.BY_PERSON.value),
    (Kind.CERTIFICATE_EXPIRING, Renewal.LATE.value),
    (Kind.TOKEN_ENDING, None),
    (Kind.ISSUANCE_REFUSED, None),
    (Kind.ISSUANCE_REJECTED, None),
    (Kind.WEBHOOK_DISABLED, None),
    (Kind.CERTIFICATE_EXPIRING, Renewal.PLANNED.value),
)


def is_noticed(event: PublicEvent) -> bool:
    """Whether people are told of it by e-mail."""
    if event.kind == Kind.CONNECTION_HEALTH_CHANGED:
        return event.data.get("to") in _BAD_HEALTH
    if event.kind == Kind.ISSUANCE_REFUSED and event.data.get("renewal"):
        return False  # told as a renewal that failed
    return event.kind in _NOTICED


def due(digest: Digest, now: datetime) -> datetime:
    """When somebody is told of what happens now; whoever is `Digest.OFF` is not."""
    if digest is Digest.IMMEDIATELY:
        return now
    here = now.astimezone(_WARSAW)
    day = here.date() + timedelta(days=1 if here.time() >= _MORNING else 0)
    if digest is Digest.WEEKLY:
        day += timedelta(days=-day.weekday() % 7)
    return datetime.combine(day, _MORNING, _WARSAW).astimezone(now.tzinfo)


def next_try(attempts: int, now: datetime) -> datetime:
    """When to try again after so many failures to send."""
    return now + _PAUSES[min(attempts, len(_PAUSES)) - 1]


def days_before(end: datetime, now: datetime) -> int | None:
    """Which of `DAYS_BEFORE` an end is within; None: it is further off, or over."""
    left = end - now
    if left <= timedelta():
        return None
    return min((days for days in DAYS_BEFORE if left <= timedelta(days=days)), default=None)


def expiring(certificate: HeldCertificate, nip: str | None, *, signs_in: bool, now: datetime) -> Happening | None:
    """What is told of a certificate that ends, once for each of `DAYS_BEFORE`; None: it is too early.

    Args:
        nip: a company that is connected by it.
        signs_in: whether something here can sign in for its successor.
    """
    days = days_before(certificate.valid_to, now)
    if days is None:
        return None
    planned = due_at(certificate)
    renewal = Renewal.BY_PERSON if not signs_in else Renewal.PLANNED if now < planned else Renewal.LATE
    data: dict[str, Fact] = {
        "type": certificate.type.value,
        "serial": certificate.serial_number,
        "valid_to": certificate.valid_to.isoformat(timespec="seconds"),
        "days": days,
        "renewal": renewal.value,
        "renews_at": planned.isoformat(timespec="seconds"),
        "subject": subject_data(certificate.subject),
    }
    once = f"{Kind.CERTIFICATE_EXPIRING.value} {certificate.serial_number} {nip or '-'} {days}"
    return Happening(Kind.CERTIFICATE_EXPIRING, data, nip, once=once)


def token_ending(connection_id: str, nip: str, *, ends_at: datetime, now: datetime) -> Happening | None:
    """What is told of a connection by a KSeF token, once for each of `DAYS_BEFORE`; None: too early, or too late."""
    days = days_before(ends_at, now)
    if days is None:
        return None
    data: dict[str, Fact] = {
        "connection": connection_id,
        "ends_at": ends_at.isoformat(timespec="seconds"),
        "days": days,
    }
    return Happening(Kind.TOKEN_ENDING, data, nip, once=f"{Kind.TOKEN_ENDING.value} {connection_id} {days}")


def renewal_stopped(subject: Subject, nip: str | None, *, reason: str, code: int | None, now: datetime) -> Happening:
    """What is told of a renewal that cannot even begin, once a week as long as that is so.

    Args:
        reason: of the error.
        code: KSeF's.
    """
    year, week, _ = now.isocalendar()
    data: dict[str, Fact] = {"reason": reason, "renewal": True, "subject": subject_data(subject)}
    if code is not None:
        data["code"] = code
    return Happening(
        Kind.RENEWAL_FAILED, data, nip, once=f"{Kind.RENEWAL_FAILED.value} {subject} {reason} {year}-{week}"
    )

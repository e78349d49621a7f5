"""When certificates are due for renewal, and what one renewal takes with it.

Pure. A certificate is due when a third of its life is left, or 60 days, whichever is less: a certificate for two years
60 days before its end, one for 90 days 30 days before. (KSeF issues for two years, facts.md §3.6; a third of that would
throw eight months of each certificate away and spend requests sooner than needed.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from klucznik.domain.certificates import PAIR, CertificateType, HeldCertificate
from klucznik.domain.identifiers import Subject

SHARE_OF_LIFE = 3
LONGEST_LEAD = timedelta(days=60)
# Each subject has a moment of its own within this part of the lead, before the due date (5 days of 60): whoever looks
# after thousands of companies that all began on one day does not renew them all on one day.
_SPREAD = 1 / 12
# The other half of a pair goes along where it will be due within this part of its lead (15 days of 60): one sign-in and
# one run of the hooks for both, at the price of at most two weeks of two years.
_TOGETHER = 1 / 4
# No certificate is due earlier than this before its end: lead, spread and company.
EARLIEST = LONGEST_LEAD * (1 + _SPREAD + _TOGETHER)
# Nobody is reminded for ever of what has expired and was never replaced.
FORGOTTEN_AFTER = timedelta(days=90)
# After a renewal that KSeF rejected: a request may have been spent on it, and the next may fare no better.
_LONGEST_PAUSE_DAYS = 14


@dataclass(frozen=True)
class RenewalPlan:
    """What there is to renew for one subject.

    Attributes:
        in_service: of each type the certificate that lasts longest, expired or not.
        due: types to request now; empty: nothing yet.
        due_at: when the first is due, or was.
        signs_in_until: end of the certificate that can sign in for its successor; None: there is none any more, and a
            person has to sign.
    """

    subject: Subject
    in_service: tuple[HeldCertificate, ...]
    due: tuple[CertificateType, ...]
    due_at: datetime
    signs_in_until: datetime | None

    @property
    def replaces(self) -> tuple[str, ...]:
        """Serial numbers of what a renewal of `due` replaces."""
        return tuple(held.serial_number for held in self.in_service if held.type in self.due)


def lead(certificate: HeldCertificate) -> timedelta:
    """How long before its end a certificate is due at the latest."""
    return min((certificate.valid_to - certificate.valid_from) / SHARE_OF_LIFE, LONGEST_LEAD)


def due_at(certificate: HeldCertificate) -> datetime:
    """The moment from which a certificate is to be renewed; the same whenever it is asked."""
    before = lead(certificate)
    return certificate.valid_to - before - before * _SPREAD * _place_of(certificate.subject)


def renewal_plan(held: Sequence[HeldCertificate], now: datetime, *, early: bool = False) -> RenewalPlan | None:
    """What to renew of the certificates of one subject; None: nothing here is in service.

    Each half is due by itself, and a half that will soon be due goes along; a half is never renewed only because its
    twin is, and what was revoked, or never proved, is nothing that a renewal replaces.

    Args:
        early: renew all that is in service, due or not.
    """
    serving = _in_service(held, now)
    if not serving:
        return None
    due: tuple[CertificateType, ...] = ()
    if early or any(due_at(one) <= now for one in serving):
        due = tuple(one.type for one in serving if early or due_at(one) - lead(one) * _TOGETHER <= now)
    can_sign_in = [one.valid_to for one in held if one.type is CertificateType.AUTHENTICATION and one.usable(now)]
    return RenewalPlan(
        subject=serving[0].subject,
        in_service=serving,
        due=due,
        due_at=min(due_at(one) for one in serving),
        signs_in_until=max(can_sign_in, default=None),
    )


def next_attempt(failures: int, last: datetime) -> datetime:
    """When a renewal may be tried again that KSeF has rejected so many times in a row, `last` of them the latest."""
    days = min(2 ** min(failures - 1, 10), _LONGEST_PAUSE_DAYS)
    return last + timedelta(days=days)


def _in_service(held: Sequence[HeldCertificate], now: datetime) -> tuple[HeldCertificate, ...]:
    longest: dict[CertificateType, HeldCertificate] = {}
    for one in held:
        # Proved and not revoked; that it has ended does not matter as long as it would be missed.
        if one.usable(one.valid_from) and one.valid_to > now - FORGOTTEN_AFTER:
            before = longest.get(one.type)
            if before is None or one.valid_to > before.valid_to:
                longest[one.type] = one
    return tuple(longest[kind] for kind in PAIR if kind in longest)


def _place_of(subject: Subject) -> float:
    """From 0 to 1, spread evenly over subjects, and always the same for one."""
    digest = hashlib.sha256(f"{subject.type.value}:{subject.value}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32

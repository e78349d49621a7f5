"""The dates of a connection: when somebody has to act, and when what it rests on ends.

Pure, and the same whenever they are asked: rows keep them, so that thousands of connections are sorted and searched by
them. What they mean at a moment is said by `next_date`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from klucznik.domain.certificates import CertificateType, HeldCertificate
from klucznik.domain.connections import Connection, Dated, Method, NextDate
from klucznik.domain.renewal import LONGEST_LEAD, due_at
from klucznik.domain.token_sunset import TOKEN_SUNSET


@dataclass(frozen=True)
class Dates:
    """Of a connection that ends some day, if nobody does anything.

    Attributes:
        act_at: from when something is to be done: the renewal is due, the token has to be replaced.
        ends_at: when the first of what it rests on ends.
    """

    act_at: datetime
    ends_at: datetime


def dates_of(method: Method, held: Sequence[HeldCertificate]) -> Dates | None:
    """The dates of a connection; None: nothing that is known here ends by itself.

    Args:
        held: all certificates of its subject.
    """
    if method is Method.TOKEN:
        last_moment = TOKEN_SUNSET.ends_at - timedelta(seconds=1)  # still on the last day, which is what people know
        return Dates(last_moment - LONGEST_LEAD, last_moment)
    if not method.is_by_certificate:
        return None
    serving = _serving(held)
    if not serving:
        return None
    return Dates(min(map(due_at, serving)), min(one.valid_to for one in serving))


def attention_from(connection: Connection, dates: Dates | None) -> datetime | None:
    """From when somebody should look at it: since it is in trouble, or as soon as something is to be done."""
    if connection.health.is_trouble:
        return connection.health_since
    return None if dates is None else dates.act_at


def next_date(method: Method, dates: Dates | None, now: datetime) -> NextDate | None:
    """The next date that matters, as it is told now."""
    if dates is None:
        return None
    if method is Method.TOKEN:
        return NextDate(Dated.TOKENS_END, dates.ends_at)
    if dates.act_at > now:
        return NextDate(Dated.RENEWAL_DUE, dates.act_at)
    about = Dated.CERTIFICATE_ENDS if dates.ends_at > now else Dated.CERTIFICATE_ENDED
    return NextDate(about, dates.ends_at)


def _serving(held: Sequence[HeldCertificate]) -> list[HeldCertificate]:
    """Of each type the proved one that lasts longest; what had ended before the newest began is missed no more."""
    longest: dict[CertificateType, HeldCertificate] = {}
    for one in held:
        if one.usable(one.valid_from) and (one.type not in longest or one.valid_to > longest[one.type].valid_to):
            longest[one.type] = one
    newest = max((one.valid_from for one in longest.values()), default=None)
    return [one for one in longest.values() if newest is not None and one.valid_to > newest]

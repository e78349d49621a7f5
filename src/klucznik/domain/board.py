"""What people look for on the board, and in which order they see it. Pure; the rows are in `storage.board`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from klucznik.domain.connections import Health, Method

_NIP_BEGINNING = re.compile(r"(?:PL)?(\d{1,10})", re.IGNORECASE | re.ASCII)
_SEPARATORS = re.compile(r"[\s-]+")
_APART = re.compile(r"[\W_]+")
# Letters that are no other letter with a mark on it.
_PLAIN = str.maketrans("łŁøØđĐ", "lLoOdD")
# The longest search that is looked at; names of companies have at most a hundred letters.
LONGEST_SEARCH = 100
ENDS_WITHIN_DAYS = (7, 30, 60, 90)


class Order(StrEnum):
    """By what connections are sorted."""

    URGENT = "urgent"  # what needs somebody: since the longest, then the soonest
    NEXT = "next"  # by what has to be done when, however well it works
    NAME = "name"
    NIP = "nip"
    HEALTH = "health"  # the worst first


@dataclass(frozen=True)
class Wanted:
    """Which connections are looked for; everything that is said must be true of them.

    Attributes:
        nip_begins: digits at the beginning of the NIP.
        name_has: folded, see `folded`.
        attention: those that somebody should look at.
        ends_within: those of which something ends so soon, or has ended.
        nip: the one company that whoever asks may see.
    """

    nip_begins: str | None = None
    name_has: str | None = None
    method: Method | None = None
    health: Health | None = None
    attention: bool = False
    ends_within: timedelta | None = None
    nip: str | None = None


def order_of(wanted: Wanted, order: Order) -> Order:
    """The order that it comes to: those of one health have no other by their health than by their number."""
    return Order.NIP if order is Order.HEALTH and wanted.health is not None else order


def looked_for(text: str) -> tuple[str | None, str | None]:
    """What somebody has typed to find a company: the beginning of a NIP, or a part of a name."""
    number = _NIP_BEGINNING.fullmatch(_SEPARATORS.sub("", text))
    if number:
        return number[1], None
    return None, folded(text[:LONGEST_SEARCH]) or None


def folded(text: str) -> str:
    """Letters without marks, all small, words with one space between them: as names are compared with each other.

    >>> folded("Żółw-Bud  Sp. z o.o.")
    'zolw bud sp z o o'
    """
    parts = unicodedata.normalize("NFKD", text).translate(_PLAIN)
    plain = "".join(letter for letter in parts if not unicodedata.combining(letter))
    return _APART.sub(" ", plain.casefold()).strip()

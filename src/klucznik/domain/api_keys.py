"""Keys by which programs speak to the API: what each may do, for which company, and until when. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from klucznik.domain.roles import SCOPES, Action, Principal
from klucznik.domain.values import InvalidValue

# So that scanners of source code and people know one when they see it.
PREFIX = "klk_"
SHOWN = 12
LONGEST_NAME = 100
LONGEST_DAYS = 366
LONGEST_OVERLAP_HOURS = 168
# Of all companies at once: nothing for a key that is bound to one.
_OF_ALL = frozenset({Action.IMPORT})


class KeyState(StrEnum):
    """Whether a key opens anything."""

    GOOD = "good"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key; the key itself is with whoever uses it.

    Attributes:
        shown: the first characters of its newest secret, by which people tell keys apart.
        nip: the only company it may touch; None: all of the installation.
        created_by: id of the user; None: it was made at the terminal of the machine.
        former_until: until when the last of its former secrets may still be used; None: it never had another.
    """

    id: str
    name: str
    shown: str
    scopes: frozenset[Action]
    created_at: datetime
    expires_at: datetime
    nip: str | None = None
    created_by: str | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    former_until: datetime | None = None

    def state(self, now: datetime) -> KeyState:
        if self.revoked_at is not None:
            return KeyState.REVOKED
        return KeyState.GOOD if now < self.expires_at else KeyState.EXPIRED

    def overlaps(self, now: datetime) -> bool:
        """Whether a former secret still opens it too."""
        return self.former_until is not None and now < self.former_until and self.state(now) is KeyState.GOOD

    @property
    def principal(self) -> Principal:
        return Principal(f"key:{self.id}", self.name, None, self.scopes, self.nip)


def parse_key_name(text: str) -> str:
    """A name of up to 100 printable characters; white space is brought down to single spaces.

    Raises:
        InvalidValue: ``key_name_malformed`` (``limit``).
    """
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidValue("key_name_malformed", limit=LONGEST_NAME)
    return name


def parse_scopes(names: Iterable[str], *, nip: str | None) -> frozenset[Action]:
    """What a key is given.

    Args:
        nip: the company that it is bound to.

    Raises:
        InvalidValue: ``scopes_missing``, ``scope_unknown``, ``scope_of_all`` (of no use to a key of one company).
    """
    known = {action.value: action for action in SCOPES}
    scopes = set()
    for name in names:
        if name not in known:
            raise InvalidValue("scope_unknown", value=name[:40], known=", ".join(sorted(known)))
        if nip is not None and known[name] in _OF_ALL:
            raise InvalidValue("scope_of_all", scope=name)
        scopes.add(known[name])
    if not scopes:
        raise InvalidValue("scopes_missing", known=", ".join(sorted(known)))
    return frozenset(scopes)


def parse_lifetime(days: int) -> timedelta:
    """How long a key is good.

    Raises:
        InvalidValue: ``key_lifetime_out_of_range`` (``limit``): less than a day, or longer than a year.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidValue("key_lifetime_out_of_range", limit=LONGEST_DAYS)
    return timedelta(days=days)


def parse_overlap(hours: int) -> timedelta:
    """How long former secrets of a key may still be used beside its new one.

    Raises:
        InvalidValue: ``key_overlap_out_of_range`` (``limit``): less than nothing, or longer than a week.
    """
    if not 0 <= hours <= LONGEST_OVERLAP_HOURS:
        raise InvalidValue("key_overlap_out_of_range", limit=LONGEST_OVERLAP_HOURS)
    return timedelta(hours=hours)

"""How long somebody who guesses has to wait. Pure; the counters are `storage.guesses`.

Each guess is counted under what it is about, before it is looked at, so that a thousand at once are a thousand:

- a browser that has signed in to this account before (it has a device cookie): under that browser and account;
- any other: under the account, and under the address that it comes from;
- links that are asked for by e-mail: under the account, and under the address that it comes from, apart from guesses;
- codes of a second factor, which only whoever knows the password can guess: under the account, apart from passwords.

So a stranger who guesses makes other strangers wait, never the owner at their own browser; and the pause has an upper
bound, so that the owner at a new browser waits minutes, not days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class About(StrEnum):
    """What a guess is counted under. Names are kept: rows begin with them."""

    ACCOUNT = "account"
    DEVICE = "device"
    ADDRESS = "address"
    CODE = "code"
    LINK = "link"
    ASKING = "asking"


# So many are free; an office behind one address mistypes more often than one person.
FREE = {About.ACCOUNT: 5, About.DEVICE: 5, About.ADDRESS: 20, About.CODE: 5, About.LINK: 3, About.ASKING: 10}
_FIRST_PAUSE_S = 2
LONGEST_PAUSE = timedelta(minutes=15)
# After a day without a guess all is forgotten.
KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Guesses:
    """The guesses under one name.

    Attributes:
        first_at: of this row of guesses.
        blocked_until: no guess is looked at before.
    """

    number: int
    first_at: datetime
    blocked_until: datetime | None = None

    def is_forgotten(self, now: datetime) -> bool:
        return now >= max(self.first_at, self.blocked_until or self.first_at) + KEPT

    def one_more(self, about: About, now: datetime) -> Guesses:
        """With one more guess, which is looked at now; the next one after the pause that it costs."""
        number = self.number + 1
        pause = pause_after(number, about)
        return Guesses(number, self.first_at, now + pause if pause else None)


def pause_after(number: int, about: About) -> timedelta:
    """How long to wait after this many wrong guesses: nothing for a few, then twice as long each time."""
    beyond = number - FREE[about]
    if beyond < 0:
        return timedelta()
    return min(timedelta(seconds=_FIRST_PAUSE_S * 2 ** min(beyond, 20)), LONGEST_PAUSE)


def worth_recording(number: int, about: About) -> bool:
    """Whether the log tells of this guess: the one with which pauses begin, and from there on each doubling."""
    beyond = number - FREE[about]
    return beyond == 0 or (beyond > 0 and number & (number - 1) == 0)

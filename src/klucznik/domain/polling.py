"""How long to wait before asking KSeF again for something that takes its time. Pure.

It only keeps from asking in vain: that all polls together stay within KSeF's limits is held by `domain.pacing`.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random

FIRST = timedelta(milliseconds=250)  # KSeF is often done within a second or two
LONGEST = timedelta(minutes=4)
GROWTH = 1.35  # each pause is about a third of what has been waited so far
AGE_BETWEEN_POLLS = 0.25  # of what has taken an hour, a quarter of an hour more is no news
JITTER = 0.2


def next_poll(asked: int, since: timedelta, random: Random) -> timedelta:
    """The pause before the next poll.

    It grows with the polls, so that a fast answer is seen fast, and is never much shorter than the time already waited
    would suggest, so that who comes back after a crash does not start with a burst.

    Args:
        asked: polls so far.
        since: how long the request has been underway.
        random: spreads those who started together.
    """
    by_polls = FIRST * GROWTH ** min(asked, 40)  # beyond any pause that still grows; a float must not overflow
    by_age = max(since, timedelta()) * AGE_BETWEEN_POLLS
    pause = min(max(by_polls, by_age), LONGEST)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)

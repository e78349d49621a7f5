"""Whether a sign-in that came to nothing is begun anew, and after which pause. The steps themselves are `client`.

A fresh challenge is free and opens nothing that was not asked for, so a lost answer of a sign-in costs only time.
"""

from __future__ import annotations

from datetime import timedelta

from klucznik.clock import Clock
from klucznik.errors import KsefRefused, KsefUnavailable, Paced, RateLimited

SIGN_INS = 6  # attempts at one sign-in
FIRST_PAUSE_S = 0.5  # doubled at each further attempt
WITHIN = timedelta(seconds=60)  # no attempt begins later than this after the first
_BAD_CHALLENGE = 21111
_KEY_WITHDRAWN = 21470  # of those that encrypt tokens: the next attempt asks for the keys again
_BAD_TOKEN = 450


class Attempts:
    """Those of one sign-in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = SIGN_INS - 1
        self._pause_s = FIRST_PAUSE_S
        self._until = clock.now() + WITHIN

    async def another(self, error: KsefRefused | KsefUnavailable) -> bool:
        """Whether to begin anew after this error; has waited by then."""
        now = self._clock.now()
        if isinstance(error, (RateLimited, Paced)):
            at = error.until
        elif _passing(error):
            at = now + timedelta(seconds=self._pause_s)
            self._pause_s *= 2
        else:
            return False
        if self._left == 0 or at > self._until:
            return False
        self._left -= 1
        await self._clock.sleep(max(0.0, (at - now).total_seconds()))
        return True


def _passing(error: KsefRefused | KsefUnavailable) -> bool:
    """Whether the next attempt may well succeed. No to a person or a certificate is final (facts.md §2.7)."""
    if isinstance(error, KsefUnavailable):
        return True
    if error.code == _BAD_TOKEN:
        return any("wyzwanie" in detail.lower() for detail in error.details)
    # 401: KSeF no longer knows the token that it has just given for this one sign-in.
    return error.code in (500, 550, _BAD_CHALLENGE, _KEY_WITHDRAWN) or error.status == 401

"""The limits as KSeF told them last on this walk, and what was filed since. What they allow is `domain.preflight`."""

from __future__ import annotations

from datetime import datetime, timedelta

from klucznik.clock import Clock
from klucznik.domain.limits import Limits
from klucznik.services.login import Login
from klucznik.services.progress import Listener, Progress, Stage

# Limits older than this are read again before a request leaves, even where nothing was waited for.
LIMITS_STAY_FRESH = timedelta(seconds=30)


class KnownLimits:
    """Read under the lease; after every wait, and after every answer that was lost, they are to be forgotten (rule 1).

    Attributes:
        filed_since: requests that this walk has filed since it read them.
    """

    def __init__(self, login: Login, clock: Clock, listener: Listener) -> None:
        self._login = login
        self._clock = clock
        self._listener = listener
        self._told: tuple[Limits, datetime] | None = None
        self.filed_since = 0

    async def read(self) -> Limits:
        """Ask KSeF."""
        told = await (await self._login.session()).limits()
        self._told, self.filed_since = (told, self._clock.now()), 0
        self._listener(Progress(Stage.LIMITS_READ, limits=told))
        return told

    async def fresh(self) -> Limits:
        """Those that are known, unless they are too old; then ask KSeF."""
        if self._told is not None and self._clock.now() - self._told[1] <= LIMITS_STAY_FRESH:
            return self._told[0]
        return await self.read()

    def forget(self) -> None:
        self._told = None

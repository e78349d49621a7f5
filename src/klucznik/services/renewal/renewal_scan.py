"""The scan of a worker: from time to time it orders what is due and takes up what earlier renewals left.

Any number of workers may scan: who may order is decided by the subject's lease, under which everything is looked at
again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from klucznik.domain.identifiers import Subject
from klucznik.domain.notices import renewal_stopped
from klucznik.errors import KlucznikError, KsefRefused, SignatureNeeded, SubjectBusy
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.renewal.deploy import follow_up, open_follow_ups
from klucznik.services.renewal.renew import order_renewal
from klucznik.services.renewal.renewals import running_out
from klucznik.storage import events

SCAN_EVERY_S = 3600.0
_AT_ONCE = 4
# KSeF said no to the sign-in, or nothing can sign in: only a person changes that, so it is not asked every hour.
_AFTER_A_REFUSAL = timedelta(hours=12)

_log = logging.getLogger("klucznik.renewals")


@dataclass
class RenewalScan:
    """Looks for what is due.

    Args:
        listener: told of each thing that happens.
        stopping: asked between two steps; True: this process is to end.
    """

    installation: Installation
    listener: Listener = unheard
    stopping: Callable[[], bool] = lambda: False
    _not_before: dict[Subject, datetime] = field(default_factory=dict, init=False, repr=False)

    async def run(self) -> None:
        """Look once. Errors are logged: the next scan looks again."""
        now = self.installation.clock.now()
        self._not_before = {one: moment for one, moment in self._not_before.items() if moment > now}
        try:
            subjects = [one for one in await running_out(self.installation) if one not in self._not_before]
            left = await open_follow_ups(self.installation)
        except KlucznikError as error:
            _log.warning("the database cannot be asked for what is to be renewed: %s", error)
            return
        room = asyncio.Semaphore(_AT_ONCE)
        orders = [self._guarded(room, str(one), partial(self._order, one)) for one in subjects]
        follows = [self._guarded(room, one, partial(self.follow_up, one)) for one in left]
        await asyncio.gather(*orders, *follows)

    async def follow_up(self, issuance_id: str) -> None:
        """Run the hooks of a renewal that has just ended."""
        try:
            await follow_up(self.installation, issuance_id, listener=self.listener, stopping=self.stopping)
        except SubjectBusy:
            return  # somebody else is at it, or the next scan is

    async def _order(self, subject: Subject) -> None:
        try:
            ordered = await order_renewal(self.installation, subject, listener=self.listener)
        except SubjectBusy:
            return
        except (SignatureNeeded, KsefRefused) as error:
            self._not_before[subject] = self.installation.clock.now() + _AFTER_A_REFUSAL
            await self._tell(subject, error)
            raise
        if ordered is not None:
            facts = {"issuance": ordered.id, "subject": str(subject), "replaces": len(ordered.replaces or ())}
            _log.info("renewal_ordered", extra={"facts": facts})

    async def _tell(self, subject: Subject, error: SignatureNeeded | KsefRefused) -> None:
        """Whoever is to act on it hears of it, once a week."""
        installation, now, nip = self.installation, self.installation.clock.now(), error.data.get("nip")
        code = error.code if isinstance(error, KsefRefused) else None
        stopped = renewal_stopped(
            subject, nip if isinstance(nip, str) else None, reason=error.reason, code=code, now=now
        )
        await installation.database.write(
            lambda transaction: events.add_once(
                transaction, installation.environment, [stopped], actor=installation.owner, now=now
            )
        )

    async def _guarded(self, room: asyncio.Semaphore, about: str, work: Callable[[], Awaitable[None]]) -> None:
        async with room:
            try:
                await work()
            except KlucznikError as error:
                _log.warning("renewal of %s stopped: %s", about, error, extra={"facts": {"about": about}})
            except Exception as error:
                # Not with its text: that of a foreign error may hold anything.
                _log.error("renewal of %s met an unforeseen %s", about, type(error).__name__)

"""The embedded engine: wakes due issuances inside one process. Where many share a server, `distributed` takes over.

The rows say what is due; nothing is remembered here that a crash could lose. Which issuance does what is `advance`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from math import inf

from sqlalchemy import Connection

from klucznik.clock import by_the_machine, stopwatch
from klucznik.domain.identifiers import Subject
from klucznik.domain.issuance import IssuanceState
from klucznik.errors import KlucznikError, SubjectBusy
from klucznik.services.advance import advance
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.renewal.renewal_scan import SCAN_EVERY_S, RenewalScan
from klucznik.storage import issuances

# Another process may order at any moment; a look at one index costs next to nothing.
_LOOK_EVERY_S = 1.0
_STILL_AT_WORK_S = 15.0
# After an error that nobody foresaw, lest it be met again a second later.
_AFTER_A_SURPRISE = timedelta(minutes=1)

_log = logging.getLogger("klucznik.engine")


@dataclass
class Engine:
    """Takes on what is due until it is told to stop.

    Args:
        at_once: issuances worked on at the same time, each of another subject.
    """

    installation: Installation
    at_once: int = 16
    listener: Listener = unheard
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False, repr=False)
    _not_before: dict[str, datetime] = field(default_factory=dict, init=False, repr=False)
    _looked_at: float = field(default=-inf, init=False, repr=False)

    def stop(self) -> None:
        """Take on nothing more; what is being worked on ends after its present step, or now if this is said twice."""
        if self._stopping.is_set():
            for task in self._running.values():
                task.cancel()
        self._stopping.set()

    @property
    def at_work(self) -> bool:
        """Whether it has looked for what is due within the last moments, and takes on more."""
        return not self._stopping.is_set() and stopwatch() - self._looked_at < _STILL_AT_WORK_S

    async def run(self) -> None:
        """Until `stop`; now and then with a look at what is to be renewed."""
        scanning = asyncio.create_task(self._scan_for_ever())
        try:
            await self._work_until_stopped()
        finally:
            scanning.cancel()
            await asyncio.wait({scanning})

    async def _work_until_stopped(self) -> None:
        while not self._stopping.is_set():
            await self._take_what_is_due()
            waiting = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({waiting, *self._running.values()}, timeout=_LOOK_EVERY_S, return_when="FIRST_COMPLETED")
            waiting.cancel()
        if self._running:
            await asyncio.wait(self._running.values())

    async def run_until_idle(self) -> None:
        """Until nothing is due any more; what waits for a later moment is left waiting."""
        while await self._take_what_is_due() or self._running:
            await asyncio.wait(self._running.values(), timeout=_LOOK_EVERY_S, return_when="FIRST_COMPLETED")

    async def _take_what_is_due(self) -> int:
        """Start on due issuances, as many as there is room for; how many were started."""
        self._looked_at = stopwatch()
        room = self.at_once - len(self._running)
        if room <= 0:
            return 0
        now = self.installation.clock.now()
        self._not_before = {one: moment for one, moment in self._not_before.items() if moment > now}
        # Those that are running here are not covered by a lease in their first moment.
        most = room + len(self._running) + len(self._not_before)

        def read(connection: Connection) -> list[tuple[str, Subject]]:
            return issuances.due(connection, self.installation.environment, now=now, most=most)

        try:
            found = await self.installation.database.read(read)
        except KlucznikError as error:
            _log.warning("the database cannot be asked for what is due: %s", error)
            return 0
        ready = [one for one, _ in found if one not in self._running and one not in self._not_before]
        for issuance_id in ready[:room]:
            self._start(issuance_id)
        return len(ready[:room])

    def _scan(self) -> RenewalScan:
        return RenewalScan(self.installation, self.listener, self._stopping.is_set)

    async def _scan_for_ever(self) -> None:
        scan = self._scan()
        while True:
            await scan.run()
            await by_the_machine(SCAN_EVERY_S)

    def _start(self, issuance_id: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self._advance(issuance_id))
        self._running[issuance_id] = task
        task.add_done_callback(partial(self._done, issuance_id))
        return task

    def _done(self, issuance_id: str, _: asyncio.Task[None]) -> None:
        del self._running[issuance_id]

    async def _advance(self, issuance_id: str) -> None:
        try:
            issuance = await advance(
                self.installation, issuance_id, listener=self.listener, stopping=self._stopping.is_set
            )
            if issuance.replaces is not None and issuance.state is IssuanceState.DONE:
                await self._scan().follow_up(issuance_id)
        except SubjectBusy:
            return  # somebody else is at it
        except KlucznikError as error:
            _log.warning("issuance %s stopped: %s", issuance_id, error, extra={"facts": {"issuance": issuance_id}})
        except Exception as error:
            # Not with its text: that of a foreign error may hold anything.
            _log.error(
                "issuance %s met an unforeseen %s",
                issuance_id,
                type(error).__name__,
                extra={"facts": {"issuance": issuance_id}},
            )
            self._not_before[issuance_id] = self.installation.clock.now() + _AFTER_A_SURPRISE

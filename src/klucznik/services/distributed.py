"""The distributed engine: workers on one PostgreSQL, woken by its queue (`storage.queue`).

The rows are the truth, a job is a knock on the door. What a job wakes is `advance`; who may work is decided by leases.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
from procrastinate import App
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Status

from klucznik.clock import by_the_machine, stopwatch
from klucznik.errors import KlucznikError
from klucznik.services.advance import load
from klucznik.services.engine import Engine
from klucznik.storage.queue import BURIED_AFTER_S, TASK, Queue

# Due rows without a job are looked for this often: one look at one index.
_SWEEP_EVERY_S = 1.0
_SWEPT_AT_ONCE = 500
# A job for a moment ahead is put only where the moment is near; later ones are left to the sweep. Procrastinate reads
# past every job that may not run yet when it looks for one that may.
_NEAR = timedelta(minutes=1)
# Whoever lost the server, or Procrastinate its tables, begins anew after this.
_BEGIN_ANEW_AFTER_S = 1.0
_WORKER: dict[str, Any] = {
    "listen_notify": True,
    "fetch_job_polling_interval": 1.0,  # nobody is notified when the moment of a job has come
    "abort_job_polling_interval": BURIED_AFTER_S,
    "stalled_worker_timeout": BURIED_AFTER_S,
    "delete_jobs": "always",
    "install_signal_handlers": False,
}
_BURY_EVERY_S = BURIED_AFTER_S / 2
_LOST = (ProcrastinateException, psycopg.Error, KlucznikError)

_log = logging.getLogger("klucznik.engine")


@dataclass
class DistributedEngine(Engine):
    """Takes on what the queue wakes, beside any number of others."""

    queue: Queue = field(kw_only=True)
    _woken: int = field(default=0, init=False, repr=False)

    async def _work_until_stopped(self) -> None:
        sweeping = asyncio.create_task(self._sweep_for_ever())
        stopping = asyncio.create_task(self._stopping.wait())
        while not self._stopping.is_set():
            working = asyncio.create_task(self._work_or_tell())
            await asyncio.wait({working, stopping}, return_when="FIRST_COMPLETED")
            working.cancel()  # Procrastinate then fetches nothing more and waits for what is running
            await asyncio.wait({working})
            await asyncio.wait({stopping}, timeout=_BEGIN_ANEW_AFTER_S)
        sweeping.cancel()
        await asyncio.wait({sweeping})

    async def run_until_idle(self) -> None:
        """Until nothing is due any more; what waits for a later moment is left waiting."""
        while not self._stopping.is_set():
            self._woken = 0
            await self._sweep()
            await self._work(wait=False)
            if not self._woken:
                return

    async def _work_or_tell(self) -> None:
        try:
            await self._work(wait=True)
        except _LOST as error:
            # Not with its text, which may hold anything; our own errors are made for being told.
            told = error if isinstance(error, KlucznikError) else type(error).__name__
            _log.warning("the queue cannot be used: %s", told)

    async def _work(self, *, wait: bool) -> None:
        """Be a worker of Procrastinate, until there is no job (`wait`: until cancelled)."""
        await self.queue.make_ready()
        app = self.queue.app()
        app.task(name=TASK, queue=self.queue.name)(self._take_on)
        async with app.open_async():
            burying = asyncio.create_task(self._bury_the_dead(app))
            try:
                await app.run_worker_async(queues=[self.queue.name], concurrency=self.at_once, wait=wait, **_WORKER)
            finally:
                burying.cancel()
                await asyncio.wait({burying})

    async def _take_on(self, issuance: str) -> None:
        """What a job does. However it ends, the job is done: what is left to do is in the row."""
        self._woken += 1
        if issuance in self._running:
            return
        pause = await self._left_to_wait(issuance)
        if pause is None:
            await asyncio.wait({self._start(issuance)})
            pause = await self._left_to_wait(issuance)
        if self._stopping.is_set():
            return  # the next sweep of whoever is left finds it
        if issuance in self._not_before:
            pause = max(pause or timedelta(), self._not_before.pop(issuance) - self.installation.clock.now())
        if pause is not None and pause <= _NEAR:
            with suppress(KlucznikError):
                await self.queue.wake_after(issuance, pause)

    async def _left_to_wait(self, issuance_id: str) -> timedelta | None:
        """How long nobody needs to look at it; None: somebody should now."""
        now = self.installation.clock.now()
        try:
            issuance = await load(self.installation, issuance_id)
        except Exception:  # unreadable, or the database is away: `advance` finds out, and tells
            return None
        if issuance.state.ended:
            return timedelta.max
        if issuance.wait is None:
            return None
        until = issuance.wait.until
        if until is None:
            return timedelta.max
        return until - now if until > now else None

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self._sweep()
            except KlucznikError as error:
                _log.warning("the database cannot be asked for what is due: %s", error)
            await by_the_machine(_SWEEP_EVERY_S)

    async def _sweep(self) -> None:
        self._looked_at = stopwatch()
        await self.queue.sweep(now=self.installation.clock.now(), most=_SWEPT_AT_ONCE)

    async def _bury_the_dead(self, app: App) -> None:
        """Jobs of workers that died. Their issuances are due in their rows as soon as the leases end."""
        while True:
            with suppress(ProcrastinateException, psycopg.Error):
                jobs = await app.job_manager.get_stalled_jobs(
                    queue=self.queue.name, seconds_since_heartbeat=BURIED_AFTER_S
                )
                for job in jobs:
                    await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)
                await app.job_manager.prune_stalled_workers(BURIED_AFTER_S)
            await by_the_machine(_BURY_EVERY_S)

"""Waiting: a short wait is slept through under the lease, a long one is committed in the row and ends the walk."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.issuance import Issuance
from klucznik.domain.polling import next_poll
from klucznik.domain.waits import WaitKind, pause, wait_after
from klucznik.errors import Paced, RateLimited
from klucznik.services.onboarding_follows import follow
from klucznik.services.progress import Progress, Stage
from klucznik.services.road.commits import Looking, Road
from klucznik.storage import issuances

# A wait up to this long is slept through under the lease; a longer one is committed, and the lease given back.
SHORT_WAIT = timedelta(seconds=2)
_LONGEST_PAUSE_S = 100
# Waits that only a person or many days can end are recorded when they begin; the others are KSeF's everyday life.
_WAITS_THAT_MATTER = (WaitKind.NEEDS_SIGNATURE, WaitKind.PKCS11_REFUSES, WaitKind.LIMITS, WaitKind.WRONG_CERTIFICATE)


def take_up(road: Road, issuance: Issuance) -> Issuance:
    """The issuance without its wait: what was waited for is over, or somebody wants to look earlier."""
    wait = issuance.wait
    if wait is not None:
        road.before = wait
        if wait.kind in (WaitKind.PROCESSING, WaitKind.UNSETTLED):
            road.looking = Looking(wait.kind, wait.looks, rested=True)
    return replace(issuance, wait=None)


async def rest(road: Road, issuance: Issuance, kind: WaitKind, since: datetime | None = None) -> Issuance:
    """Pause before looking once more for the same thing.

    Args:
        since: how long KSeF has been at it, where it is KSeF that is waited for.
    """
    if road.looking.kind is not kind:
        # A lost answer is looked for at once; what KSeF has just accepted is not done yet.
        road.looking = Looking(kind, rested=kind is WaitKind.UNSETTLED)
    looking = road.looking
    if looking.rested:
        looking.rested = False
        return issuance
    long = pause(kind, looking.looks) if since is None else next_poll(looking.looks, road.now - since, road.random)
    if looking.looks == 0 or kind is WaitKind.UNSETTLED:
        road.listener(Progress(Stage.WAITING_FOR_KSEF, seconds=long.total_seconds()))
    looking.looks += 1
    return await wait(road, issuance, kind, road.now + long)


async def obey(road: Road, issuance: Issuance, error: RateLimited | Paced) -> Issuance:
    """Wait exactly as long as KSeF, or our own pace, says; a long wait is told to whoever called."""
    left = (error.until - road.now).total_seconds()
    if left > _LONGEST_PAUSE_S:
        raise error
    road.listener(Progress(Stage.PACED, seconds=left))
    return await wait(road, issuance, WaitKind.PACED, error.until, error.reason)


async def wait(road: Road, issuance: Issuance, kind: WaitKind, until: datetime, reason: str | None = None) -> Issuance:
    """Here where it is short, in the row where it is long."""
    road.limits.forget()  # after every wait they are read anew (rule 1)
    left = until - road.now
    if left <= SHORT_WAIT:
        await road.installation.clock.sleep(max(0.0, left.total_seconds()))
        return issuance
    return await park(road, issuance, kind, until, reason)


async def park(
    road: Road, issuance: Issuance, kind: WaitKind, until: datetime | None, reason: str | None = None
) -> Issuance:
    """Commit that the issuance waits; whoever is woken then goes on from the rows."""
    waits = wait_after(road.before, kind, until, road.now, reason)
    if road.looking.kind is kind:
        waits = replace(waits, looks=road.looking.looks)
    entries = []
    if kind in _WAITS_THAT_MATTER and (road.before is None or road.before.kind is not kind):
        told: dict[str, Fact] = {
            "for": kind.value,
            "reason": reason,
            "until": None if until is None else until.isoformat(),
        }
        entries = [Entry(Event.WAITING, told, issuance.id)]

    def commit(connection: Connection) -> Issuance:
        saved = issuances.save(connection, replace(issuance, wait=waits), now=road.now)
        if kind in (WaitKind.NEEDS_SIGNATURE, WaitKind.LIMITS):
            follow(road.installation, connection, saved, road.refusal)
        return saved

    parked = await road.commit(commit, *entries)
    road.listener(Progress(Stage.WAITING, issuance=parked))
    return parked


async def park_until_it_answers(
    road: Road, issuance: Issuance, reason: str, kind: WaitKind = WaitKind.KSEF_UNAVAILABLE
) -> Issuance:
    """Commit that KSeF, or a token, gave no usable answer; the longer that lasts, the more seldom it is asked."""
    before = road.before
    looks = before.looks if before is not None and before.kind is kind else 0
    return await park(road, issuance, kind, road.now + pause(kind, looks), reason)

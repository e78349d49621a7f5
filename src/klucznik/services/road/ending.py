"""The end of an issuance: what will not be sent any more is marked so, and the login is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, ending
from klucznik.services.onboarding_follows import follow
from klucznik.services.progress import Progress, Stage
from klucznik.services.road.commits import Road
from klucznik.storage import issuances, logins


async def finish(road: Road, issuance: Issuance, unsent: Sequence[Enrollment], *why: Entry) -> Issuance:
    ended = [replace(row, state=EnrollmentState.UNSENT) if row in unsent else row for row in await road.rows(issuance)]
    return await end(road, replace(issuance, state=ending(issuance, ended)), unsent, *why)


async def end(road: Road, issuance: Issuance, unsent: Sequence[Enrollment], *why: Entry) -> Issuance:
    """Save `issuance`, with those that will not be sent; at its end its login is forgotten."""
    ended: dict[str, Fact] = {"state": issuance.state.value, "never_sent": [row.name for row in unsent]}
    if issuance.replaces is not None:
        ended["renewal"] = True
    entries = [*why, Entry(Event.ISSUANCE_ENDED, ended, issuance.id)] if issuance.state.ended else why

    def commit(connection: Connection) -> Issuance:
        for enrollment in unsent:
            issuances.save_enrollment(connection, enrollment, EnrollmentState.UNSENT, now=road.now)
        if issuance.state.ended:
            logins.forget(connection, issuance.id)
        done = issuances.save(connection, issuance, now=road.now)
        if done.state.ended:
            follow(road.installation, connection, done, road.refusal)
        return done

    saved = await road.commit(commit, *entries)
    if saved.state.ended:
        road.listener(Progress(Stage.ENDED, issuance=saved))
    return saved

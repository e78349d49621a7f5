"""From act to act: look at the rows, do what comes next, look again, until the road ends or waits."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event
from klucznik.domain.issuance import Enrollment, Issuance, IssuanceState, NextStep, Step, next_step
from klucznik.errors import KsefRefused
from klucznik.services import restored
from klucznik.services.naming import named_for
from klucznik.services.road.accepted import poll, retrieve
from klucznik.services.road.anew import file_anew
from klucznik.services.road.beginning import begin
from klucznik.services.road.commits import LEASE_LASTS, Road
from klucznik.services.road.doubt import settle
from klucznik.services.road.ending import end, finish
from klucznik.services.road.proving import verify
from klucznik.services.road.sending import send
from klucznik.services.road.waiting import take_up
from klucznik.services.sign_in import SignedIn
from klucznik.storage import issuances, leases

_ACTS = {
    Step.PREFLIGHT: begin,
    Step.SEND: send,
    Step.RECONCILE: settle,
    Step.POLL: poll,
    Step.RETRIEVE: retrieve,
    Step.VERIFY: verify,
    Step.FILE_ANEW: file_anew,
    Step.FINISH: finish,
}


async def walk(road: Road, issuance: Issuance) -> Issuance:
    """Take the issuance on until it ends or has to wait (then `Issuance.wait` says for what).

    Raises:
        KsefUnavailable: KSeF does not answer now; the rows keep everything, and a later call goes on from there.
        SignatureNeeded: the login is over.
        VerificationFailed: KSeF gave something else than was asked for.
    """
    issuance = await _after_a_restore(road, take_up(road, issuance))
    while issuance.wait is None and not road.stopping():
        todo = await _next(road, issuance)
        if todo.step is Step.NOTHING:
            break
        issuance = await _ACTS[todo.step](road, issuance, todo.enrollments)
    return issuance


async def _next(road: Road, issuance: Issuance) -> NextStep:
    def look(connection: Connection) -> list[Enrollment]:
        # Whoever was frozen between two acts learns here that somebody else has taken over, and asks KSeF nothing.
        leases.check(connection, road.lease)
        return issuances.enrollments_of(connection, issuance.id)

    return next_step(issuance, await road.installation.database.read(look))


async def _after_a_restore(road: Road, issuance: Issuance) -> Issuance:
    """Where the rows come from a backup, look first at what KSeF has issued since.

    Raises:
        KsefRefused: ``issued_since_the_backup``: this issuance went on after the backup, and its keys are gone.
    """
    subject = issuance.subject
    if not await restored.is_from_a_backup(road.installation, subject):
        return issuance
    signed_in = SignedIn(await road.login.session(), subject)
    found = await restored.compare(road.installation, signed_in, road.lease, lasts=LEASE_LASTS)
    gone = [record.serial_number for record in found.gone if named_for(record.name, issuance.id)]
    if not gone:
        return issuance
    called_off = replace(issuance, cancelled_at=road.now)
    if issuance.state is not IssuanceState.PLANNED:
        # What it filed is finished and kept; nothing is filed anew, for that has been done since.
        told = Entry(Event.ISSUANCE_CANCELLED, {"why": "issued_since_the_backup", "keys_gone": gone}, issuance.id)
        return await road.save(called_off, told)
    await end(road, replace(called_off, state=IssuanceState.CANCELLED), ())
    raise KsefRefused("issued_since_the_backup", serials=", ".join(gone))

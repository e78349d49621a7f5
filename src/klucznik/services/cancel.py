"""Call an issuance off: nothing more is filed. What has been filed is spent, so it is finished and kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event
from klucznik.domain.issuance import EnrollmentState, Issuance, IssuanceState
from klucznik.errors import InputError
from klucznik.services import audit
from klucznik.services.advance import held, load
from klucznik.services.installation import Installation
from klucznik.services.onboarding_follows import follow
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.road import LEASE_LASTS
from klucznik.services.see_through import wait_for_lease
from klucznik.storage import issuances, leases, logins


@dataclass(frozen=True)
class Cancelled:
    """What calling it off has come to.

    Attributes:
        issuance: as it stands now: ended where nothing had been filed, else still running until that is finished.
        spent: requests that had been spent on it, or may have been.
        saved: requests that were not filed and now never will be.
    """

    issuance: Issuance
    spent: int
    saved: int


async def cancel(
    installation: Installation, issuance_id: str, *, only_unspent: bool = False, listener: Listener = unheard
) -> Cancelled:
    """Call a running issuance off.

    Args:
        only_unspent: change nothing where a request has been filed, or may have been; whoever ordered it stays signed
            in and goes elsewhere.

    Raises:
        InputError: ``issuance_unknown``, ``issuance_ended``, ``issuance_has_spent``.
        SubjectBusy: somebody is at it and not done within two minutes.
    """
    subject = (await _running(installation, issuance_id)).subject
    lease = await wait_for_lease(installation, subject, listener)
    async with held(installation, lease):
        issuance = await _running(installation, issuance_id)  # under the lease, look again
        done = await installation.database.write(
            lambda connection: _cancel(installation, connection, lease, issuance, only_unspent=only_unspent)
        )
    if done.issuance.state.ended:
        listener(Progress(Stage.ENDED, issuance=done.issuance))
    return done


async def _running(installation: Installation, issuance_id: str) -> Issuance:
    issuance = await load(installation, issuance_id)
    if issuance.state.ended:
        raise InputError("issuance_ended", issuance=issuance_id, state=issuance.state.value)
    return issuance


def _cancel(
    installation: Installation, connection: Connection, lease: leases.Lease, issuance: Issuance, *, only_unspent: bool
) -> Cancelled:
    now = installation.clock.now()
    leases.confirm(connection, lease, now=now, lasts=LEASE_LASTS)
    rows = issuances.enrollments_of(connection, issuance.id)
    if only_unspent and any(row.may_have_spent for row in rows):
        raise InputError("issuance_has_spent", issuance=issuance.id)
    unsent = [row for row in rows if row.state is EnrollmentState.KEY_COMMITTED]
    for row in unsent:
        issuances.save_enrollment(connection, row, EnrollmentState.UNSENT, now=now)
    filed = [row for row in rows if row.state is not EnrollmentState.KEY_COMMITTED]
    # Called off for good, nobody has more to do with its session.
    called_off = replace(issuance, cancelled_at=now, stays_signed_in=issuance.stays_signed_in and only_unspent)
    if not filed:
        called_off = replace(called_off, state=IssuanceState.CANCELLED, wait=None)
        logins.forget(connection, issuance.id)
    saved = len(unsent) if rows else len(issuance.missing)
    spent = sum(row.may_have_spent for row in filed)
    done = issuances.save(connection, called_off, now=now)
    follow(installation, connection, done)
    facts = {"state": called_off.state.value, "spent": spent, "saved": saved}
    audit.record(installation, connection, issuance.subject, Entry(Event.ISSUANCE_CANCELLED, facts, issuance.id))
    return Cancelled(done, spent, saved)

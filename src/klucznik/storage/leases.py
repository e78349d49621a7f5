"""Who may act for a subject now: a row with an owner, an expiry and a growing token (rule 4 of the design)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, bindparam, select, update

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject
from klucznik.errors import SubjectBusy
from klucznik.storage.races import insert_unless_there
from klucznik.storage.schema import leases

# The owner of a lease that was given back; one that ran out keeps its last owner.
_NOBODY = ""


@dataclass(frozen=True)
class Lease:
    """The right to act for a subject until it expires, or until somebody with a higher token has taken it over.

    Attributes:
        taken_from: another owner, who held it before and has not given it back.
    """

    environment: Environment
    subject: Subject
    owner: str
    token: int
    taken_from: str | None = None

    @property
    def taken_over(self) -> bool:
        return self.taken_from is not None


# Made once: every commit of an issuance confirms its lease, and SQLAlchemy takes ten times as long to put a statement
# together as to run it. What an UPDATE sets are the other parameters.
_THEIRS = and_(
    leases.c.environment == bindparam("where"),
    leases.c.subject_type == bindparam("kind"),
    leases.c.subject_value == bindparam("of"),
)
_HELD = select(leases.c.owner, leases.c.token, leases.c.expires_at).where(_THEIRS).with_for_update()
_TAKE_OVER = update(leases).where(_THEIRS)
_RENEW = update(leases).where(_THEIRS, leases.c.token == bindparam("ours"))
_CHECK = select(leases.c.token, leases.c.expires_at).where(_THEIRS)


def _row_of(environment: Environment, subject: Subject) -> dict[str, str]:
    return {"where": environment.value, "kind": subject.type.value, "of": subject.value}


def _row_held(lease: Lease) -> dict[str, str | int]:
    return {**_row_of(lease.environment, lease.subject), "ours": lease.token}


def take(
    connection: Connection, environment: Environment, subject: Subject, *, owner: str, now: datetime, lasts: timedelta
) -> Lease:
    """Take the lease of a subject.

    Raises:
        SubjectBusy: somebody holds it; says until when at most.
    """
    first = insert_unless_there(
        connection,
        leases,
        environment=environment.value,
        subject_type=subject.type.value,
        subject_value=subject.value,
        owner=owner,
        token=1,
        expires_at=now + lasts,
    )
    if first:
        return Lease(environment, subject, owner, 1)
    row = _row_of(environment, subject)
    held = connection.execute(_HELD, row).one()
    if held.expires_at > now:
        raise SubjectBusy(subject, until=held.expires_at)
    token = held.token + 1
    connection.execute(_TAKE_OVER, {**row, "owner": owner, "token": token, "expires_at": now + lasts})
    taken_from = None if held.owner in (_NOBODY, owner) else held.owner
    return Lease(environment, subject, owner, token, taken_from)


def confirm(connection: Connection, lease: Lease, *, now: datetime, lasts: timedelta) -> None:
    """Part of every commit on the road: the lease is still ours, and lasts on from now.

    Raises:
        SubjectBusy: it has expired and was taken over; nothing of the transaction may be kept.
    """
    renewed = connection.execute(_RENEW, {**_row_held(lease), "expires_at": now + lasts})
    if renewed.rowcount != 1:
        raise SubjectBusy(lease.subject, until=now + lasts)


def check(connection: Connection, lease: Lease) -> None:
    """Whether the lease has been taken over; a look that changes nothing.

    Raises:
        SubjectBusy: it has.
    """
    row = connection.execute(_CHECK, _row_of(lease.environment, lease.subject)).one()
    if row.token != lease.token:
        raise SubjectBusy(lease.subject, until=row.expires_at)


def give_back(connection: Connection, lease: Lease, *, now: datetime) -> None:
    """End the lease early. Does nothing where it has been taken over."""
    connection.execute(_RENEW, {**_row_held(lease), "owner": _NOBODY, "expires_at": now})

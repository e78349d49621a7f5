"""Issuances and their enrollments. Every change says which version it saw; a stale one changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from klucznik.domain.certificates import CertificateType
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, ContextType, Subject, SubjectType
from klucznik.domain.issuance import Enrollment, EnrollmentState, Failure, Issuance, IssuanceState, may_follow
from klucznik.domain.keytype import KeyType
from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.waits import Wait, WaitKind
from klucznik.errors import StorageError
from klucznik.storage.schema import enrollments, issuances, leases

_ORDER = tuple(CertificateType)
_RUNNING = (IssuanceState.PLANNED.value, IssuanceState.UNDERWAY.value)

# Made once: these run with every step of an issuance, and SQLAlchemy takes ten times as long to put a statement
# together as to run it. What an INSERT or UPDATE sets are the other parameters.
_ADD = insert(issuances)
_SAVE = update(issuances).where(issuances.c.id == bindparam("saved"), issuances.c.version == bindparam("seen"))
_LOAD = select(issuances).where(issuances.c.id == bindparam("wanted"))
_RUNNING_OF = (
    select(issuances)
    .where(
        issuances.c.environment == bindparam("where"),
        issuances.c.subject_type == bindparam("kind"),
        issuances.c.subject_value == bindparam("value"),
        issuances.c.state.in_(_RUNNING),
    )
    .order_by(issuances.c.created_at)
    .limit(1)
)
_DUE = (
    select(issuances.c.id, issuances.c.subject_type, issuances.c.subject_value)
    .outerjoin(
        leases,
        and_(
            leases.c.environment == issuances.c.environment,
            leases.c.subject_type == issuances.c.subject_type,
            leases.c.subject_value == issuances.c.subject_value,
            leases.c.expires_at > bindparam("now"),
        ),
    )
    .where(
        issuances.c.wake_at <= bindparam("now"), leases.c.token.is_(None), issuances.c.environment == bindparam("where")
    )
    .order_by(issuances.c.wake_at)
    .limit(bindparam("most"))
)
_ADD_ENROLLMENT = insert(enrollments)
_SAVE_ENROLLMENT = update(enrollments).where(
    enrollments.c.id == bindparam("saved"), enrollments.c.version == bindparam("seen")
)
_ENROLLMENTS_OF = select(enrollments).where(enrollments.c.issuance_id == bindparam("wanted"))


def add(connection: Connection, issuance: Issuance, *, now: datetime) -> None:
    row = {
        "id": issuance.id,
        "environment": issuance.environment.value,
        "context_type": issuance.context.type.value,
        "context_value": issuance.context.value,
        "subject_type": issuance.subject.type.value,
        "subject_value": issuance.subject.value,
        "key_type": issuance.key_type.value,
        "replaces": None if issuance.replaces is None else list(issuance.replaces),
        "ignores_reserve": issuance.ignores_reserve,
        "keys_on_token": issuance.keys_on_token,
        "created_at": issuance.created_at,
        "updated_at": now,
    }
    connection.execute(_ADD, {**row, **_changing(issuance, now)})


def save(connection: Connection, issuance: Issuance, *, now: datetime) -> Issuance:
    """Save what has changed since `issuance.version`; the saved issuance comes back.

    Raises:
        StorageError: ``state_moved_on``: somebody else changed it meanwhile.
    """
    saved = replace(issuance, version=issuance.version + 1)
    which = {"saved": issuance.id, "seen": issuance.version}
    changed = connection.execute(_SAVE, {**which, "updated_at": now, **_changing(saved, now)})
    if changed.rowcount != 1:
        raise StorageError("state_moved_on", issuance=issuance.id)
    return saved


def load(connection: Connection, issuance_id: str) -> Issuance | None:
    """The issuance of that id, ended or not."""
    row = connection.execute(_LOAD, {"wanted": issuance_id}).one_or_none()
    return None if row is None else _issuance(row)


def by_prefix(connection: Connection, environment: Environment, prefix: str, *, most: int) -> list[Issuance]:
    """Issuances whose id begins with `prefix` (lower-case hexadecimal digits, as all ids are)."""
    rows = connection.execute(
        select(issuances)
        .where(
            issuances.c.environment == environment.value,
            issuances.c.id >= prefix,
            issuances.c.id < prefix + "g",  # after every continuation, in every collation
        )
        .order_by(issuances.c.id)
        .limit(most)
    )
    return [_issuance(row) for row in rows]


def due(
    connection: Connection,
    environment: Environment,
    *,
    now: datetime,
    most: int,
    unless: ColumnElement[bool] | None = None,
) -> list[tuple[str, Subject]]:
    """Running issuances that somebody should look at now and nobody does, the longest due first.

    Args:
        unless: leaves out those of which this is true.
    """
    query = _DUE if unless is None else _DUE.where(~unless)
    rows = connection.execute(query, {"where": environment.value, "now": now, "most": most})
    return [(row.id, Subject(SubjectType(row.subject_type), row.subject_value)) for row in rows]


def page(
    connection: Connection,
    environment: Environment,
    *,
    running_only: bool,
    before: Issuance | None = None,
    size: int,
    only: Context | None = None,
) -> list[Issuance]:
    """Issuances, or those for one company, the newest first; `before` is the last one of the page before."""
    query = select(issuances).where(issuances.c.environment == environment.value)
    if running_only:
        query = query.where(issuances.c.state.in_(_RUNNING))
    if only is not None:
        query = query.where(issuances.c.context_type == only.type.value, issuances.c.context_value == only.value)
    if before is not None:
        query = query.where(tuple_(issuances.c.created_at, issuances.c.id) < (before.created_at, before.id))
    rows = connection.execute(query.order_by(issuances.c.created_at.desc(), issuances.c.id.desc()).limit(size))
    return [_issuance(row) for row in rows]


def running(connection: Connection, environment: Environment, subject: Subject) -> Issuance | None:
    """The issuance of this subject that has not ended, if there is one."""
    theirs = {"where": environment.value, "kind": subject.type.value, "value": subject.value}
    row = connection.execute(_RUNNING_OF, theirs).one_or_none()
    return None if row is None else _issuance(row)


def renewals(connection: Connection, environment: Environment, subject: Subject, *, most: int) -> list[Issuance]:
    """The last renewals of a subject, ended or not, the newest first."""
    rows = connection.execute(
        select(issuances)
        .where(
            issuances.c.environment == environment.value,
            issuances.c.subject_type == subject.type.value,
            issuances.c.subject_value == subject.value,
            issuances.c.replaces.is_not(None),
        )
        .order_by(issuances.c.created_at.desc(), issuances.c.id.desc())
        .limit(most)
    )
    return [_issuance(row) for row in rows]


def of_context(connection: Connection, environment: Environment, context: Context, *, most: int) -> list[Issuance]:
    """The latest issuances for a company, the newest first."""
    rows = connection.execute(
        select(issuances)
        .where(
            issuances.c.environment == environment.value,
            issuances.c.context_type == context.type.value,
            issuances.c.context_value == context.value,
        )
        .order_by(issuances.c.created_at.desc(), issuances.c.id.desc())
        .limit(most)
    )
    return [_issuance(row) for row in rows]


def contexts_of(connection: Connection, environment: Environment, subject: Subject) -> list[Context]:
    """In which contexts issuances of a subject have signed in, the latest first."""
    latest = func.max(issuances.c.created_at)
    rows = connection.execute(
        select(issuances.c.context_type, issuances.c.context_value)
        .where(
            issuances.c.environment == environment.value,
            issuances.c.subject_type == subject.type.value,
            issuances.c.subject_value == subject.value,
        )
        .group_by(issuances.c.context_type, issuances.c.context_value)
        .order_by(latest.desc())
    )
    return [Context(ContextType(row.context_type), row.context_value) for row in rows]


def count_running(
    connection: Connection, environment: Environment
) -> tuple[dict[IssuanceState, int], dict[WaitKind, int]]:
    """How many have not ended, by state, and how many of them wait, by what for."""
    states, waits = defaultdict[IssuanceState, int](int), defaultdict[WaitKind, int](int)
    rows = connection.execute(
        select(issuances.c.state, issuances.c.wait_kind, func.count().label("number"))
        .where(issuances.c.environment == environment.value, issuances.c.state.in_(_RUNNING))
        .group_by(issuances.c.state, issuances.c.wait_kind)
    )
    for row in rows:
        states[IssuanceState(row.state)] += row.number
        if row.wait_kind is not None:
            waits[WaitKind(row.wait_kind)] += row.number
    return dict(states), dict(waits)


def count_unknown(connection: Connection, environment: Environment) -> int:
    """How many requests of running issuances are in doubt."""
    return connection.execute(
        select(func.count())
        .select_from(enrollments.join(issuances))
        .where(
            issuances.c.environment == environment.value,
            issuances.c.state.in_(_RUNNING),
            enrollments.c.state == EnrollmentState.UNKNOWN.value,
        )
    ).scalar_one()


def add_enrollment(connection: Connection, enrollment: Enrollment, *, now: datetime) -> None:
    row = {
        "id": enrollment.id,
        "issuance_id": enrollment.issuance_id,
        "type": enrollment.type.value,
        "name": enrollment.name,
        "key_id": enrollment.key_id,
        "csr": enrollment.csr,
        "updated_at": now,
    }
    connection.execute(_ADD_ENROLLMENT, {**row, **_progress(enrollment)})


def save_enrollment(
    connection: Connection, enrollment: Enrollment, state: EnrollmentState, *, now: datetime
) -> Enrollment:
    """Move an enrollment to `state`, with its other fields as given.

    Raises:
        StorageError: ``state_moved_on``, or ``transition_forbidden`` where the road does not lead there.
    """
    if state is not enrollment.state and not may_follow(enrollment.state, state):
        raise StorageError("transition_forbidden", before=enrollment.state.value, after=state.value)
    saved = replace(enrollment, state=state, version=enrollment.version + 1)
    which = {"saved": enrollment.id, "seen": enrollment.version}
    changed = connection.execute(_SAVE_ENROLLMENT, {**which, "updated_at": now, **_progress(saved)})
    if changed.rowcount != 1:
        raise StorageError("state_moved_on", issuance=enrollment.issuance_id)
    return saved


def enrollments_of(connection: Connection, issuance_id: str) -> list[Enrollment]:
    """The enrollments of an issuance, in the order of sending; of one type, the latest last."""
    rows = connection.execute(_ENROLLMENTS_OF, {"wanted": issuance_id})
    return sorted((_enrollment(row) for row in rows), key=_in_order)


def enrollment_named(connection: Connection, name: str) -> Enrollment | None:
    """The enrollment whose certificate has, or would have, that name."""
    row = connection.execute(select(enrollments).where(enrollments.c.name == name)).one_or_none()
    return None if row is None else _enrollment(row)


def enrollments_of_many(connection: Connection, issuance_ids: Collection[str]) -> dict[str, list[Enrollment]]:
    """The enrollments of several issuances by their ids, each in the order of sending."""
    rows = connection.execute(select(enrollments).where(enrollments.c.issuance_id.in_(issuance_ids)))
    found = defaultdict[str, list[Enrollment]](list)
    for enrollment in sorted((_enrollment(row) for row in rows), key=_in_order):
        found[enrollment.issuance_id].append(enrollment)
    return found


def _in_order(enrollment: Enrollment) -> tuple[int, str]:
    return _ORDER.index(enrollment.type), enrollment.name


def requests_since(
    connection: Connection,
    environment: Environment,
    subject: Subject,
    since: datetime,
    *,
    apart_from: Collection[str] = (),
) -> list[datetime]:
    """When this subject's requests were filed by us: one half of the evidence for a renewal date.

    Args:
        apart_from: serial numbers of certificates whose requests are known otherwise and shall not be told twice.
    """
    rows = connection.execute(
        select(enrollments.c.requested_at, enrollments.c.certificate_serial_number)
        .join(issuances)
        .where(
            issuances.c.environment == environment.value,
            issuances.c.subject_type == subject.type.value,
            issuances.c.subject_value == subject.value,
            enrollments.c.requested_at > since,
        )
    )
    return [row.requested_at for row in rows if row.certificate_serial_number not in apart_from]


def _changing(issuance: Issuance, now: datetime) -> dict[str, Any]:
    wait = issuance.wait
    # A row that runs and waits for nothing is due at once: nobody looks at it while a live lease covers its subject,
    # and whoever held that lease may have died.
    wake_at = None if issuance.state.ended else now if wait is None else wait.until
    return {
        "state": issuance.state.value,
        "missing": [type.value for type in issuance.missing],
        "limits_before": None if issuance.limits_before is None else asdict(issuance.limits_before),
        "limits_after": None if issuance.limits_after is None else asdict(issuance.limits_after),
        "wait_kind": None if wait is None else wait.kind.value,
        "wait_since": None if wait is None else wait.since,
        "wait_looks": None if wait is None else wait.looks,
        "wait_reason": None if wait is None else wait.reason,
        "wake_at": wake_at,
        "limits_until": issuance.limits_until,
        "cancelled_at": issuance.cancelled_at,
        "stays_signed_in": issuance.stays_signed_in,
        "version": issuance.version,
    }


def _progress(enrollment: Enrollment) -> dict[str, Any]:
    return {
        "state": enrollment.state.value,
        "remaining_before": enrollment.remaining_before,
        "sent_at": enrollment.sent_at,
        "requested_at": enrollment.requested_at,
        "reference_number": enrollment.reference_number,
        "certificate_serial_number": enrollment.certificate_serial_number,
        "failure": None if enrollment.failure is None else asdict(enrollment.failure),
        "version": enrollment.version,
    }


def _issuance(row: Row[Any]) -> Issuance:
    return Issuance(
        id=row.id,
        environment=Environment(row.environment),
        context=Context(ContextType(row.context_type), row.context_value),
        subject=Subject(SubjectType(row.subject_type), row.subject_value),
        key_type=KeyType(row.key_type),
        state=IssuanceState(row.state),
        missing=tuple(CertificateType(type) for type in row.missing),
        created_at=row.created_at,
        limits_before=_limits(row.limits_before),
        limits_after=_limits(row.limits_after),
        wait=_wait(row),
        limits_until=row.limits_until,
        cancelled_at=row.cancelled_at,
        replaces=None if row.replaces is None else tuple(row.replaces),
        ignores_reserve=row.ignores_reserve,
        keys_on_token=row.keys_on_token,
        stays_signed_in=row.stays_signed_in,
        version=row.version,
    )


def _wait(row: Row[Any]) -> Wait | None:
    if row.wait_kind is None:
        return None
    return Wait(WaitKind(row.wait_kind), row.wake_at, row.wait_since, row.wait_looks, row.wait_reason)


def _limits(saved: dict[str, Any] | None) -> Limits | None:
    if saved is None:
        return None
    return Limits(saved["can_request"], Allowance(**saved["enrollment"]), Allowance(**saved["certificate"]))


def _enrollment(row: Row[Any]) -> Enrollment:
    return Enrollment(
        id=row.id,
        issuance_id=row.issuance_id,
        type=CertificateType(row.type),
        name=row.name,
        key_id=row.key_id,
        csr=row.csr,
        state=EnrollmentState(row.state),
        remaining_before=row.remaining_before,
        sent_at=row.sent_at,
        requested_at=row.requested_at,
        reference_number=row.reference_number,
        certificate_serial_number=row.certificate_serial_number,
        failure=None if row.failure is None else Failure(**row.failure),
        version=row.version,
    )

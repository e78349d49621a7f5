"""Onboardings. Every change says which version it saw; a stale one changes nothing."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, insert, select, tuple_, update

from klucznik.domain.connections import Method
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, ContextType, Subject, SubjectType
from klucznik.domain.issuance import Issuance
from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.onboarding import (
    Act,
    Onboarding,
    OnboardingState,
    Setback,
    SignerKind,
    UnderWay,
    after_issuance,
    may_follow,
)
from klucznik.domain.preflight import Refusal
from klucznik.errors import StorageError
from klucznik.storage import connections, invitations, refusals, sealed_secrets
from klucznik.storage.schema_people import onboardings
from klucznik.storage.schema_people import sealed_secrets as sealed_secrets_table

# What its login is sealed as (`sealed_secrets`).
SECRET = "onboarding"  # noqa: S105
# Those that are open are named, so that an index finds them among all that have ever ended.
_OPEN = [state.value for state in OnboardingState if not state.ended]


def add(transaction: Transaction, onboarding: Onboarding) -> None:
    transaction.execute(
        insert(onboardings).values(
            id=onboarding.id,
            environment=onboarding.environment.value,
            context_type=onboarding.context.type.value,
            context_value=onboarding.context.value,
            name=onboarding.name,
            begun_by=onboarding.begun_by,
            invitation_id=onboarding.invitation_id,
            created_at=onboarding.created_at,
            updated_at=onboarding.updated_at,
            **_changing(onboarding),
        )
    )


def save(transaction: Transaction, onboarding: Onboarding, *, now: datetime) -> Onboarding:
    """Save what has changed since `onboarding.version`; the saved one comes back.

    At its end its login is forgotten, and the invitation that led to it has served.

    Raises:
        StorageError: ``state_moved_on``: somebody else changed it meanwhile; ``transition_forbidden``.
    """
    row = transaction.execute(
        select(onboardings.c.state, onboardings.c.version).where(onboardings.c.id == onboarding.id).with_for_update()
    ).one_or_none()
    if row is None or row.version != onboarding.version:
        raise StorageError("state_moved_on", onboarding=onboarding.id)
    if not may_follow(OnboardingState(row.state), onboarding.state):
        raise StorageError("transition_forbidden", before=row.state, after=onboarding.state.value)
    saved = replace(onboarding, version=onboarding.version + 1, updated_at=now)
    transaction.execute(
        update(onboardings).where(onboardings.c.id == saved.id).values(updated_at=now, **_changing(saved))
    )
    if saved.state.ended:
        sealed_secrets.forget(transaction, SECRET, saved.id)
    if saved.state is OnboardingState.DONE and saved.invitation_id is not None:
        invitations.close(transaction, saved.invitation_id, now=now)
    return saved


def load(
    transaction: Transaction, environment: Environment, onboarding_id: str, *, to_change: bool = False
) -> Onboarding | None:
    """The onboarding of that id.

    Args:
        to_change: nobody else changes it until the transaction ends.
    """
    query = select(onboardings).where(onboardings.c.id == onboarding_id, onboardings.c.environment == environment.value)
    row = transaction.execute(query.with_for_update() if to_change else query).one_or_none()
    return None if row is None else _onboarding(row)


def of_invitation(transaction: Transaction, environment: Environment, invitation_id: str) -> Onboarding | None:
    """The latest one that was begun by an invitation."""
    row = transaction.execute(
        select(onboardings)
        .where(onboardings.c.environment == environment.value, onboardings.c.invitation_id == invitation_id)
        .order_by(onboardings.c.created_at.desc(), onboardings.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _onboarding(row)


def unfinished_of(
    transaction: Transaction, environment: Environment, context: Context, begun_by: str
) -> Onboarding | None:
    """The latest one that somebody has begun for a company and that has not ended."""
    row = transaction.execute(
        select(onboardings)
        .where(
            onboardings.c.environment == environment.value,
            onboardings.c.context_type == context.type.value,
            onboardings.c.context_value == context.value,
            onboardings.c.begun_by == begun_by,
            onboardings.c.state.in_(_OPEN),
        )
        .order_by(onboardings.c.created_at.desc(), onboardings.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _onboarding(row)


def page(
    transaction: Transaction,
    environment: Environment,
    *,
    begun_by: str | None = None,
    nip: str | None = None,
    before: tuple[datetime, str] | None = None,
    size: int,
) -> list[Onboarding]:
    """Those that have not ended, the latest changed first; `before` is the place of the last one of the page before."""
    query = select(onboardings).where(onboardings.c.environment == environment.value, onboardings.c.state.in_(_OPEN))
    if begun_by is not None:
        query = query.where(onboardings.c.begun_by == begun_by)
    if nip is not None:
        query = query.where(onboardings.c.context_value == nip)
    if before is not None:
        query = query.where(tuple_(onboardings.c.updated_at, onboardings.c.id) < before)
    rows = transaction.execute(query.order_by(onboardings.c.updated_at.desc(), onboardings.c.id.desc()).limit(size))
    return [_onboarding(row) for row in rows]


def acts_begun(transaction: Transaction, environment: Environment, *, before: datetime, size: int) -> list[Onboarding]:
    """Those whose act has begun before that and not ended, the one that has waited longest first."""
    rows = transaction.execute(
        select(onboardings)
        .where(
            onboardings.c.environment == environment.value,
            onboardings.c.state.in_(_OPEN),
            onboardings.c.updated_at < before,  # beginning is a change: so it is found by the index
            onboardings.c.under_way_since < before,
        )
        .order_by(onboardings.c.under_way_since, onboardings.c.id)
        .limit(size)
    )
    return [_onboarding(row) for row in rows]


def left_signed_in(
    transaction: Transaction, environment: Environment, *, before: datetime, size: int
) -> list[Onboarding]:
    """Those with a login that nobody has used or changed since, the one left longest first. An order keeps its own."""
    rows = transaction.execute(
        select(onboardings)
        .join(
            sealed_secrets_table,
            (sealed_secrets_table.c.kind == SECRET) & (sealed_secrets_table.c.owner_id == onboardings.c.id),
        )
        .where(
            onboardings.c.environment == environment.value,
            onboardings.c.state.in_([state for state in _OPEN if state != OnboardingState.ISSUING.value]),
            onboardings.c.updated_at < before,
            onboardings.c.under_way.is_(None),
            sealed_secrets_table.c.created_at < before,  # it is sealed anew when it is renewed
        )
        .order_by(onboardings.c.updated_at, onboardings.c.id)
        .limit(size)
    )
    return [_onboarding(row) for row in rows]


def replaced_by(transaction: Transaction, issuance_id: str) -> frozenset[str]:
    """Which connections the certificates of an issuance take the place of (`Onboarding.replaces`)."""
    rows = transaction.execute(
        select(onboardings.c.replaces).where(
            onboardings.c.issuance_id == issuance_id,
            onboardings.c.replaces.is_not(None),
            onboardings.c.state == OnboardingState.ISSUING.value,
        )
    )
    return frozenset(rows.scalars())


def follow(
    transaction: Transaction, issuance: Issuance, refusal: Refusal | None = None, *, now: datetime
) -> list[Onboarding]:
    """Part of the transaction in which an issuance ends, or comes to wait for a person or for limits: those that it has
    changed.

    Args:
        refusal: by the limits, with its evidence.
    """
    rows = transaction.execute(
        select(onboardings)
        .where(
            onboardings.c.issuance_id == issuance.id,
            onboardings.c.state.in_([OnboardingState.ISSUING.value, OnboardingState.SIGN.value]),
        )
        .with_for_update()
    ).all()
    changed = []
    for row in rows:
        before = _onboarding(row)
        after = after_issuance(before, issuance, refusal, at=now)
        if after == before:
            continue
        saved = save(transaction, after, now=now)
        if saved.state is OnboardingState.SIGN:
            sealed_secrets.forget(transaction, SECRET, saved.id)
        if saved.state is OnboardingState.DONE and saved.name is not None:
            connections.name_the_nameless(transaction, saved.environment, saved.context, saved.name, now=now)
        changed.append(saved)
    return changed


def _changing(onboarding: Onboarding) -> dict[str, Any]:
    subject, limits, refusal = onboarding.subject, onboarding.limits, onboarding.refusal
    under_way = onboarding.under_way
    return {
        "state": onboarding.state.value,
        "signer": None if onboarding.signer is None else onboarding.signer.value,
        "method": None if onboarding.method is None else onboarding.method.value,
        "subject_type": None if subject is None else subject.type.value,
        "subject_value": None if subject is None else subject.value,
        "signature_request_id": onboarding.signature_request_id,
        "checking_since": onboarding.checking_since,
        "under_way": None if under_way is None else under_way.act.value,
        "under_way_since": None if under_way is None else under_way.since,
        "under_way_operator": None if under_way is None else under_way.operator_nip,
        "limits": None if limits is None else asdict(limits),
        "limits_at": onboarding.limits_at,
        "issuance_id": onboarding.issuance_id,
        "refusal": None if refusal is None else refusals.to_json(refusal),
        "replaces": onboarding.replaces,
        "setback": None if onboarding.setback is None else onboarding.setback.value,
        "refused_code": onboarding.refused_code,
        "version": onboarding.version,
    }


def _onboarding(row: Row[Any]) -> Onboarding:
    limits, refusal = row.limits, row.refusal
    return Onboarding(
        id=row.id,
        environment=Environment(row.environment),
        context=Context(ContextType(row.context_type), row.context_value),
        begun_by=row.begun_by,
        state=OnboardingState(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
        name=row.name,
        invitation_id=row.invitation_id,
        signer=None if row.signer is None else SignerKind(row.signer),
        method=None if row.method is None else Method(row.method),
        subject=None if row.subject_type is None else Subject(SubjectType(row.subject_type), row.subject_value),
        signature_request_id=row.signature_request_id,
        checking_since=row.checking_since,
        under_way=None
        if row.under_way is None
        else UnderWay(Act(row.under_way), row.under_way_since, row.under_way_operator),
        limits=None if limits is None else _limits(limits),
        limits_at=row.limits_at,
        issuance_id=row.issuance_id,
        refusal=None if refusal is None else refusals.from_json(refusal),
        replaces=row.replaces,
        setback=None if row.setback is None else Setback(row.setback),
        refused_code=row.refused_code,
        version=row.version,
    )


def _limits(saved: dict[str, Any]) -> Limits:
    return Limits(saved["can_request"], Allowance(**saved["enrollment"]), Allowance(**saved["certificate"]))

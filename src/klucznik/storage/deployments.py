"""Hooks of renewals: planned once for each, claimed before they start. All changes happen under the subject's lease."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from klucznik.domain.deployment import Deployment, DeploymentState
from klucznik.domain.environments import Environment
from klucznik.domain.issuance import IssuanceState
from klucznik.storage.schema import deployments, issuances

# The row of the renewal itself: there as soon as its hooks are planned, so that a hook that is added later does not run
# for renewals of last year; settled when nothing is left to do after the renewal.
_ITSELF = ""


def plan(connection: Connection, issuance_id: str, hooks: Sequence[str]) -> None:
    """Say which hooks are to run for a renewal."""
    for hook in (_ITSELF, *hooks):
        connection.execute(
            insert(deployments).values(
                issuance_id=issuance_id, hook=hook, state=DeploymentState.PLANNED.value, attempts=0
            )
        )


def of_issuance(connection: Connection, issuance_id: str) -> list[Deployment] | None:
    """The hooks of a renewal in the order of running; None: they have not been planned."""
    rows = connection.execute(
        select(deployments).where(deployments.c.issuance_id == issuance_id).order_by(deployments.c.hook)
    ).all()
    return [_deployment(row) for row in rows if row.hook != _ITSELF] if rows else None


def save(connection: Connection, deployment: Deployment) -> None:
    connection.execute(
        update(deployments)
        .where(deployments.c.issuance_id == deployment.issuance_id, deployments.c.hook == deployment.hook)
        .values(
            state=deployment.state.value,
            attempts=deployment.attempts,
            exit_code=deployment.exit_code,
            started_at=deployment.started_at,
            ended_at=deployment.ended_at,
        )
    )


def close(connection: Connection, issuance_id: str, *, now: datetime) -> None:
    """Say that nothing is left to do after a renewal."""
    save(connection, Deployment(issuance_id, _ITSELF, DeploymentState.SUCCEEDED, ended_at=now))


def is_closed(connection: Connection, issuance_id: str) -> bool:
    """Whether nothing is left to do after a renewal."""
    return connection.execute(select(_closed(deployments.c.issuance_id == issuance_id))).scalar_one()


def open_renewals(connection: Connection, environment: Environment) -> list[str]:
    """Ids of renewals that have ended well and after which something is left to do, the oldest first."""
    rows = connection.execute(
        select(issuances.c.id)
        .where(
            issuances.c.environment == environment.value,
            issuances.c.state == IssuanceState.DONE.value,
            issuances.c.replaces.is_not(None),
            ~_closed(deployments.c.issuance_id == issuances.c.id),
        )
        .order_by(issuances.c.created_at, issuances.c.id)
    )
    return [row.id for row in rows]


def _closed(of: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(of, deployments.c.hook == _ITSELF, deployments.c.state == DeploymentState.SUCCEEDED.value)


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        issuance_id=row.issuance_id,
        hook=row.hook,
        state=DeploymentState(row.state),
        attempts=row.attempts,
        exit_code=row.exit_code,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )

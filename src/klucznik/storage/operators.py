"""Who runs this installation, one operator for each environment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from klucznik.domain.connections import Operator
from klucznik.domain.environments import Environment
from klucznik.storage.schema import operators


def put(connection: Connection, operator: Operator, *, now: datetime) -> None:
    """Save the operator in place of the one before."""
    connection.execute(delete(operators).where(operators.c.environment == operator.environment.value))
    connection.execute(
        insert(operators).values(
            environment=operator.environment.value,
            nip=operator.nip,
            name=operator.name,
            certificate=operator.certificate,
            key_id=operator.key_id,
            updated_at=now,
        )
    )


def load(connection: Connection, environment: Environment) -> Operator | None:
    row = connection.execute(select(operators).where(operators.c.environment == environment.value)).one_or_none()
    return None if row is None else Operator(environment, row.nip, row.name, row.certificate, row.key_id)

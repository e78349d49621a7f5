"""The columns by which the board sorts and searches connections, kept in the transactions that change what they say.

They follow from the connection and the certificates of its subject (`domain.dates`, `domain.board`); nothing else is
decided by them. They hold no present moment: whether a date has passed is asked when they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, and_, bindparam, case, update

from klucznik.domain.board import folded
from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.connections import WORST_FIRST, Connection, Health, Method
from klucznik.domain.dates import attention_from, dates_of
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject
from klucznik.storage.schema import connections

# What is never: columns that are sorted by have no NULL, so that a page can begin after any row.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
PLACES = {health: place for place, health in enumerate(WORST_FIRST)}
_TROUBLES = [PLACES[health] for health in Health if health.is_trouble]
_LONGEST_NAME = 120

_MOVE = (
    update(connections)
    .where(
        and_(
            connections.c.environment == bindparam("where"),
            connections.c.subject_type == bindparam("kind"),
            connections.c.subject_value == bindparam("of"),
            connections.c.method.in_([method.value for method in Method if method.is_by_certificate]),
        )
    )
    .values(
        act_at=bindparam("acts"),
        ends_at=bindparam("ends"),
        attention_from=case(
            (connections.c.severity.in_(_TROUBLES), connections.c.health_since), else_=bindparam("acts")
        ),
    )
)


def searched(connection: Connection) -> dict[str, Any]:
    """What follows from the connection alone."""
    return {
        # Companies without a name are known by their number.
        "search_name": folded(connection.name or "")[:_LONGEST_NAME] or connection.context.value,
        "severity": PLACES[connection.health],
    }


def dated(connection: Connection, held: Sequence[HeldCertificate]) -> dict[str, Any]:
    """What follows from it and the certificates of its subject."""
    dates = dates_of(connection.method, held)
    return {
        "act_at": NEVER if dates is None else dates.act_at,
        "ends_at": NEVER if dates is None else dates.ends_at,
        "attention_from": attention_from(connection, dates) or NEVER,
    }


def move(transaction: Transaction, environment: Environment, subject: Subject, held: Sequence[HeldCertificate]) -> None:
    """The certificates of a subject have changed: so have the dates of the companies for which it signs in."""
    dates = dates_of(Method.CERTIFICATES, held)
    acts, ends = (NEVER, NEVER) if dates is None else (dates.act_at, dates.ends_at)
    theirs = {"where": environment.value, "kind": subject.type.value, "of": subject.value}
    transaction.execute(_MOVE, {**theirs, "acts": acts, "ends": ends})


def known(row: Row[Any], name: str) -> datetime | None:
    """A date of a row; None: never."""
    value: datetime = getattr(row, name)
    return None if value == NEVER else value

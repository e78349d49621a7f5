"""Documents that people take away to sign. Who hands one in claims it first, so it is never handed in twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, ContextType
from klucznik.domain.signature_requests import Purpose, SignatureRequest
from klucznik.storage.schema import signature_requests as requests


def add(connection: Connection, request: SignatureRequest) -> None:
    connection.execute(
        insert(requests).values(
            id=request.id,
            environment=request.environment.value,
            context_type=request.context.type.value,
            context_value=request.context.value,
            purpose=request.purpose.value,
            issuance_id=request.issuance_id,
            options=dict(request.options),
            challenge=request.challenge,
            document=request.document,
            created_at=request.created_at,
            expires_at=request.expires_at,
            used_at=request.used_at,
        )
    )


def load(connection: Connection, request_id: str) -> SignatureRequest | None:
    row = connection.execute(select(requests).where(requests.c.id == request_id)).one_or_none()
    return None if row is None else _request(row)


def by_challenge(connection: Connection, environment: Environment, challenge: str) -> SignatureRequest | None:
    row = connection.execute(
        select(requests).where(requests.c.challenge == challenge, requests.c.environment == environment.value)
    ).one_or_none()
    return None if row is None else _request(row)


def by_prefix(connection: Connection, environment: Environment, prefix: str, *, most: int) -> list[SignatureRequest]:
    """Those whose id begins so."""
    rows = connection.execute(
        select(requests)
        .where(requests.c.environment == environment.value, requests.c.id.startswith(prefix, autoescape=True))
        .limit(most)
    )
    return [_request(row) for row in rows]


def claim(connection: Connection, request: SignatureRequest, *, now: datetime) -> bool:
    """Whether it is now ours alone to hand in."""
    claimed = connection.execute(
        update(requests).where(requests.c.id == request.id, requests.c.used_at.is_(None)).values(used_at=now)
    )
    return claimed.rowcount == 1


def give_back(connection: Connection, request: SignatureRequest) -> None:
    """It was not handed in after all."""
    connection.execute(update(requests).where(requests.c.id == request.id).values(used_at=None))


def forget(connection: Connection, *, expired_before: datetime) -> None:
    connection.execute(delete(requests).where(requests.c.expires_at < expired_before))


def _request(row: Row[Any]) -> SignatureRequest:
    return SignatureRequest(
        id=row.id,
        environment=Environment(row.environment),
        context=Context(ContextType(row.context_type), row.context_value),
        purpose=Purpose(row.purpose),
        issuance_id=row.issuance_id,
        options=row.options,
        challenge=row.challenge,
        document=row.document,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
    )

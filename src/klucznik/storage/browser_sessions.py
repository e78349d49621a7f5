"""Browsers that are signed in, and who sits before them: both in one query, for every page asks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, delete, insert, select, update

from klucznik.domain.accounts import BrowserSession
from klucznik.domain.roles import ACTIONS, AFTERWARDS, Principal, Role
from klucznik.storage.schema_people import invitations, users, web_sessions


def add(transaction: Transaction, session: BrowserSession) -> None:
    transaction.execute(
        insert(web_sessions).values(
            token_hash=session.token_hash,
            user_id=session.user_id,
            invitation_id=session.invitation_id,
            csrf=session.csrf,
            complete_at=session.complete_at,
            proved_at=session.proved_at,
            created_at=session.created_at,
            seen_at=session.seen_at,
            expires_at=session.expires_at,
        )
    )


def load(transaction: Transaction, token_hash: str) -> tuple[BrowserSession, Principal] | None:
    """A session and whose it is; None where it is not known, or its user or invitation is not good any more."""
    row = transaction.execute(
        select(
            web_sessions,
            users.c.email,
            users.c.role,
            users.c.disabled_at,
            invitations.c.context_value,
            invitations.c.name,
            invitations.c.revoked_at,
            invitations.c.done_at,
        )
        .outerjoin(users, users.c.id == web_sessions.c.user_id)
        .outerjoin(invitations, invitations.c.id == web_sessions.c.invitation_id)
        .where(web_sessions.c.token_hash == token_hash)
    ).one_or_none()
    if row is None:
        return None
    principal = _principal(row)
    return None if principal is None else (_session(row), principal)


def of_user(transaction: Transaction, user_id: str) -> list[BrowserSession]:
    """The one last seen first; also those that are over and not forgotten yet."""
    found = select(web_sessions).where(web_sessions.c.user_id == user_id).order_by(web_sessions.c.seen_at.desc())
    return [_session(row) for row in transaction.execute(found)]


def touch(transaction: Transaction, session: BrowserSession, *, now: datetime) -> None:
    _change(transaction, session, seen_at=now)


def prove(transaction: Transaction, session: BrowserSession, *, now: datetime) -> None:
    """They have proved who they are once more."""
    _change(transaction, session, proved_at=now)


def disprove(transaction: Transaction, invitation_id: str) -> None:
    """Of all browsers that came by an invitation none is proved any more."""
    transaction.execute(
        update(web_sessions).where(web_sessions.c.invitation_id == invitation_id).values(proved_at=None)
    )


def remove(transaction: Transaction, token_hash: str) -> bool:
    """Whether it was there."""
    return transaction.execute(delete(web_sessions).where(web_sessions.c.token_hash == token_hash)).rowcount == 1


def remove_of_user(transaction: Transaction, user_id: str, *, but: str | None = None) -> None:
    """All of a user's, but perhaps the one at hand."""
    transaction.execute(
        delete(web_sessions).where(web_sessions.c.user_id == user_id, web_sessions.c.token_hash != (but or ""))
    )


def forget(transaction: Transaction, *, expired_before: datetime) -> None:
    transaction.execute(delete(web_sessions).where(web_sessions.c.expires_at < expired_before))


def _change(transaction: Transaction, session: BrowserSession, **values: datetime) -> None:
    transaction.execute(update(web_sessions).where(web_sessions.c.token_hash == session.token_hash).values(**values))


def _principal(row: Row[Any]) -> Principal | None:
    if row.user_id is not None:
        if row.disabled_at is not None:
            return None
        role = Role(row.role)
        return Principal(f"user:{row.user_id}", row.email, role, ACTIONS[role])
    if row.revoked_at is not None:
        return None
    name = row.name or row.context_value
    actions = ACTIONS[Role.CLIENT] if row.done_at is None else AFTERWARDS
    return Principal(f"invitation:{row.invitation_id}", name, Role.CLIENT, actions, row.context_value)


def _session(row: Row[Any]) -> BrowserSession:
    return BrowserSession(
        token_hash=row.token_hash,
        csrf=row.csrf,
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        user_id=row.user_id,
        invitation_id=row.invitation_id,
        complete_at=row.complete_at,
        proved_at=row.proved_at,
    )

"""Invitations. A link is found by its SHA-256; that it opens a browser only once is decided here, in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy import Connection as Transaction

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, ContextType
from klucznik.domain.invitations import Invitation, InvitationState
from klucznik.domain.languages import Language
from klucznik.storage.schema_people import invitations, web_sessions


def add(transaction: Transaction, these: Sequence[Invitation]) -> None:
    """All at once."""
    if these:
        transaction.execute(insert(invitations), [_values(one) for one in these])


def load(transaction: Transaction, environment: Environment, invitation_id: str) -> Invitation | None:
    row = transaction.execute(
        select(invitations).where(invitations.c.environment == environment.value, invitations.c.id == invitation_id)
    ).one_or_none()
    return None if row is None else _invitation(row)


def of_ids(transaction: Transaction, environment: Environment, ids: Sequence[str]) -> list[Invitation]:
    """Those of these ids, the companies in order."""
    rows = transaction.execute(
        select(invitations)
        .where(invitations.c.environment == environment.value, invitations.c.id.in_(ids))
        .order_by(invitations.c.context_value, invitations.c.id)
    )
    return [_invitation(row) for row in rows]


def by_link(transaction: Transaction, environment: Environment, token_hash: str) -> Invitation | None:
    row = transaction.execute(
        select(invitations).where(
            invitations.c.environment == environment.value, invitations.c.token_hash == token_hash
        )
    ).one_or_none()
    return None if row is None else _invitation(row)


def by_links(transaction: Transaction, environment: Environment, hashes: Sequence[str]) -> dict[str, Invitation]:
    """Those whose link has one of these hashes, by it."""
    rows = transaction.execute(
        select(invitations).where(invitations.c.environment == environment.value, invitations.c.token_hash.in_(hashes))
    )
    return {row.token_hash: _invitation(row) for row in rows}


def page(
    transaction: Transaction,
    environment: Environment,
    *,
    size: int,
    now: datetime,
    created_by: str | None = None,
    state: InvitationState | None = None,
    after: Invitation | None = None,
) -> list[Invitation]:
    """The newest first; `after` is the last one of the page before."""
    query = select(invitations).where(invitations.c.environment == environment.value)
    if created_by is not None:
        query = query.where(invitations.c.created_by == created_by)
    if state is not None:
        query = query.where(_is(state, now))
    if after is not None:
        query = query.where(tuple_(invitations.c.created_at, invitations.c.id) < tuple_(*_place(after)))
    rows = transaction.execute(query.order_by(invitations.c.created_at.desc(), invitations.c.id.desc()).limit(size))
    return [_invitation(row) for row in rows]


def under_way(
    transaction: Transaction, environment: Environment, contexts: Iterable[Context], *, now: datetime
) -> set[str]:
    """Of these companies, the numbers of those whose invitation is open or opened."""
    found = transaction.execute(
        select(invitations.c.context_value).where(
            invitations.c.environment == environment.value,
            invitations.c.context_type == ContextType.NIP.value,
            invitations.c.context_value.in_([one.value for one in contexts]),
            _is(InvitationState.OPEN, now) | _is(InvitationState.OPENED, now),
        )
    )
    return set(found.scalars())


def use_link(transaction: Transaction, invitation: Invitation, *, now: datetime) -> bool:
    """The link opens a browser; False where somebody was faster, or the link is not good any more."""
    used = transaction.execute(
        update(invitations)
        .where(
            invitations.c.token_hash == invitation.token_hash,
            invitations.c.link_used_at.is_(None),
            invitations.c.revoked_at.is_(None),
        )
        .values(link_used_at=now, opened_at=func.coalesce(invitations.c.opened_at, now))
    )
    return used.rowcount == 1


def new_links(transaction: Transaction, links: Sequence[tuple[str, str]], *, expires_at: datetime | None) -> None:
    """Another link for each of some invitations, all at once: those before open nothing any more.

    Args:
        links: the invitation's id and the hash of its new token.
        expires_at: None: with the invitation.
    """
    if not links:
        return
    transaction.execute(
        update(invitations)
        .where(invitations.c.id == bindparam("which"))
        .values(token_hash=bindparam("new_hash"), link_used_at=None, link_expires_at=expires_at),
        [{"which": invitation_id, "new_hash": token_hash} for invitation_id, token_hash in links],
    )


def prolong(transaction: Transaction, invitation_id: str, *, expires_at: datetime) -> None:
    transaction.execute(update(invitations).where(invitations.c.id == invitation_id).values(expires_at=expires_at))


def address(transaction: Transaction, invitation_id: str, *, email: str, language: Language) -> None:
    """Where its link goes now, and in which language."""
    changed = update(invitations).where(invitations.c.id == invitation_id)
    transaction.execute(changed.values(email=email, language=language.value))


def revoke(transaction: Transaction, invitation_id: str, *, now: datetime) -> None:
    """From now on neither its link nor a browser that it has opened gets anywhere."""
    transaction.execute(update(invitations).where(invitations.c.id == invitation_id).values(revoked_at=now))
    close_browsers(transaction, invitation_id)


def close(transaction: Transaction, invitation_id: str, *, now: datetime) -> None:
    """Part of the transaction in which its company is connected."""
    transaction.execute(
        update(invitations)
        .where(invitations.c.id == invitation_id, invitations.c.done_at.is_(None))
        .values(done_at=now)
    )


def close_browsers(transaction: Transaction, invitation_id: str) -> None:
    """Whoever is in by this invitation is out."""
    transaction.execute(delete(web_sessions).where(web_sessions.c.invitation_id == invitation_id))


def _is(state: InvitationState, now: datetime) -> ColumnElement[bool]:
    """As `Invitation.state` judges."""
    table = invitations.c
    if state is InvitationState.REVOKED:
        return table.revoked_at.is_not(None)
    if state is InvitationState.DONE:
        return and_(table.revoked_at.is_(None), table.done_at.is_not(None))
    running = and_(table.revoked_at.is_(None), table.done_at.is_(None))
    if state is InvitationState.OPENED:
        return and_(running, table.opened_at.is_not(None))
    alive = table.expires_at > now if state is InvitationState.OPEN else table.expires_at <= now
    return and_(running, table.opened_at.is_(None), alive)


def _place(after: Invitation) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return (
        bindparam("after_at", after.created_at, type_=invitations.c.created_at.type),
        bindparam("after_id", after.id, type_=invitations.c.id.type),
    )


def _values(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "environment": invitation.environment.value,
        "token_hash": invitation.token_hash,
        "context_type": invitation.context.type.value,
        "context_value": invitation.context.value,
        "name": invitation.name,
        "email": invitation.email,
        "language": invitation.language.value,
        "created_by": invitation.created_by,
        "created_at": invitation.created_at,
        "expires_at": invitation.expires_at,
        "link_expires_at": invitation.link_expires_at,
        "link_used_at": invitation.link_used_at,
        "opened_at": invitation.opened_at,
        "done_at": invitation.done_at,
        "revoked_at": invitation.revoked_at,
    }


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(
        id=row.id,
        environment=Environment(row.environment),
        token_hash=row.token_hash,
        context=Context(ContextType(row.context_type), row.context_value),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        name=row.name,
        email=row.email,
        language=Language(row.language),
        link_expires_at=row.link_expires_at,
        link_used_at=row.link_used_at,
        opened_at=row.opened_at,
        done_at=row.done_at,
        revoked_at=row.revoked_at,
    )

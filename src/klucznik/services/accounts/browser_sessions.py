"""Signs browsers in and out. How somebody proves who they are lies elsewhere; a session begins once they have."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import Connection as Transaction

from klucznik.domain.accounts import INVITED_LASTS, SESSION_LASTS, BrowserSession
from klucznik.domain.roles import Principal
from klucznik.services.installation import Installation
from klucznik.storage import browser_sessions

# A row is written for "seen" no more often than this.
_TOUCH_EVERY = timedelta(minutes=1)
_KEPT = timedelta(days=1)


def hash_of(token: str) -> str:
    """What is kept of a token that opens something: 64 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(token.encode()).hexdigest()


async def open_session(
    installation: Installation, *, user_id: str | None = None, invitation_id: str | None = None, complete: bool = True
) -> tuple[str, BrowserSession]:
    """A new session, and the token for its cookie, which is kept nowhere.

    Args:
        complete: False where a second factor is still to come.
    """
    return await installation.database.write(
        lambda transaction: begin_session(
            installation, transaction, user_id=user_id, invitation_id=invitation_id, complete=complete
        )
    )


def begin_session(
    installation: Installation,
    transaction: Transaction,
    *,
    user_id: str | None = None,
    invitation_id: str | None = None,
    complete: bool = True,
) -> tuple[str, BrowserSession]:
    """The same, as part of a transaction that does more."""
    now, token = installation.clock.now(), secrets.token_urlsafe(32)
    session = BrowserSession(
        token_hash=hash_of(token),
        csrf=secrets.token_urlsafe(24),
        created_at=now,
        seen_at=now,
        expires_at=now + (SESSION_LASTS if invitation_id is None else INVITED_LASTS),
        user_id=user_id,
        invitation_id=invitation_id,
        complete_at=now if complete else None,
        proved_at=None if user_id is None else now,
    )
    browser_sessions.forget(transaction, expired_before=now - _KEPT)
    browser_sessions.add(transaction, session)
    return token, session


async def session_of(installation: Installation, token: str) -> tuple[BrowserSession, Principal] | None:
    """The session of a cookie and whose it is; None where it is over."""
    now = installation.clock.now()
    found = await installation.database.read(lambda transaction: browser_sessions.load(transaction, hash_of(token)))
    if found is None or not found[0].is_open(now):
        return None
    session, _ = found
    if now >= session.seen_at + _TOUCH_EVERY:
        await installation.database.write(lambda transaction: browser_sessions.touch(transaction, session, now=now))
    return found


async def close_session(installation: Installation, session: BrowserSession) -> None:
    await installation.database.write(lambda transaction: browser_sessions.remove(transaction, session.token_hash))


def signed_in(installation: Installation, transaction: Transaction, session: BrowserSession) -> None:
    """Part of a transaction: a signature that was given in this browser was good, and proves who came by an invitation.

    Whoever has an account proves it by a password, not by this.
    """
    if session.invitation_id is not None:
        browser_sessions.prove(transaction, session, now=installation.clock.now())


async def sessions_of(installation: Installation, user_id: str) -> list[BrowserSession]:
    """The browsers in which a user is signed in, the one last seen first."""
    now = installation.clock.now()
    found = await installation.database.read(lambda transaction: browser_sessions.of_user(transaction, user_id))
    return [session for session in found if session.is_open(now) and session.complete_at is not None]

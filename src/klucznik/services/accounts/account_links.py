"""Links that open an account once: made, looked at, used up. What they open is done in the same transaction.

A look at a link uses nothing up: programs that look at every link of an e-mail would leave nothing to its reader.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import Connection as Transaction

from klucznik.domain.accounts import LINK_LASTS, AccountLink, LinkPurpose, User
from klucznik.domain.audit import Entry, Event
from klucznik.errors import AccessDenied
from klucznik.services import audit
from klucznik.services.accounts.browser_sessions import hash_of
from klucznik.services.installation import Installation
from klucznik.storage import account_links, users

_KEPT = timedelta(days=30)


async def make_setup_link(installation: Installation) -> str | None:
    """The token of a link that makes the first administrator, good for 24 hours; None where somebody may sign in.

    Each call makes a new one in place of those before.
    """

    def commit(transaction: Transaction) -> str | None:
        if users.are_there(transaction):
            return None
        return make_link(installation, transaction, LinkPurpose.SET_UP, None)

    return await installation.database.write(commit)


def make_link(installation: Installation, transaction: Transaction, purpose: LinkPurpose, user: User | None) -> str:
    """The token of a new link in place of the user's earlier ones; part of a transaction.

    One that anybody may ask for takes the place of none but its like: a stranger makes nobody's link void.
    """
    now, token = installation.clock.now(), secrets.token_urlsafe(32)
    user_id = None if user is None else user.id
    account_links.forget(transaction, expired_before=now - _KEPT)
    asked_for = purpose is LinkPurpose.ASKED_FOR
    account_links.remove_of(transaction, user_id, purpose=purpose if asked_for else None)
    account_links.add(
        transaction, AccountLink(hash_of(token), purpose, now, now + LINK_LASTS[purpose], user_id=user_id)
    )
    facts = {"purpose": purpose.value, "user": user_id}
    audit.record(installation, transaction, None, Entry(Event.ACCOUNT_LINK_MADE, facts))
    return token


async def look_at_link(installation: Installation, token: str) -> tuple[AccountLink, User | None]:
    """What a link opens, and whose it is. Nothing is used up.

    Raises:
        AccessDenied: ``link_not_good``: it is not known, used or over, or opens nothing any more.
    """
    return await installation.database.read(lambda transaction: _good(installation, transaction, token))


def use_link(installation: Installation, transaction: Transaction, token: str) -> tuple[AccountLink, User | None]:
    """Use a link up, as part of the transaction that does what it is for; raises as `look_at_link`."""
    link, user = _good(installation, transaction, token)
    if not account_links.use(transaction, link.token_hash, now=installation.clock.now()):
        raise AccessDenied("link_not_good")
    return link, user


def _good(installation: Installation, transaction: Transaction, token: str) -> tuple[AccountLink, User | None]:
    link = account_links.load(transaction, hash_of(token))
    if link is None or not link.is_good(installation.clock.now()):
        raise AccessDenied("link_not_good")
    user = None if link.user_id is None else users.load(transaction, link.user_id)
    opens = not users.are_there(transaction) if user is None else user.disabled_at is None
    if not opens:
        raise AccessDenied("link_not_good")
    return link, user

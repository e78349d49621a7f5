"""Makes, lists and revokes keys of the API, and knows whose a key is that a program brings."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection as Transaction

from klucznik.domain.api_keys import PREFIX, SHOWN, ApiKey, KeyState, parse_key_name, parse_lifetime, parse_scopes
from klucznik.domain.audit import Entry, Event
from klucznik.domain.identifiers import parse_nip
from klucznik.domain.values import InvalidValue
from klucznik.errors import AccessDenied, InputError
from klucznik.services import audit
from klucznik.services.browser_sessions import hash_of
from klucznik.services.installation import Installation
from klucznik.storage import api_keys

PAGE = 100
# A row is written for "used" no more often than this.
_TOUCH_EVERY = timedelta(minutes=1)


async def make_key(
    installation: Installation,
    name: str,
    scopes: Iterable[str],
    *,
    days: int,
    nip: str | None = None,
    made_by: str | None = None,
) -> tuple[str, ApiKey]:
    """A new key; the secret is kept nowhere.

    Args:
        scopes: names of `roles.SCOPES`.
        days: how long it is good, at most 366.
        nip: the only company that it may touch; in any form in which people write it.
        made_by: id of the user; None: at the terminal.

    Raises:
        InputError: ``key_name_malformed``, ``scopes_missing``, ``scope_unknown``, ``scope_of_all``,
            ``key_lifetime_out_of_range``, ``nip_malformed``.
    """
    now, secret = installation.clock.now(), PREFIX + secrets.token_urlsafe(32)
    try:
        bound_to = None if nip is None else parse_nip(nip)
        key = ApiKey(
            id=secrets.token_hex(16),
            name=parse_key_name(name),
            shown=secret[:SHOWN],
            scopes=parse_scopes(scopes, nip=bound_to),
            created_at=now,
            expires_at=now + parse_lifetime(days),
            nip=bound_to,
            created_by=made_by,
        )
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None

    def commit(transaction: Transaction) -> None:
        api_keys.add(transaction, key, hash_of(secret))
        facts = {
            "key": key.id,
            "name": key.name,
            "scopes": sorted(scope.value for scope in key.scopes),
            "nip": key.nip,
            "days": days,
        }
        audit.record(installation, transaction, None, Entry(Event.API_KEY_MADE, facts))

    await installation.database.write(commit)
    return secret, key


async def list_keys(installation: Installation, *, after: str | None = None) -> list[ApiKey]:
    """A page of keys, the newest first.

    Args:
        after: id of the last key of the page before.
    """

    def read(transaction: Transaction) -> list[ApiKey]:
        before = None if after is None else _existing(transaction, after)
        return api_keys.newest(transaction, limit=PAGE, before=before)

    return await installation.database.read(read)


async def revoke_key(installation: Installation, key_id: str) -> ApiKey:
    """From now on the key opens nothing; one that is revoked already stays so.

    Raises:
        InputError: ``api_key_unknown``.
    """
    now = installation.clock.now()

    def commit(transaction: Transaction) -> ApiKey:
        key = _existing(transaction, key_id)
        if not api_keys.revoke(transaction, key.id, now=now):
            return key
        facts = {"key": key.id, "name": key.name}
        audit.record(installation, transaction, None, Entry(Event.API_KEY_REVOKED, facts))
        return replace(key, revoked_at=now)

    return await installation.database.write(commit)


async def key_of(installation: Installation, secret: str) -> ApiKey:
    """The key that a program has brought.

    Raises:
        AccessDenied: ``key_unknown``, ``key_expired``, ``key_revoked``.
    """
    now = installation.clock.now()
    found = await installation.database.read(lambda transaction: api_keys.by_hash(transaction, hash_of(secret)))
    if found is None:
        raise AccessDenied("key_unknown")
    state = found.state(now)
    if state is not KeyState.GOOD:
        raise AccessDenied("key_revoked" if state is KeyState.REVOKED else "key_expired")
    if found.last_used_at is None or now >= found.last_used_at + _TOUCH_EVERY:
        await installation.database.write(lambda transaction: api_keys.touch(transaction, found.id, now=now))
    return found


def _existing(transaction: Transaction, key_id: str) -> ApiKey:
    key = api_keys.load(transaction, key_id)
    if key is None:
        raise InputError("api_key_unknown", key=key_id[:40])
    return key

"""Makes, lists, rotates and revokes keys of the API, and knows whose a key is that a program brings."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection as Transaction

from klucznik.domain.api_keys import (
    PREFIX,
    SHOWN,
    ApiKey,
    KeyState,
    parse_key_name,
    parse_lifetime,
    parse_overlap,
    parse_scopes,
)
from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.identifiers import parse_nip
from klucznik.domain.values import InvalidValue
from klucznik.errors import AccessDenied, InputError
from klucznik.services import audit
from klucznik.services.accounts.browser_sessions import hash_of
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
    now, secret = installation.clock.now(), _new_secret()
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


async def key_of_id(installation: Installation, key_id: str) -> ApiKey:
    """What is known of a key.

    Raises:
        InputError: ``api_key_unknown``.
    """
    return await installation.database.read(lambda transaction: _existing(transaction, key_id))


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


async def rotate_key(
    installation: Installation, key_id: str, *, overlap_hours: int, days: int | None = None
) -> tuple[str, ApiKey]:
    """A new secret for the same key: what was begun with it stays its own. The secret is kept nowhere.

    Args:
        overlap_hours: how long former secrets may still be used, at most 168; 0: not any more. None of them is good
            for longer than it was before.
        days: how long the key is good from now on, at most 366; None: until its end, as before.

    Raises:
        InputError: ``api_key_unknown``, ``api_key_is_revoked``, ``api_key_end_needed`` (it has expired),
            ``key_overlap_out_of_range``, ``key_lifetime_out_of_range``.
    """
    now, secret = installation.clock.now(), _new_secret()
    try:
        overlap = parse_overlap(overlap_hours)
        lifetime = None if days is None else parse_lifetime(days)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None

    def commit(transaction: Transaction) -> ApiKey:
        before = _existing(transaction, key_id)
        if lifetime is None and before.state(now) is KeyState.EXPIRED:
            raise InputError("api_key_end_needed", name=before.name)
        former_until = min(now + overlap, before.expires_at)
        key = replace(
            before,
            shown=secret[:SHOWN],
            expires_at=before.expires_at if lifetime is None else now + lifetime,
            former_until=former_until,
        )
        if not api_keys.replace_secret(transaction, key, hash_of(secret), former_until=former_until):
            raise InputError("api_key_is_revoked", name=before.name)
        facts: dict[str, Fact] = {"key": key.id, "name": key.name, "overlap_hours": overlap_hours, "days": days}
        audit.record(installation, transaction, None, Entry(Event.API_KEY_ROTATED, facts))
        return key

    return secret, await installation.database.write(commit)


async def key_of(installation: Installation, secret: str) -> ApiKey:
    """The key that a program has brought.

    Raises:
        AccessDenied: ``key_unknown``, ``key_expired``, ``key_revoked``, ``key_replaced`` (it has another secret now).
    """
    now = installation.clock.now()
    row = await installation.database.read(lambda transaction: api_keys.by_hash(transaction, hash_of(secret)))
    if row is None:
        raise AccessDenied("key_unknown")
    found, until = row
    state = found.state(now)
    if state is not KeyState.GOOD:
        raise AccessDenied("key_revoked" if state is KeyState.REVOKED else "key_expired")
    if until is not None and now >= until:
        raise AccessDenied("key_replaced")
    if found.last_used_at is None or now >= found.last_used_at + _TOUCH_EVERY:
        await installation.database.write(lambda transaction: api_keys.touch(transaction, found.id, now=now))
    return found


def _new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _existing(transaction: Transaction, key_id: str) -> ApiKey:
    key = api_keys.load(transaction, key_id)
    if key is None:
        raise InputError("api_key_unknown", key=key_id[:40])
    return key

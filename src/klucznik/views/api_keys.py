"""Keys of the API, for machines. A secret is told once, when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from klucznik.domain.api_keys import ApiKey
from klucznik.views.parts import Json, moment


def made(secret: str, key: ApiKey, now: datetime) -> Json:
    return {"outcome": "api_key_made", "secret": secret, "key": one(key, now)}


def rotated(secret: str, key: ApiKey, now: datetime) -> Json:
    return {"outcome": "api_key_rotated", "secret": secret, "key": one(key, now)}


def listed(keys: Sequence[ApiKey], now: datetime) -> Json:
    return {"outcome": "api_keys", "keys": [one(key, now) for key in keys]}


def revoked(key: ApiKey, now: datetime) -> Json:
    return {"outcome": "api_key_revoked", "key": one(key, now)}


def one(key: ApiKey, now: datetime) -> Json:
    return {
        "id": key.id,
        "name": key.name,
        "shown": key.shown,
        "state": key.state(now).value,
        "scopes": [*sorted(scope.value for scope in key.scopes)],
        "nip": key.nip,
        "created_by": key.created_by,
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "last_used_at": moment(key.last_used_at),
        "revoked_at": moment(key.revoked_at),
        "former_secrets_until": moment(key.former_until) if key.overlaps(now) else None,
    }

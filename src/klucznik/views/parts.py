"""What the views of all areas are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias

from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.limits import Allowance, Limits

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"


def moment(value: datetime | None) -> str | None:
    """``2026-11-23T14:05:00Z``."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def subject(value: Subject) -> Json:
    return {"type": value.type.value, "value": value.value}


def context(value: Context) -> Json:
    return {"type": value.type.value, "value": value.value}


def limits(value: Limits) -> Json:
    return {
        "enrollment": _allowance(value.enrollment),
        "certificate": _allowance(value.certificate),
        "can_request": value.can_request,
    }


def _allowance(value: Allowance) -> Json:
    return {"remaining": value.remaining, "limit": value.limit}


def certificate(value: HeldCertificate) -> dict[str, Json]:
    return {
        "type": value.type.value,
        "serial": value.serial_number,
        "name": value.name,
        "valid_from": moment(value.valid_from),
        "valid_to": moment(value.valid_to),
        "key_at": "token" if value.key_on_token else "vault",
        "verified": value.verified_at is not None,
    }

"""The audit log: its rows, in words and as data."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from klucznik.api.models.parts import IssuanceId, Model, shown_as

EXAMPLE: dict[str, Any] = {
    "at": "2026-11-23T14:05:00.123456Z",
    "event": "certificate_revoked",
    "text": "Certificate 0123456789ABCDEF was revoked.",
    "issuance": None,
    "actor": "user:9f86d081884c7d659a2feaa0c55ad015",
    "facts": {"context": "5265877635", "held": True, "reason": "Superseded", "serial": "0123456789ABCDEF"},
    "seal": {
        "chain": "sandbox:Nip:5265877635",
        "number": 42,
        "key": "0b4c1d2e3f405162738495a6b7c8d9e0",
        "previous": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "mac": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
    },
}

ExactMoment = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"),
    Field(examples=["2026-11-23T14:05:00.123456Z"], json_schema_extra={"format": "date-time"}),
]


class Seal(Model):
    """Where a row stands in the log and what seals it, as `klucznik audit export` writes it."""

    chain: str = Field(description="Each subject has a chain of its own", examples=["sandbox:Nip:5265877635"])
    number: int = Field(description="From 1 in its chain, without gaps", examples=[42])
    key: str = Field(description="By which data key the row is sealed")
    previous: str = Field(description="The `mac` of the row before; empty in the first")
    mac: str


class AuditRow(Model):
    """One thing that was done, sealed in the very transaction that did it."""

    model_config = shown_as(EXAMPLE)

    at: ExactMoment
    event: str = Field(description="One of a later release may be new", examples=["certificate_revoked"])
    text: str = Field(description="In words, in the language of `Accept-Language`")
    issuance: IssuanceId | None
    actor: str | None = Field(
        description="Who did it: `user:`, `key:` or `invitation:` and an id; else the name of a process of ours, which"
        " a key of one company sees as null",
        examples=["user:9f86d081884c7d659a2feaa0c55ad015"],
    )
    facts: dict[str, Any] = Field(description="By its event; reasons and numbers as everywhere")
    seal: Seal | None = Field(description="null to a key of one company")


class AuditPage(Model):
    """A page of the log, the newest first."""

    model_config = shown_as({"items": [EXAMPLE], "next": None})

    items: list[AuditRow]
    next: str | None = Field(description="The cursor of the next page; null: this is the last", examples=[None])

"""Events: what has happened, in the form in which webhooks and streams tell it too."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from klucznik.api.models.parts import IssuanceId, Model, shown_as
from klucznik.domain.environments import Environment

EXAMPLE: dict[str, Any] = {
    "id": "1795526353000000",
    "type": "issuance.refused",
    "timestamp": "2026-11-24T12:00:00.000Z",
    "environment": "sandbox",
    "nip": "5265877635",
    "issuance": "0b4c1d2e3f405162738495a6b7c8d9e0",
    "actor": "user:9f86d081884c7d659a2feaa0c55ad015",
    "data": {"needed": 2, "reasons": ["request_limit_below_needed"]},
}
EVENT_ID = r"^[0-9]{1,18}$"


class Event(Model):
    """Something that happened. docs/webhooks.md has every type with its data."""

    model_config = shown_as(EXAMPLE)

    id: str = Field(pattern=EVENT_ID, description="Grows from event to event, with gaps")
    type: str = Field(examples=["issuance.refused"])
    timestamp: str = Field(examples=["2026-11-24T12:00:00.000Z"], json_schema_extra={"format": "date-time"})
    environment: Environment
    nip: str | None = Field(description="The company it is about", examples=["5265877635"])
    issuance: IssuanceId | None
    actor: str | None = Field(description="Who asked for it; null: a worker did it by itself")
    data: dict[str, Any] = Field(description="By its type; reasons and numbers as everywhere")


class EventPage(Model):
    """Events in the order in which they are told."""

    model_config = shown_as({"items": [EXAMPLE], "next": EXAMPLE["id"], "more": False})

    items: list[Event]
    next: str = Field(pattern=EVENT_ID, description="Where to go on from, now or later (`after`)")
    more: bool = Field(description="Whether there are more already")

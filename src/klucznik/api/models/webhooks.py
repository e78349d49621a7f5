"""Webhooks and deliveries."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from klucznik.api.models.events import EVENT_ID
from klucznik.api.models.parts import Model, Moment, NipInBody, shown_as
from klucznik.domain.events import Kind
from klucznik.domain.webhooks import DeliveryState, Disabled, Problem

EXAMPLE: dict[str, Any] = {
    "id": "0b4c1d2e3f405162738495a6b7c8d9e0",
    "url": "https://program.example/klucznik",
    "types": ["issuance.refused", "connection.permission_lost"],
    "nip": None,
    "created_at": "2026-11-24T12:00:00Z",
    "disabled_at": None,
    "disabled_because": None,
    "failing_since": None,
}


class NewWebhook(Model):
    """Where to, and what of."""

    url: Annotated[
        str,
        Field(
            max_length=2000,
            description="An https address that may be reached from everywhere",
            examples=["https://program.example/klucznik"],
        ),
    ]
    types: list[Kind] = Field(
        default_factory=list, max_length=50, description="Only these; none: all", examples=[["issuance.refused"]]
    )
    nip: NipInBody | None = Field(default=None, description="Only events of this company")


class Webhook(Model):
    """An address that is told of events."""

    model_config = shown_as(EXAMPLE)

    id: str
    url: str
    types: list[str] = Field(description="None: all")
    nip: str | None = Field(description="Only events of this company")
    created_at: Moment
    disabled_at: Moment | None = Field(description="Since when nothing is sent")
    disabled_because: Disabled | None
    failing_since: Moment | None = Field(description="Since when nothing has been accepted")


class OpenedWebhook(Webhook):
    """With its secret, which is told this once."""

    model_config = shown_as({**EXAMPLE, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})

    secret: str = Field(description="What deliveries are signed with, by Standard Webhooks")


class WebhookList(Model):
    """All webhooks; there are 50 at most."""

    items: list[Webhook]


class WebhookChange(Model):
    """Off: what waits is dropped. On: it is told of what happens from then on."""

    disabled: bool


class Delivery(Model):
    """One event on its way to one webhook."""

    id: str = Field(description="`webhook-id` of every attempt", examples=["msg_0b4c1d2e3f405162738495a6b7c8"])
    event: str = Field(pattern=EVENT_ID)
    type: str = Field(examples=["issuance.refused"])
    nip: str | None
    state: DeliveryState
    attempts: int
    due_at: Moment | None = Field(description="When it is tried, or tried again")
    status: int | None = Field(description="HTTP status of the last answer")
    problem: Problem | None = Field(description="Why the last attempt was not accepted")
    created_at: Moment
    ended_at: Moment | None


class DeliveryPage(Model):
    """A page of deliveries, the newest first."""

    items: list[Delivery]
    next: str | None = Field(description="The cursor of the next page; null: this is the last", examples=[None])


class Replay(Model):
    """What to send once more, with the ids it had."""

    since: Annotated[str, Field(pattern=EVENT_ID, description="Id of the first event", examples=["1795526353000000"])]


class Replayed(Model):
    """How much is sent once more."""

    events: int = Field(description="At most 10,000; who lacks more asks again from where these ended")

"""Webhooks and what was sent to them."""

from __future__ import annotations

from klucznik.domain.webhooks import Webhook
from klucznik.services.telling.webhooks import Opened, Sent
from klucznik.views.parts import Json, moment


def webhook(value: Webhook) -> dict[str, Json]:
    because = value.disabled_because
    return {
        "id": value.id,
        "url": value.url,
        "types": [*sorted(value.kinds)],
        "nip": value.nip,
        "created_at": moment(value.created_at),
        "disabled_at": moment(value.disabled_at),
        "disabled_because": None if because is None else because.value,
        "failing_since": moment(value.failing_since),
    }


def opened(value: Opened) -> dict[str, Json]:
    """With its secret, which is shown this once."""
    return {**webhook(value.webhook), "secret": str(value.secret)}


def sent(value: Sent) -> dict[str, Json]:
    delivery, event = value.delivery, value.event
    return {
        "id": delivery.id,
        "event": str(event.number),
        "type": event.kind,
        "nip": event.nip,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "due_at": moment(delivery.due_at),
        "status": delivery.status,
        "problem": None if delivery.problem is None else delivery.problem.value,
        "created_at": moment(delivery.created_at),
        "ended_at": moment(delivery.ended_at),
    }

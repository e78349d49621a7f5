"""What happens, as it is told to programs: kinds of events, and what of the audit log becomes one.

Pure. The log tells everything to whoever runs the installation; an event tells what another program acts on, and of a
person no more than a masked number. What is not named here never leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.connections import Health
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject
from klucznik.domain.issuance import IssuanceState


class Kind(StrEnum):
    """What an event tells of. Names are never changed: programs wait for them."""

    ISSUANCE_ORDERED = "issuance.ordered"
    ISSUANCE_WAITING = "issuance.waiting"
    ISSUANCE_REFUSED = "issuance.refused"  # by the limits
    ISSUANCE_DONE = "issuance.done"
    ISSUANCE_REJECTED = "issuance.rejected"  # by KSeF
    ISSUANCE_CANCELLED = "issuance.cancelled"
    CERTIFICATE_ISSUED = "certificate.issued"
    CERTIFICATE_REJECTED = "certificate.rejected"
    CERTIFICATE_REVOKED = "certificate.revoked"
    CERTIFICATE_IMPORTED = "certificate.imported"
    CERTIFICATE_EXPORTED = "certificate.exported"  # with its key
    CERTIFICATE_EXPIRING = "certificate.expiring"
    RENEWAL_FAILED = "renewal.failed"
    CONNECTION_MADE = "connection.made"
    CONNECTION_CHANGED = "connection.changed"
    CONNECTION_REMOVED = "connection.removed"
    CONNECTION_PERMISSION_LOST = "connection.permission_lost"
    CONNECTION_HEALTH_CHANGED = "connection.health_changed"
    PERMISSION_GRANTED = "permission.granted"
    PERMISSION_REFUSED = "permission.refused"
    PERMISSION_WITHDRAWN = "permission.withdrawn"
    TOKEN_ENDING = "token.ending"  # noqa: S105
    ONBOARDING_BEGUN = "onboarding.begun"
    ONBOARDING_ENDED = "onboarding.ended"  # connected, or given up
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"  # sent to one webhook, because somebody wants to see it arrive


@dataclass(frozen=True)
class Happening:
    """An event that is about to be told.

    Attributes:
        nip: the company it is about; None: that of the issuance, or none at all.
        data: plain JSON; never a secret, of a PESEL its ends.
        once: what it is about, where it is told once however often it is found; None: each time.
    """

    kind: Kind
    data: Mapping[str, Fact] = field(default_factory=dict)
    nip: str | None = None
    issuance_id: str | None = None
    once: str | None = None


@dataclass(frozen=True)
class PublicEvent:
    """An event in the order in which events are told.

    Attributes:
        number: its place; grows, with gaps.
        kind: a `Kind`, or one of a later release.
        actor: as in the audit log.
    """

    id: str
    number: int
    at: datetime
    kind: str
    nip: str | None
    issuance_id: str | None
    actor: str
    data: Mapping[str, Fact]


@dataclass(frozen=True)
class Choice:
    """Which events somebody is told.

    Attributes:
        nip: only of this company; None: all.
        kinds: empty: all.
    """

    nip: str | None = None
    kinds: frozenset[str] = frozenset()

    def takes(self, event: PublicEvent) -> bool:
        return self.nip in (None, event.nip) and (not self.kinds or event.kind in self.kinds)


def told(event: PublicEvent, environment: Environment) -> dict[str, Fact]:
    """As programs get it, by webhook, stream and list alike: plain JSON.

    The actor is told where somebody asked for it; names of processes and machines are nobody's business.
    """
    asked = event.actor.partition(":")[0] in _ACTORS
    return {
        "id": str(event.number),
        "type": event.kind,
        "timestamp": event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "environment": environment.value,
        "nip": event.nip,
        "issuance": event.issuance_id,
        "actor": event.actor if asked else None,
        "data": event.data,
    }


_ACTORS = ("user", "key", "invitation")
# With each, which of the facts are told; what is not named stays in the log.
_TOLD: dict[Event, tuple[Kind, tuple[str, ...]]] = {
    Event.ISSUANCE_ORDERED: (Kind.ISSUANCE_ORDERED, ("missing", "key_type", "replaces")),
    Event.WAITING: (Kind.ISSUANCE_WAITING, ("for", "reason", "until")),
    Event.PREFLIGHT_REFUSED: (Kind.ISSUANCE_REFUSED, ("limits", "needed", "kept_back", "reasons", "renewal")),
    Event.CERTIFICATE_RETRIEVED: (Kind.CERTIFICATE_ISSUED, ("type", "name", "serial")),
    Event.REQUEST_REJECTED: (Kind.CERTIFICATE_REJECTED, ("type", "name", "code", "reason")),
    Event.RECONCILED_GIVEN_UP: (Kind.CERTIFICATE_REJECTED, ("type", "name", "code", "reason")),
    Event.CERTIFICATE_REVOKED: (Kind.CERTIFICATE_REVOKED, ("serial", "reason", "held")),
    Event.CERTIFICATE_IMPORTED: (Kind.CERTIFICATE_IMPORTED, ("type", "serial")),
    Event.KEY_EXPORTED: (Kind.CERTIFICATE_EXPORTED, ("type", "serial", "format", "program")),
    Event.CONNECTION_MADE: (Kind.CONNECTION_MADE, ("connection", "method", "health")),
    Event.CONNECTION_CHANGED: (Kind.CONNECTION_CHANGED, ("connection", "method", "health", "before")),
    Event.CONNECTION_REMOVED: (Kind.CONNECTION_REMOVED, ("connection", "method")),
    Event.CONNECTION_HEALTH_CHANGED: (Kind.CONNECTION_HEALTH_CHANGED, ("from", "to", "code")),
    Event.PERMISSION_GRANTED: (Kind.PERMISSION_GRANTED, ("operator", "permissions", "delegable")),
    Event.PERMISSION_GRANT_REFUSED: (Kind.PERMISSION_REFUSED, ("operator", "permissions", "code", "status")),
    Event.PERMISSION_WITHDRAWN: (Kind.PERMISSION_WITHDRAWN, ("operator", "permissions")),
    Event.ONBOARDING_BEGUN: (Kind.ONBOARDING_BEGUN, ("onboarding", "state")),
    Event.ONBOARDING_ENDED: (Kind.ONBOARDING_ENDED, ("onboarding", "state", "method")),
    Event.WEBHOOK_DISABLED: (Kind.WEBHOOK_DISABLED, ("webhook", "host", "reason", "failing_since")),
}
# A refusal has been told with its numbers by then.
_ENDED = {
    IssuanceState.DONE: Kind.ISSUANCE_DONE,
    IssuanceState.REJECTED: Kind.ISSUANCE_REJECTED,
    IssuanceState.CANCELLED: Kind.ISSUANCE_CANCELLED,
}
_FAILED_RENEWALS = (IssuanceState.REJECTED, IssuanceState.REFUSED)


def happenings(subject: Subject | None, entries: Iterable[Entry]) -> list[Happening]:
    """What of these rows of the audit log is told, in their order.

    Args:
        subject: in whose chain they are.
    """
    return [found for entry in entries if (found := _happening(subject, entry)) is not None]


def _happening(subject: Subject | None, entry: Entry) -> Happening | None:
    facts, context = entry.facts, entry.facts.get("context")
    kind, names = _kind_of(entry)
    if kind is None:
        return None
    data: dict[str, Fact] = {name: facts[name] for name in names if facts.get(name) is not None}
    if subject is not None and kind is not Kind.WEBHOOK_DISABLED:
        data["subject"] = subject_data(subject)
    return Happening(kind, data, context if isinstance(context, str) else None, entry.issuance_id)


def subject_data(subject: Subject) -> dict[str, Fact]:
    """Who it is about, as people see it too: of a PESEL the ends."""
    return {"type": subject.type.value, "shown": subject.shown()}


def _kind_of(entry: Entry) -> tuple[Kind | None, tuple[str, ...]]:
    if entry.event is Event.ISSUANCE_ENDED:
        state = IssuanceState(str(entry.facts["state"]))
        renewal = bool(entry.facts.get("renewal"))
        kind = Kind.RENEWAL_FAILED if renewal and state in _FAILED_RENEWALS else _ENDED.get(state)
        return kind, ("state", "renewal")
    if entry.event is Event.ISSUANCE_CANCELLED and entry.facts.get("state") == IssuanceState.CANCELLED:
        return Kind.ISSUANCE_CANCELLED, ("state",)  # at once: nothing had been filed
    if entry.event is Event.CONNECTION_BY_PERMISSION:
        kind = Kind.CONNECTION_CHANGED if entry.facts.get("before") else Kind.CONNECTION_MADE
        return kind, ("operator", "before")
    if entry.event is Event.CONNECTION_HEALTH_CHANGED and entry.facts.get("to") == Health.PERMISSION_LOST:
        return Kind.CONNECTION_PERMISSION_LOST, ("from", "to", "code")
    return _TOLD.get(entry.event, (None, ()))

"""The audit log as data: what is recorded, in which chain, and the exact bytes that are sealed.

Pure. Keys are in `keys.vault`, rows in `storage.audit`, and who records and verifies is `services.audit`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject
from klucznik.domain.limits import Limits

# What is true of no single subject: keys of the vault, backups.
INSTALLATION = "installation"

Fact: TypeAlias = "str | int | bool | Sequence[Fact] | Mapping[str, Fact] | None"


class Event(StrEnum):
    """What a row tells of. Names are never changed: old rows keep them."""

    ISSUANCE_ORDERED = "issuance_ordered"
    LOGIN_REPLACED = "login_replaced"
    SIGNED_ELSEWHERE = "signed_elsewhere"  # a person signed in another program, and KSeF let them in
    LEASE_TAKEN_OVER = "lease_taken_over"
    PREFLIGHT_PASSED = "preflight_passed"  # and the keys are committed
    PREFLIGHT_REFUSED = "preflight_refused"
    REQUEST_INTENDED = "request_intended"
    REQUEST_NOT_SENT = "request_not_sent"  # it is certain that nothing left this machine, or KSeF refused to take it
    REQUEST_FILED = "request_filed"
    ANSWER_LOST = "answer_lost"
    STATUS_GONE = "status_gone"
    RECONCILED_ADOPTED = "reconciled_adopted"
    RECONCILED_NEVER_ARRIVED = "reconciled_never_arrived"
    RECONCILED_GIVEN_UP = "reconciled_given_up"
    REQUEST_REJECTED = "request_rejected"
    CERTIFICATE_ISSUED = "certificate_issued"
    CERTIFICATE_RETRIEVED = "certificate_retrieved"
    CERTIFICATES_PROVED = "certificates_proved"
    WAITING = "waiting"
    ISSUANCE_CANCELLED = "issuance_cancelled"
    ISSUANCE_ENDED = "issuance_ended"
    CERTIFICATE_REVOKED = "certificate_revoked"
    SESSIONS_ENDED = "sessions_ended"
    CERTIFICATE_IMPORTED = "certificate_imported"
    HOOK_ENDED = "hook_ended"  # a program that brings a renewed certificate elsewhere
    KEY_EXPORTED = "key_exported"
    OPERATOR_SET = "operator_set"
    PERMISSION_GRANT_INTENDED = "permission_grant_intended"
    PERMISSION_GRANTED = "permission_granted"
    PERMISSION_GRANT_REFUSED = "permission_grant_refused"
    PERMISSION_WITHDRAWN = "permission_withdrawn"
    CONNECTION_BY_PERMISSION = "connection_by_permission"
    CONNECTION_HEALTH_CHANGED = "connection_health_changed"
    DATA_KEY_MADE = "data_key_made"
    BACKUP_WRITTEN = "backup_written"
    STATE_RESTORED = "state_restored"
    RESTORED_SUBJECT_CHECKED = "restored_subject_checked"
    CONNECTION_MADE = "connection_made"
    CONNECTION_CHANGED = "connection_changed"
    CONNECTION_REMOVED = "connection_removed"
    USER_ADDED = "user_added"
    USER_CHANGED = "user_changed"  # role, or whether they may sign in
    PASSWORD_SET = "password_set"  # noqa: S105
    ACCOUNT_LINK_MADE = "account_link_made"
    SIGNED_IN_HERE = "signed_in_here"
    SIGN_INS_FAILED = "sign_ins_failed"  # how many so far: told when pauses begin, then at each doubling
    BROWSERS_SIGNED_OUT = "browsers_signed_out"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    API_KEY_MADE = "api_key_made"
    API_KEY_ROTATED = "api_key_rotated"
    API_KEY_REVOKED = "api_key_revoked"
    ONBOARDING_BEGUN = "onboarding_begun"
    ONBOARDING_SIGNED_IN = "onboarding_signed_in"  # the login rests in the vault until the onboarding ends
    ONBOARDING_LEFT = "onboarding_left"  # nobody went on with it for long: the login that rested was ended
    ONBOARDING_ENDED = "onboarding_ended"  # connected, or given up
    WEBHOOK_MADE = "webhook_made"
    WEBHOOK_CHANGED = "webhook_changed"  # its secret, or whether anything is sent to it
    WEBHOOK_DISABLED = "webhook_disabled"  # by us: nobody has answered there for too long
    WEBHOOK_REMOVED = "webhook_removed"
    DELIVERIES_REPLAYED = "deliveries_replayed"
    INVITATION_MADE = "invitation_made"
    INVITATION_OPENED = "invitation_opened"
    INVITATION_RENEWED = "invitation_renewed"  # another link; the one before is void
    INVITATION_OTHER_DEVICE = "invitation_other_device"
    INVITATION_REVOKED = "invitation_revoked"
    IMPORT_LINKS_MADE = "import_links_made"


@dataclass(frozen=True)
class Entry:
    """One thing to record. Facts are numbers, names and KSeF's codes; never a key, token or document."""

    event: Event
    facts: Mapping[str, Fact] = field(default_factory=dict)
    issuance_id: str | None = None


class Record(NamedTuple):
    """One row of the log, every column as it is stored.

    Attributes:
        number: from 1 in its chain, without gaps.
        at: ISO 8601 in UTC with microseconds.
        event: an `Event`, or one of a later release.
        facts: canonical JSON.
        previous: `mac` of the row before; empty in the first.
    """

    chain: str
    number: int
    at: str
    actor: str
    event: str
    issuance_id: str | None
    facts: str
    key_id: str
    previous: bytes
    mac: bytes = b""

    @property
    def place(self) -> Place:
        return Place(self.at, self.chain, self.number)


class Place(NamedTuple):
    """Where a row stands in the whole log, the oldest first."""

    at: str
    chain: str
    number: int


@dataclass(frozen=True)
class Wanted:
    """Which rows somebody looks for; None: any.

    Attributes:
        company: as `company_of` names it.
        since: from this moment on, as `moment` writes it.
        until: before this moment.
    """

    company: str | None = None
    event: Event | None = None
    since: str | None = None
    until: str | None = None


class Head(NamedTuple):
    """The last row of a chain, sealed by itself: without it the end of a chain could be cut off unseen."""

    chain: str
    number: int
    key_id: str
    mac: bytes
    seal: bytes = b""


def chain_of(environment: Environment, subject: Subject) -> str:
    """Each subject has a chain of its own, so that work on one never waits for work on another."""
    return f"{environment.value}:{subject.type.value}:{subject.value}"


def company_of(environment: Environment, context_value: str) -> str:
    """How rows name the company they are about."""
    return f"{environment.value}:{context_value}"


# Facts about the machine, its processes and its programs: nothing for whom one company alone is open to.
OF_THE_MACHINE: Mapping[str, tuple[str, ...]] = {
    Event.LEASE_TAKEN_OVER: ("from",),
    Event.HOOK_ENDED: ("hook",),
    Event.CONNECTION_CHANGED: ("hook",),
}


def moment(at: datetime) -> str:
    """A moment as it is stored and compared."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_facts(facts: Mapping[str, Fact]) -> str:
    return _canonical.encode(facts)


def row_bytes(record: Record) -> bytes:
    """What the MAC of a row is taken of: every column but the MAC itself."""
    issuance = "-" if record.issuance_id is None else f"+{record.issuance_id}"
    return _bytes_of(
        "klucznik audit row 1",
        record.chain,
        str(record.number),
        record.at,
        record.actor,
        record.event,
        issuance,
        record.facts,
        record.key_id,
        record.previous.hex(),
    )


def head_bytes(head: Head) -> bytes:
    """What the seal of a head is taken of."""
    return _bytes_of("klucznik audit head 1", head.chain, str(head.number), head.key_id, head.mac.hex())


def limits_facts(limits: Limits) -> dict[str, Fact]:
    """Both limits as KSeF told them."""
    return {
        "can_request": limits.can_request,
        "requests": {"remaining": limits.enrollment.remaining, "limit": limits.enrollment.limit},
        "certificates": {"remaining": limits.certificate.remaining, "limit": limits.certificate.limit},
    }


def _bytes_of(*parts: str) -> bytes:
    """Each part with its length before it, so that no two lists of parts give the same bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)

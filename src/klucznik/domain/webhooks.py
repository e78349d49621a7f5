"""Webhooks: addresses of other programs that are told of events, the signature, and when a delivery is tried again.

Pure. The signature is that of Standard Webhooks (https://www.standardwebhooks.com): libraries for it verify ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from random import Random
from urllib.parse import urlsplit

from klucznik.domain.environments import Environment
from klucznik.domain.events import Choice, Kind, PublicEvent
from klucznik.domain.values import InvalidValue

MOST_WEBHOOKS = 50
LONGEST_URL = 2000
SECRET_BYTES = 32
_PREFIX = "whsec_"
# The secret before is good for so long after a change, so that no delivery is lost over it.
OLD_SECRET_LASTS = timedelta(hours=24)

# After each failure; the last repeats until the delivery is given up.
PAUSES = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
)
# Each pause is up to this share longer or shorter, so that what failed together does not come back together.
JITTER = 0.2
GIVEN_UP_AFTER = timedelta(days=3)
# Who accepts nothing for so long is not sent anything any more.
DISABLED_AFTER = timedelta(days=5)
# While nothing is accepted, one delivery knocks for all, and then all of them rest.
_LONGEST_REST = timedelta(minutes=10)
# Nothing was sent for so long because there was nothing to send: that it failed once before proves nothing.
_FORGIVEN_AFTER = timedelta(days=2)


class DeliveryState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"  # the webhook was switched off


class Disabled(StrEnum):
    """Why nothing is sent to a webhook."""

    BY_SOMEBODY = "by_somebody"
    FAILING = "failing"
    GONE = "gone"  # the receiver said 410


class Problem(StrEnum):
    """Why a delivery was not accepted."""

    HOST_UNKNOWN = "host_unknown"
    ADDRESS_REFUSED = "address_refused"  # not one that may be asked from here
    NOT_REACHED = "not_reached"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    REDIRECTED = "redirected"
    STATUS = "status"  # any other answer than 2xx


@dataclass(frozen=True)
class Webhook:
    """Where to, and what of.

    Attributes:
        kinds: of events; empty: all.
        nip: only events of this company.
        failing_since: since when nothing has been accepted.
        rests_until: nothing is sent before this.
    """

    id: str
    environment: Environment
    url: str
    kinds: frozenset[str]
    nip: str | None
    created_by: str
    created_at: datetime
    disabled_at: datetime | None = None
    disabled_because: Disabled | None = None
    failing_since: datetime | None = None
    rests_until: datetime | None = None
    version: int = 1

    @property
    def host(self) -> str:
        """The part of the address that may stand in logs: paths of such addresses are often secret."""
        return urlsplit(self.url).hostname or ""

    def wants(self, event: PublicEvent) -> bool:
        if event.kind == Kind.WEBHOOK_TEST:
            return event.data.get("webhook") == self.id
        return Choice(self.nip, self.kinds).takes(event)


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one webhook. Its id goes along with every attempt: who has it already may drop it.

    Attributes:
        attempts: begun ones; one that nobody finished counts too.
        due_at: when it is to be tried, or tried again if whoever is at it does not come back; None: it has ended.
        status: of the last answer.
    """

    id: str
    webhook_id: str
    event_id: str
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    created_at: datetime
    asked_at: datetime
    status: int | None = None
    problem: Problem | None = None
    ended_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True)
class Answer:
    """What came of one attempt; without a problem it was accepted.

    Attributes:
        retry_after: how long the receiver asked to be left alone.
    """

    status: int | None = None
    problem: Problem | None = None
    retry_after: timedelta | None = None

    @property
    def accepted(self) -> bool:
        return self.problem is None

    @property
    def gone(self) -> bool:
        return self.status == 410


@dataclass(frozen=True)
class Secret:
    """What a webhook's deliveries are signed with."""

    key: bytes = field(repr=False)

    def __str__(self) -> str:
        """As the receiver's libraries take it."""
        return _PREFIX + base64.b64encode(self.key).decode()


def signatures(secrets: Sequence[Secret], delivery_id: str, at: datetime, body: bytes) -> str:
    """The header ``webhook-signature``: one signature for each secret that is good at present."""
    signed = f"{delivery_id}.{int(at.timestamp())}.".encode() + body
    made = (base64.b64encode(hmac.digest(secret.key, signed, hashlib.sha256)).decode() for secret in secrets)
    return " ".join(f"v1,{one}" for one in made)


def next_try(delivery: Delivery, answer: Answer, now: datetime, random: Random) -> datetime | None:
    """When to try again after a failure; None: it is given up."""
    pause = PAUSES[min(delivery.attempts, len(PAUSES)) - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    if answer.retry_after is not None:
        pause = max(pause, min(answer.retry_after, PAUSES[-1]))
    end = delivery.asked_at + GIVEN_UP_AFTER
    return None if now >= end else min(now + pause, end)


def standing_after(webhook: Webhook, answers: Sequence[Answer], now: datetime) -> Webhook:
    """The webhook after some attempts: whether it fails, and is left alone for a while, or for good."""
    if any(answer.accepted for answer in answers):
        return replace(webhook, failing_since=None, rests_until=None)
    asked_lately = webhook.rests_until is not None and now - webhook.rests_until < _FORGIVEN_AFTER
    since = webhook.failing_since if webhook.failing_since is not None and asked_lately else now
    # The longer it lasts, the longer it is left alone.
    rest = min(max(PAUSES[0], (now - since) / 4), _LONGEST_REST)
    failing = replace(webhook, failing_since=since, rests_until=now + rest)
    if any(answer.gone for answer in answers):
        return replace(failing, disabled_at=now, disabled_because=Disabled.GONE)
    if now - since >= DISABLED_AFTER:
        return replace(failing, disabled_at=now, disabled_because=Disabled.FAILING)
    return failing


def check_url(text: str, *, private: bool) -> str:
    """An address that events may be sent to, as far as it shows.

    Args:
        private: whether addresses of private networks are allowed here, and http to any address.

    Raises:
        InvalidValue: ``webhook_url_malformed``, ``webhook_url_not_https``, ``webhook_url_with_password``.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidValue("webhook_url_malformed") from None
    if not _may_be_a_url(text) or not parts.hostname or port == 0 or parts.fragment:
        raise InvalidValue("webhook_url_malformed")
    if parts.username is not None or parts.password is not None:
        raise InvalidValue("webhook_url_with_password")
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise InvalidValue("webhook_url_not_https")
    return text


def _may_be_a_url(text: str) -> bool:
    return len(text) <= LONGEST_URL and text.isascii() and text.isprintable() and " " not in text and "\\" not in text


# What no integration lives at: who runs the machine, not who uses it, answers there.
_METADATA = frozenset(map(ip_address, ("100.100.100.200", "fd00:ec2::254")))
# NAT64 (64:ff9b::/96), and the old form ::a.b.c.d.
_BEFORE_IPV4 = (bytes.fromhex("0064ff9b") + bytes(8), bytes(12))


def may_be_asked(text: str, *, private: bool) -> bool:
    """Whether an address (IPv4 or IPv6) is one that events may be sent to.

    Args:
        private: whether private networks and this machine are allowed.
    """
    try:
        address = ip_address(text.split("%", 1)[0])
    except ValueError:
        return False
    return all(_fits(one, private=private) for one in _meant(address))


def _fits(address: IPv4Address | IPv6Address, *, private: bool) -> bool:
    if address.is_multicast or address.is_unspecified or address.is_link_local or address in _METADATA:
        return False
    if isinstance(address, IPv4Address) and address.is_reserved:
        return False
    return private or address.is_global


def _meant(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address itself, or the IPv4 addresses that it leads to."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.packed[:12] in _BEFORE_IPV4 and not (address.is_loopback or address.is_unspecified):
        return [IPv4Address(address.packed[12:])]
    inside = [address.sixtofour, *(address.teredo or ())]
    return [address, *(one for one in inside if one is not None)]

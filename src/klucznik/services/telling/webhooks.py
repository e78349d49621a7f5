"""Webhooks as people manage them: made, looked at, switched off and on, given a new secret, tried out, replayed.

What is sent to them, and when, is `deliver`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.events import Choice, Happening, Kind, PublicEvent
from klucznik.domain.identifiers import parse_nip
from klucznik.domain.values import InvalidValue
from klucznik.domain.webhooks import (
    MOST_WEBHOOKS,
    OLD_SECRET_LASTS,
    SECRET_BYTES,
    Delivery,
    Disabled,
    Problem,
    Secret,
    Webhook,
    check_url,
)
from klucznik.errors import InputError
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.telling.posting import Post
from klucznik.storage import events, sealed_secrets, webhooks
from klucznik.storage.races import alone

PAGE = 50
# Replayed at once; whoever lacks more asks again from where this ended.
MOST_REPLAYED = 10_000
SECRET, SECRET_BEFORE = "webhook", "webhook_before"


@dataclass(frozen=True)
class Opened:
    """A webhook and its secret, which is shown this once."""

    webhook: Webhook
    secret: Secret = field(repr=False)


@dataclass(frozen=True)
class Sent:
    """A delivery and what it told of."""

    delivery: Delivery
    event: PublicEvent


async def make(
    installation: Installation,
    post: Post,
    url: str,
    *,
    kinds: Collection[str] = (),
    nip: str | None = None,
    created_by: str,
    note: Callable[[Transaction, str], None] = lambda _, __: None,
) -> Opened:
    """A webhook that is told of everything from now on.

    Args:
        kinds: of events; empty: all.
        nip: only events of this company.
        note: part of the transaction, with the id of what it makes.

    Raises:
        InputError: ``webhook_url_malformed``, ``webhook_url_not_https``, ``webhook_url_with_password``,
            ``webhook_host_not_found``, ``webhook_address_refused``, ``event_kind_not_known``, ``nip_malformed``,
            ``webhooks_too_many``.
    """
    try:
        check_url(url, private=post.private)
        company = None if nip is None else parse_nip(nip)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    strange = sorted(set(kinds) - set(Kind))
    if strange:
        raise InputError("event_kind_not_known", value=strange[0][:40], known=", ".join(Kind))
    await _check_address(post, url)
    made = Webhook(
        id=secrets.token_hex(16),
        environment=installation.environment,
        url=url,
        kinds=frozenset(kinds),
        nip=company,
        created_by=created_by,
        created_at=installation.clock.now(),
    )
    secret = Secret(secrets.token_bytes(SECRET_BYTES))

    def commit(transaction: Transaction) -> None:
        alone(transaction, f"webhooks {installation.environment}")
        if webhooks.count(transaction, installation.environment) >= MOST_WEBHOOKS:
            raise InputError("webhooks_too_many", most=MOST_WEBHOOKS)
        webhooks.add(transaction, made)
        note(transaction, made.id)
        _keep(installation, transaction, SECRET, made.id, secret)
        _record(installation, transaction, Event.WEBHOOK_MADE, made)

    await installation.database.write(commit)
    return Opened(made, secret)


async def _check_address(post: Post, url: str) -> None:
    """Already here, so that a mistake is told to whoever makes it; what counts is the look before each delivery."""
    found = await post.address_of(url)
    if found is Problem.HOST_UNKNOWN:
        raise InputError("webhook_host_not_found")
    if isinstance(found, Problem):
        raise InputError("webhook_address_refused")


async def listed(installation: Installation, *, nip: str | None = None) -> list[Webhook]:
    """All webhooks, the oldest first; with `nip` those bound to that company."""
    return await installation.database.read(
        lambda transaction: webhooks.listed(transaction, installation.environment, nip=nip)
    )


async def find(installation: Installation, webhook_id: str, *, nip: str | None = None) -> Webhook:
    """One webhook.

    Args:
        nip: whoever asks may only know of webhooks bound to this company.

    Raises:
        InputError: ``webhook_unknown``.
    """
    found = await installation.database.read(
        lambda transaction: webhooks.load(transaction, installation.environment, webhook_id)
    )
    if found is None or (nip is not None and found.nip != nip):
        raise InputError("webhook_unknown")
    return found


async def disable(installation: Installation, webhook: Webhook) -> Webhook:
    """Nothing is sent there any more; what is waiting is dropped, and can be replayed."""
    if webhook.disabled_at is not None:
        return webhook
    now = installation.clock.now()

    def commit(transaction: Transaction) -> Webhook:
        off = replace(webhook, disabled_at=now, disabled_because=Disabled.BY_SOMEBODY)
        saved = webhooks.save(transaction, off)
        webhooks.drop(transaction, webhook.id, now=now)
        _record(installation, transaction, Event.WEBHOOK_CHANGED, saved, disabled=True)
        return saved

    return await installation.database.write(commit)


async def enable(installation: Installation, webhook: Webhook) -> Webhook:
    """It is told of everything from now on; what it has missed can be replayed."""
    if webhook.disabled_at is None:
        return webhook

    def commit(transaction: Transaction) -> Webhook:
        on = replace(webhook, disabled_at=None, disabled_because=None, failing_since=None, rests_until=None)
        saved = webhooks.save(transaction, on)
        _record(installation, transaction, Event.WEBHOOK_CHANGED, saved, disabled=False)
        return saved

    return await installation.database.write(commit)


async def remove(installation: Installation, webhook: Webhook) -> None:
    """Forget it, its secret and its deliveries."""

    def commit(transaction: Transaction) -> None:
        sealed_secrets.forget(transaction, SECRET, webhook.id)
        sealed_secrets.forget(transaction, SECRET_BEFORE, webhook.id)
        webhooks.remove(transaction, webhook.id)
        _record(installation, transaction, Event.WEBHOOK_REMOVED, webhook)

    await installation.database.write(commit)


async def rotate(installation: Installation, webhook: Webhook) -> Opened:
    """A new secret. For a day deliveries are signed with the one before as well."""
    now, secret = installation.clock.now(), Secret(secrets.token_bytes(SECRET_BYTES))

    def commit(transaction: Transaction) -> Webhook:
        saved = webhooks.save(transaction, webhook)  # two that rotate at once would lose each other's secret
        before = sealed_secrets.load(transaction, SECRET, webhook.id, now=now)
        if before is not None:
            old = Secret(installation.vault.unseal_secret(before))
            _keep(installation, transaction, SECRET_BEFORE, webhook.id, old, until=now + OLD_SECRET_LASTS)
        _keep(installation, transaction, SECRET, webhook.id, secret)
        _record(installation, transaction, Event.WEBHOOK_CHANGED, saved, secret="new")  # noqa: S106
        return saved

    return Opened(await installation.database.write(commit), secret)


async def ping(installation: Installation, webhook: Webhook) -> None:
    """Send it an event that means nothing.

    Raises:
        InputError: ``webhook_disabled``.
    """
    if webhook.disabled_at is not None:
        raise InputError("webhook_disabled")
    test = Happening(Kind.WEBHOOK_TEST, {"webhook": webhook.id}, nip=webhook.nip)
    actor, now = installation.actor or installation.owner, installation.clock.now()
    await installation.database.write(
        lambda transaction: events.add(transaction, installation.environment, [test], actor=actor, now=now)
    )


async def deliveries(installation: Installation, webhook: Webhook, *, before: str | None = None) -> list[Sent]:
    """Deliveries to a webhook, the newest first, a page at a time.

    Args:
        before: id of the last one of the page before.

    Raises:
        InputError: ``delivery_unknown``.
    """

    def read(transaction: Transaction) -> list[Sent]:
        last = None if before is None else _delivery(transaction, webhook, before)
        found = webhooks.deliveries(transaction, webhook.id, size=PAGE, before=last)
        told = events.of_ids(transaction, [one.event_id for one in found])
        return [Sent(one, told[one.event_id]) for one in found]

    return await installation.database.read(read)


async def replay(installation: Installation, webhook: Webhook, delivery_id: str) -> None:
    """Send a delivery once more, with the id it has.

    Raises:
        InputError: ``delivery_unknown``, ``webhook_disabled``.
    """
    _check_enabled(webhook)

    def commit(transaction: Transaction) -> None:
        again = _delivery(transaction, webhook, delivery_id)
        webhooks.ask_again(transaction, webhook.id, now=installation.clock.now(), delivery_id=again.id)
        _record(installation, transaction, Event.DELIVERIES_REPLAYED, webhook, delivery=again.id)

    await installation.database.write(commit)


async def replay_since(installation: Installation, webhook: Webhook, number: int) -> int:
    """Send every event from one on that the webhook is meant to know, delivered or not; how many, at most 10,000.

    Args:
        number: of the first event.

    Raises:
        InputError: ``webhook_disabled``.
    """
    _check_enabled(webhook)
    choice = Choice(webhook.nip, webhook.kinds)

    def commit(transaction: Transaction) -> int:
        now = installation.clock.now()
        found = events.since(transaction, webhook.environment, number=number, choice=choice, most=MOST_REPLAYED)
        for start in range(0, len(found), 500):
            part = found[start : start + 500]
            webhooks.ask_again(transaction, webhook.id, now=now, event_ids=part)
            webhooks.add_deliveries(transaction, [(webhook.id, one) for one in part], now=now)
        _record(installation, transaction, Event.DELIVERIES_REPLAYED, webhook, since=number, number=len(found))
        return len(found)

    return await installation.database.write(commit)


def secrets_of(installation: Installation, transaction: Transaction, webhook_id: str, now: datetime) -> list[Secret]:
    """What deliveries are signed with at present; the newest first."""
    kept = (sealed_secrets.load(transaction, kind, webhook_id, now=now) for kind in (SECRET, SECRET_BEFORE))
    return [Secret(installation.vault.unseal_secret(one)) for one in kept if one is not None]


def _delivery(transaction: Transaction, webhook: Webhook, delivery_id: str) -> Delivery:
    found = webhooks.delivery(transaction, delivery_id)
    if found is None or found.webhook_id != webhook.id:
        raise InputError("delivery_unknown")
    return found


def _check_enabled(webhook: Webhook) -> None:
    if webhook.disabled_at is not None:
        raise InputError("webhook_disabled")


def _keep(
    installation: Installation,
    transaction: Transaction,
    kind: str,
    webhook_id: str,
    secret: Secret,
    until: datetime | None = None,
) -> None:
    sealed = installation.vault.seal_secret(kind, webhook_id, secret.key)
    sealed_secrets.put(transaction, sealed, now=installation.clock.now(), expires_at=until)


def _record(
    installation: Installation, transaction: Transaction, event: Event, webhook: Webhook, **facts: Fact
) -> None:
    said: dict[str, Fact] = {"webhook": webhook.id, "host": webhook.host, **facts}
    audit.record(installation, transaction, None, Entry(event, said))

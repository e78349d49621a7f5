"""Sends events to webhooks. The rows say what is due; whoever comes by takes some of it, any number of workers.

A delivery is claimed, sent, and saved. A worker that dies in between has claimed it for a minute; then another sends it
again, with the same id. So every event arrives at least once, and a receiver that keeps the ids takes it once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event, Fact, canonical_facts
from klucznik.domain.events import PublicEvent, told
from klucznik.domain.webhooks import (
    Answer,
    Delivery,
    DeliveryState,
    Secret,
    Webhook,
    next_try,
    signatures,
    standing_after,
)
from klucznik.errors import KlucznikError, StorageError
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.telling.posting import Post
from klucznik.services.telling.webhooks import secrets_of
from klucznik.storage import events, webhooks

# Longer than an answer is waited for (`posting`): while a claim holds, nothing of it is on its way any more.
CLAIMED_FOR = timedelta(seconds=60)
# To one webhook at the same time.
_EACH = 8

_log = logging.getLogger("klucznik.webhooks")


@dataclass(frozen=True)
class _Batch:
    """What was claimed for one webhook, and what it takes to send it."""

    webhook: Webhook
    deliveries: tuple[Delivery, ...]
    secrets: tuple[Secret, ...] = field(repr=False)
    events: dict[str, PublicEvent]


@dataclass
class Deliverer:
    """One process that delivers.

    Args:
        post: the way out.
    """

    installation: Installation
    post: Post
    random: Random = field(default_factory=Random, repr=False)
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False, repr=False)

    async def take_due(self) -> int:
        """Begin to send what is due to those webhooks to which nothing is being sent; how many deliveries."""
        batches = await self._claim()
        for batch in batches:
            webhook_id = batch.webhook.id
            task = asyncio.create_task(self._see_off(batch))
            self.running[webhook_id] = task
            task.add_done_callback(partial(self._done, webhook_id))
        return sum(len(batch.deliveries) for batch in batches)

    async def run_until_idle(self) -> None:
        """Until nothing is due any more."""
        while await self.take_due() or self.running:
            await asyncio.wait(self.running.values(), return_when="FIRST_COMPLETED")

    async def give_up(self) -> None:
        """Leave what is on its way: it is sent again when the claims have run out."""
        for task in self.running.values():
            task.cancel()
        if self.running:
            await asyncio.wait(self.running.values())

    def _done(self, webhook_id: str, _: asyncio.Task[None]) -> None:
        del self.running[webhook_id]

    async def _claim(self) -> list[_Batch]:
        environment, now = self.installation.environment, self.installation.clock.now()
        database = self.installation.database
        if not await database.read(lambda transaction: webhooks.any_due(transaction, environment, now=now)):
            return []

        def claim(transaction: Transaction) -> list[tuple[Webhook, Delivery]]:
            until = now + CLAIMED_FOR
            return webhooks.claim(
                transaction, environment, each=_EACH, now=now, until=until, besides=self.running.keys()
            )

        claimed = await database.write(claim)
        return await database.read(lambda transaction: self._batches(transaction, claimed, now))

    def _batches(
        self, transaction: Transaction, claimed: Sequence[tuple[Webhook, Delivery]], now: datetime
    ) -> list[_Batch]:
        of = {webhook.id: webhook for webhook, _ in claimed}
        by_webhook: dict[str, list[Delivery]] = defaultdict(list)
        for webhook, delivery in claimed:
            by_webhook[webhook.id].append(delivery)
        found = events.of_ids(transaction, [delivery.event_id for _, delivery in claimed])
        return [
            _Batch(of[one], tuple(mine), tuple(secrets_of(self.installation, transaction, one, now)), found)
            for one, mine in by_webhook.items()
        ]

    async def _see_off(self, batch: _Batch) -> None:
        try:
            answers = await asyncio.gather(*(self._send(batch, one) for one in batch.deliveries))
            await self._save(batch, answers)
        except KlucznikError as error:
            _log.warning("deliveries to webhook %s were not saved: %s", batch.webhook.id, error)
        except Exception as error:
            # Not with its text: that of a foreign error may hold anything. The claim runs out, and it is sent again.
            _log.error("deliveries to webhook %s met an unforeseen %s", batch.webhook.id, type(error).__name__)

    async def _send(self, batch: _Batch, delivery: Delivery) -> Answer:
        now = self.installation.clock.now()
        body = canonical_facts(told(batch.events[delivery.event_id], self.installation.environment)).encode()
        headers = {
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signatures(batch.secrets, delivery.id, now, body),
        }
        return await self.post.send(batch.webhook.url, body, headers)

    async def _save(self, batch: _Batch, answers: Sequence[Answer]) -> None:
        now = self.installation.clock.now()
        after = [self._after(one, answer, now) for one, answer in zip(batch.deliveries, answers, strict=True)]

        def commit(transaction: Transaction) -> None:
            for one in after:
                webhooks.save_delivery(transaction, one)

        await self.installation.database.write(commit)
        for one, answer in zip(after, answers, strict=True):
            _tell(batch.webhook, one, answer)
        if batch.webhook.failing_since is not None or not any(answer.accepted for answer in answers):
            # Another worker may have come to the same a moment before.
            with suppress(StorageError):
                await self.installation.database.write(
                    lambda transaction: self._save_standing(transaction, batch.webhook.id, answers, now)
                )

    def _after(self, delivery: Delivery, answer: Answer, now: datetime) -> Delivery:
        seen = replace(delivery, status=answer.status, problem=answer.problem)
        if answer.accepted:
            return replace(seen, state=DeliveryState.DELIVERED, due_at=None, ended_at=now)
        again = next_try(delivery, answer, now, self.random)
        if again is None:
            return replace(seen, state=DeliveryState.GIVEN_UP, due_at=None, ended_at=now)
        return replace(seen, due_at=again)

    def _save_standing(
        self, transaction: Transaction, webhook_id: str, answers: Sequence[Answer], now: datetime
    ) -> None:
        there = webhooks.load(transaction, self.installation.environment, webhook_id)
        if there is None or there.disabled_at is not None:
            return
        after = webhooks.save(transaction, standing_after(there, answers, now))
        if after.disabled_because is None or after.failing_since is None:
            return
        webhooks.drop(transaction, webhook_id, now=now)
        facts: dict[str, Fact] = {
            "webhook": webhook_id,
            "host": after.host,
            "reason": after.disabled_because.value,
            "failing_since": after.failing_since.isoformat(timespec="seconds"),
        }
        audit.record(self.installation, transaction, None, Entry(Event.WEBHOOK_DISABLED, facts))


def _tell(webhook: Webhook, delivery: Delivery, answer: Answer) -> None:
    facts = {"webhook": webhook.id, "host": webhook.host, "delivery": delivery.id, "status": answer.status}
    if answer.problem is None:
        _log.debug("webhook_delivered", extra={"facts": facts})
    else:
        said = {**facts, "problem": answer.problem.value, "attempt": delivery.attempts, "state": delivery.state.value}
        _log.warning("webhook_not_delivered", extra={"facts": said})

"""Requests that may be repeated: the same key gives the same answer, and nothing is done twice.

A key is claimed before the work begins. What the work makes is named in the claim's row by the transaction that makes
it, so that whoever repeats a request after a crash finds it and makes no second one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection as Transaction

from klucznik.errors import InputError
from klucznik.services.installation import Installation
from klucznik.storage import idempotency

KEPT = timedelta(hours=24)
# A request is answered sooner than this, or its process has died; then whoever repeats it takes it over.
_ANSWERED_WITHIN = timedelta(minutes=5)
_SEALED_AS = "idempotency"


@dataclass(frozen=True)
class Answer:
    """What was answered, to be answered again.

    Attributes:
        replayed: it was answered before, and nothing was done now.
    """

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    replayed: bool = False


@dataclass(frozen=True)
class Claim:
    """A request that is being answered now.

    Attributes:
        made: id of what an earlier run of it made before it broke off.
    """

    principal: str
    key: str
    claimed_at: datetime
    made: str | None = None

    def record(self, transaction: Transaction, made: str) -> None:
        """Part of the transaction that makes something; raises StorageError ``state_moved_on``."""
        idempotency.record_made(transaction, self.principal, self.key, self.claimed_at, made)

    @property
    def owner_id(self) -> str:
        return hashlib.sha256(f"{self.principal} {self.key}".encode()).hexdigest()[:32]


async def once(
    installation: Installation,
    principal: str,
    key: str,
    asked: bytes,
    work: Callable[[Claim], Awaitable[Answer]],
) -> Answer:
    """Do `work` and keep its answer for a day, or give the answer that is kept.

    Args:
        asked: everything that makes the request what it is: method, path and body.
        work: an error of it is not kept: the next request with this key does the work anew.

    Raises:
        InputError: ``idempotency_key_reused`` (another request had this key), ``idempotency_key_in_use`` (it is being
            answered right now, or was taken over meanwhile by whoever repeated it).
    """
    found = await _claim(installation, principal, key, hashlib.sha256(asked).hexdigest())
    if isinstance(found, Answer):
        return found
    try:
        answer = await work(found)
    except BaseException:
        await installation.database.write(
            lambda transaction: idempotency.release(transaction, principal, key, found.claimed_at)
        )
        raise
    body = installation.vault.seal_secret(_SEALED_AS, found.owner_id, answer.body)
    kept = await installation.database.write(
        lambda transaction: idempotency.answer(
            transaction,
            principal,
            key,
            found.claimed_at,
            status=answer.status,
            headers=answer.headers,
            body=body,
        )
    )
    if not kept:
        # Whoever has taken it over may have made what is told once anew: only one answer is good, and that one is kept.
        raise InputError("idempotency_key_in_use")
    return answer


async def _claim(installation: Installation, principal: str, key: str, fingerprint: str) -> Claim | Answer:
    now = installation.clock.now()
    claim = Claim(principal, key, now)

    def take(transaction: Transaction) -> Claim | idempotency.Kept:
        idempotency.forget(transaction, before=now - KEPT)
        while not idempotency.claim(transaction, principal, key, fingerprint, now=now):
            kept = idempotency.load(transaction, principal, key, claim.owner_id)
            if kept is not None:
                return found(transaction, kept)
        return claim

    def found(transaction: Transaction, kept: idempotency.Kept) -> Claim | idempotency.Kept:
        if kept.fingerprint != fingerprint:
            raise InputError("idempotency_key_reused")
        if kept.status is not None:
            return kept
        if kept.made is None and now < kept.claimed_at + _ANSWERED_WITHIN:
            raise InputError("idempotency_key_in_use")
        idempotency.claim_again(transaction, principal, key, now=now)
        return Claim(principal, key, now, kept.made)

    taken = await installation.database.write(take)
    if isinstance(taken, Claim):
        return taken
    body = b"" if taken.body is None else installation.vault.unseal_secret(taken.body)
    return Answer(taken.status or 200, taken.headers, body, replayed=True)

"""The session of whoever has signed, sealed with the onboarding, so that every later step goes on in it.

It is bound to subject and company; it ends with the onboarding, and nobody but these rooms opens it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Connection as Transaction

from klucznik.domain.onboarding import Onboarding, OnboardingState, login_lost
from klucznik.domain.sealed import SealedSecret
from klucznik.errors import KlucznikError, SignatureNeeded, StorageError
from klucznik.ksef import kept_tokens
from klucznik.ksef.answers import TokenPair
from klucznik.services.installation import Installation
from klucznik.services.onboarding import rows
from klucznik.services.sign_in import SignedIn, sign_out
from klucznik.storage import browser_sessions, sealed_secrets
from klucznik.storage.onboardings import SECRET

# What is true from the moment that somebody is signed in, no sooner and no later.
WithLogin: TypeAlias = Callable[[Transaction], None]


def seal(installation: Installation, onboarding: Onboarding, signed_in: SignedIn) -> tuple[SealedSecret, datetime]:
    """The session as it may rest in the database, and until when it is of any use.

    Raises:
        SignatureNeeded: it was ended here.
    """
    tokens = signed_in.session.tokens
    if tokens is None:
        raise SignatureNeeded("session_ended")
    kept = {"whose": _whose(onboarding, signed_in), "tokens": kept_tokens.to_bytes(tokens).decode()}
    sealed = installation.vault.seal_secret(SECRET, onboarding.id, json.dumps(kept).encode())
    return sealed, tokens.refresh.valid_until


def keep(transaction: Transaction, sealed: tuple[SealedSecret, datetime], *, now: datetime) -> None:
    """Save it in place of the one before."""
    sealed_secrets.forget_expired(transaction, SECRET, now=now)
    sealed_secrets.put(transaction, sealed[0], now=now, expires_at=sealed[1])


def begin(
    transaction: Transaction,
    onboarding: Onboarding,
    sealed: tuple[SealedSecret, datetime],
    *,
    now: datetime,
    with_login: WithLogin | None,
) -> None:
    """Save that of whoever has just signed. A browser in which somebody has signed before is proved by that no more."""
    keep(transaction, sealed, now=now)
    if onboarding.invitation_id is not None:
        browser_sessions.disprove(transaction, onboarding.invitation_id)
    if with_login is not None:
        with_login(transaction)


@asynccontextmanager
async def session_of(installation: Installation, onboarding: Onboarding) -> AsyncIterator[SignedIn]:
    """Whoever has signed, signed in still.

    Raises:
        SignatureNeeded: ``onboarding_login_over``: the onboarding is back at the signature, and says so.
    """
    signed_in = await opened(installation, onboarding)
    if signed_in is None:
        await _lost(installation, onboarding)
        raise SignatureNeeded("onboarding_login_over")
    before = signed_in.session.tokens
    try:
        yield signed_in
    except SignatureNeeded:
        await _lost(installation, onboarding)
        raise SignatureNeeded("onboarding_login_over") from None
    finally:
        await _keep_renewed(installation, onboarding, signed_in, before)


async def opened(installation: Installation, onboarding: Onboarding) -> SignedIn | None:
    """The session that rests here, or None: nobody has signed, or it is over."""
    subject = onboarding.subject
    if subject is None:
        return None
    sealed = await installation.database.read(
        lambda transaction: sealed_secrets.load(transaction, SECRET, onboarding.id, now=installation.clock.now())
    )
    if sealed is None:
        return None
    try:
        whose, tokens = _unsealed(installation, sealed)
    except StorageError:
        return None  # a login can be had anew, so that is no error
    signed_in = SignedIn(installation.ksef.resume(onboarding.context, tokens), subject)
    return signed_in if whose == _whose(onboarding, signed_in) else None


async def ended(installation: Installation, onboarding: Onboarding) -> None:
    """End the session that rests here, at KSeF too. What cannot be ended there ends by itself."""
    signed_in = await opened(installation, onboarding)
    await installation.database.write(lambda transaction: sealed_secrets.forget(transaction, SECRET, onboarding.id))
    if signed_in is not None:
        await sign_out(signed_in)


def _whose(onboarding: Onboarding, signed_in: SignedIn) -> list[str]:
    """What it is sealed for: a row that says otherwise opens nothing."""
    subject = signed_in.subject
    return [onboarding.environment.value, str(onboarding.context), subject.type.value, subject.value]


def _unsealed(installation: Installation, sealed: SealedSecret) -> tuple[list[str], TokenPair]:
    """What it is sealed for, and the tokens."""
    kept = json.loads(installation.vault.unseal_secret(sealed))
    return kept["whose"], kept_tokens.from_bytes(kept["tokens"].encode())


async def _lost(installation: Installation, onboarding: Onboarding) -> None:
    def commit(transaction: Transaction) -> None:
        there = rows.to_change(installation, transaction, onboarding.id)
        settled = there.state.ended or there.state is OnboardingState.ISSUING
        if settled or there.subject != onboarding.subject:
            return  # it has gone on meanwhile, or somebody else has signed
        rows.save(installation, transaction, login_lost(there))
        sealed_secrets.forget(transaction, SECRET, onboarding.id)

    await installation.database.write(commit)


async def _keep_renewed(
    installation: Installation, onboarding: Onboarding, signed_in: SignedIn, before: TokenPair | None
) -> None:
    """The access token was renewed on the way: whoever comes next need not do so again."""
    tokens = signed_in.session.tokens
    if tokens is None or tokens == before:
        return
    sealed, now = seal(installation, onboarding, signed_in), installation.clock.now()

    def commit(transaction: Transaction) -> None:
        there = sealed_secrets.load(transaction, SECRET, onboarding.id, now=now)
        # Somebody may have signed anew meanwhile: only the very login that was opened is kept so.
        if there is not None and _unsealed(installation, there)[1] == before:
            keep(transaction, sealed, now=now)

    try:
        await installation.database.write(commit)
    except KlucznikError:
        return  # it costs one more call, later

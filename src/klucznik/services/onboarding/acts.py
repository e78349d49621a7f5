"""What is done in the session of whoever has signed and takes KSeF a while: a grant, a revocation.

Whoever said yes is answered meanwhile (`Background`); the row tells that it goes on, and at last what has come of it.
What is done is `remedies`; what becomes of an act whose process has died is `left`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection as Transaction

from klucznik.domain.onboarding import (
    ACT_LASTS,
    Act,
    Onboarding,
    OnboardingState,
    UnderWay,
    act_begun,
    act_done,
    act_failed,
)
from klucznik.errors import InputError, KlucznikError, KsefRefused, KsefUnavailable, SignatureNeeded
from klucznik.services.background import Reached
from klucznik.services.installation import Installation
from klucznik.services.onboarding import logins, rows
from klucznik.services.sign_in import SignedIn

T = TypeVar("T")

_log = logging.getLogger("klucznik.onboarding")


@dataclass(frozen=True)
class Beginning:
    """What somebody has said yes to.

    Attributes:
        states: in which it may begin.
        operator_nip: of a grant: who is let in by this yes.
    """

    act: Act
    states: tuple[OnboardingState, ...]
    operator_nip: str | None = None


async def seen_to(
    installation: Installation,
    onboarding: Onboarding,
    begins: Beginning,
    work: Callable[[SignedIn], Awaitable[T]],
) -> T | None:
    """Do it in the session that rests here. What it returns or raises; None: it goes on, and the row will tell.

    Raises:
        InputError: ``onboarding_elsewhere``, ``onboarding_act_under_way``: somebody else was faster.
        SignatureNeeded: ``onboarding_login_over``: the onboarding is back at the signature.
        KsefUnavailable: ``act_took_too_long``: it was broken off.
    """

    async def to_the_end(reached: Reached) -> T:
        under_way = await _begun(installation, onboarding, begins)
        reached()
        try:
            done = await _in_time(installation, onboarding, work)
        except BaseException as error:
            await _ended(installation, onboarding, under_way, error)
            raise
        await _ended(installation, onboarding, under_way, None)
        return done

    return await installation.background.see_to(to_the_end)


async def _in_time(installation: Installation, onboarding: Onboarding, work: Callable[[SignedIn], Awaitable[T]]) -> T:
    try:
        async with asyncio.timeout(ACT_LASTS.total_seconds()), logins.session_of(installation, onboarding) as signed_in:
            return await work(signed_in)
    except TimeoutError:
        raise KsefUnavailable("act_took_too_long") from None


async def _begun(installation: Installation, onboarding: Onboarding, begins: Beginning) -> UnderWay:
    """From now on nobody begins another one, in no process."""
    under_way = UnderWay(begins.act, installation.clock.now(), begins.operator_nip)

    def commit(transaction: Transaction) -> None:
        there = rows.to_change(installation, transaction, onboarding.id)
        rows.check_state(there, *begins.states)
        rows.save(installation, transaction, act_begun(there, under_way))

    await installation.database.write(commit)
    return under_way


async def _ended(
    installation: Installation, onboarding: Onboarding, under_way: UnderWay, error: BaseException | None
) -> None:
    def commit(transaction: Transaction) -> None:
        there = rows.to_change(installation, transaction, onboarding.id)
        if there.under_way == under_way:  # otherwise it has come to an end already, as the company is connected
            rows.save(installation, transaction, _after(there, under_way.act, error))

    try:
        await installation.database.write(commit)
    except KlucznikError as lost:  # the row says it when nobody can be at it any more
        _log.warning("onboarding %s does not say how its %s has ended: %s", onboarding.id, under_way.act, lost)


def _after(onboarding: Onboarding, act: Act, error: BaseException | None) -> Onboarding:
    if error is None or isinstance(error, InputError | SignatureNeeded):
        return act_done(onboarding)
    refused = isinstance(error, KsefRefused)
    return act_failed(onboarding, act, refused=refused, code=error.code if isinstance(error, KsefRefused) else None)

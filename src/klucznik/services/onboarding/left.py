"""What a worker does for onboardings that nobody goes on with: acts whose process died, and logins that rest too long.

It grants and revokes nothing: it looks at what KSeF has done, and a person says yes once more where that is not all.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Event
from klucznik.domain.connections import Method
from klucznik.domain.onboarding import ACT_OVER_AFTER, Act, Onboarding, UnderWay, act_failed
from klucznik.errors import InputError, KlucznikError, KsefRefused, SignatureNeeded
from klucznik.services import grant as granting
from klucznik.services.installation import Installation
from klucznik.services.onboarding import logins, rows
from klucznik.services.onboarding_follows import record
from klucznik.services.sign_in import SignedIn, sign_out
from klucznik.storage import onboardings, sealed_secrets

# A night, and a day to think about it: whoever comes later signs once more.
LOGIN_RESTS = timedelta(hours=24)
_AT_ONCE = 50

_log = logging.getLogger("klucznik.onboarding")


async def see_to_what_was_left(installation: Installation) -> int:
    """One round; how many were seen to. Harmless at any time, also by several workers."""
    environment, now = installation.environment, installation.clock.now()
    left = await installation.database.read(
        lambda transaction: onboardings.acts_begun(transaction, environment, before=now - ACT_OVER_AFTER, size=_AT_ONCE)
    )
    resting = await installation.database.read(
        lambda transaction: onboardings.left_signed_in(
            transaction, environment, before=now - LOGIN_RESTS, size=_AT_ONCE
        )
    )
    await installation.database.write(
        lambda transaction: sealed_secrets.forget_expired(transaction, onboardings.SECRET, now=now)
    )
    await _each(installation, left, _found_out)
    await _each(installation, resting, _signed_out)
    return len(left) + len(resting)


async def _each(
    installation: Installation, those: Sequence[Onboarding], work: Callable[[Installation, Onboarding], Awaitable[None]]
) -> None:
    for onboarding in those:
        try:
            await work(installation, onboarding)
        except KlucznikError as error:
            _log.warning("onboarding %s could not be seen to: %s", onboarding.id, error)


async def _found_out(installation: Installation, onboarding: Onboarding) -> None:
    """What has come of a grant is looked up in the session that rests; then the row says how it stands. How far a
    revocation got, the person sees who looks at the limits anew.

    Raises:
        KsefUnavailable: nothing was found out; the next round looks again.
    """
    under_way = onboarding.under_way
    if under_way is None:
        return
    if under_way.act is Act.GRANT:
        with suppress(SignatureNeeded):  # the row is back at the signature, and says so
            async with logins.session_of(installation, onboarding) as signed_in:
                if await _granted(installation, signed_in, under_way):
                    await rows.done(installation, onboarding, Method.PERMISSION)
                    await sign_out(signed_in)
    await _given_back(installation, onboarding, under_way)


async def _granted(installation: Installation, signed_in: SignedIn, under_way: UnderWay) -> bool:
    """Whether all is granted that was said yes to; then the company is connected and the operator proves it."""
    try:
        operator = await granting.ready_operator(installation, signed_in.context)
        if operator.nip != under_way.operator_nip:
            return False
        await granting.grant(installation, signed_in, confirm=lambda _: False)
    except (InputError, KsefRefused):
        return False
    return True


async def _given_back(installation: Installation, onboarding: Onboarding, under_way: UnderWay) -> None:
    """Where it has not ended by that, a person goes on with it."""

    def commit(transaction: Transaction) -> None:
        there = onboardings.load(transaction, installation.environment, onboarding.id, to_change=True)
        if there is not None and there.under_way == under_way:
            rows.save(installation, transaction, act_failed(there, under_way.act, refused=False))

    await installation.database.write(commit)


async def _signed_out(installation: Installation, onboarding: Onboarding) -> None:
    """The login is ended, here and at KSeF. The row stays where it is: the next step that needs KSeF asks to sign."""
    signed_in = await logins.opened(installation, onboarding)

    def commit(transaction: Transaction) -> bool:
        there = rows.to_change(installation, transaction, onboarding.id)
        if there.version != onboarding.version:
            return False  # somebody is back at this very moment
        sealed_secrets.forget(transaction, onboardings.SECRET, onboarding.id)
        record(installation, transaction, there, Event.ONBOARDING_LEFT)
        return True

    if await installation.database.write(commit) and signed_in is not None:
        await sign_out(signed_in)

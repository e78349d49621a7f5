"""An order goes on, or is made, in the session at hand; the onboarding learns of it in the same transaction.

So there is no moment in which a crash, or somebody who confirms at the same time, could lose the one or order another.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection as Transaction

from klucznik.domain.issuance import Issuance
from klucznik.domain.keytype import KeyType
from klucznik.domain.onboarding import Onboarding, OnboardingState, ordered, signed_in
from klucznik.errors import InputError
from klucznik.services.advance import held, load, take_over
from klucznik.services.installation import Installation
from klucznik.services.issue import AlreadyHeld, order_signed_in
from klucznik.services.onboarding import logins, rows
from klucznik.services.onboarding.logins import WithLogin
from klucznik.services.progress import Listener, unheard
from klucznik.services.see_through import wait_for_lease
from klucznik.services.sign_in import SignedIn


async def order(
    installation: Installation,
    onboarding: Onboarding,
    signed_in: SignedIn,
    *,
    key_type: KeyType,
    wait_for_limits: bool,
    replaces: str | None = None,
    listener: Listener = unheard,
) -> Onboarding | AlreadyHeld:
    """Order what is missing and leave it to a worker; arguments as of `domain.onboarding.ordered`.

    Raises:
        InputError: ``onboarding_elsewhere``: somebody has gone elsewhere with it meanwhile; nothing was ordered.
        SubjectBusy: another issuance of the same subject is worked on for two minutes.
    """
    saved: Onboarding | None = None

    def record(transaction: Transaction, issuance: Issuance) -> None:
        nonlocal saved
        there = rows.to_change(installation, transaction, onboarding.id)
        if there.state is OnboardingState.ISSUING:
            saved = there  # somebody else has confirmed at the same moment
            return
        rows.check_state(there, OnboardingState.LIMITS, OnboardingState.REFUSED)
        if there.subject != signed_in.subject:
            raise InputError("onboarding_elsewhere", state=there.state.value)
        after = ordered(there, issuance.id, waits_for_limits=wait_for_limits, replaces=replaces)
        saved = rows.save(installation, transaction, after)

    done = await order_signed_in(
        installation,
        signed_in,
        key_type=key_type,
        wait_for_limits=wait_for_limits,
        recorded=record,
        listener=listener,
    )
    if isinstance(done, AlreadyHeld):
        return done
    return saved or await rows.reloaded(installation, onboarding)


async def taken_up(
    installation: Installation,
    onboarding: Onboarding,
    admitted: SignedIn,
    issuance: Issuance,
    awaited: Callable[[Onboarding], None],
    with_login: WithLogin | None,
) -> Onboarding:
    """What was ordered before goes on with a new login; `awaited` raises where that is not looked for any more."""
    sealed, now = logins.seal(installation, onboarding, admitted), installation.clock.now()
    saved = onboarding

    def record(transaction: Transaction, found: Issuance) -> None:
        nonlocal saved
        there = rows.to_change(installation, transaction, onboarding.id)
        awaited(there)
        logins.begin(transaction, there, sealed, now=now, with_login=with_login)
        going_on = not found.state.ended
        saved = rows.save(installation, transaction, signed_in(there, admitted.subject, going_on=going_on))

    lease = await wait_for_lease(installation, issuance.subject, unheard)
    async with held(installation, lease):
        found = await load(installation, issuance.id)  # under the lease, look again
        if found.state.ended:
            await installation.database.write(lambda transaction: record(transaction, found))
        else:
            await take_over(installation, found, admitted, lease, recorded=record)
    await installation.wake(issuance.id)
    return saved

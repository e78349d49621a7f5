"""What a person says on the way: who signs, by what to connect; and going back to say otherwise."""

from __future__ import annotations

from klucznik.domain.connections import Method
from klucznik.domain.issuance import Issuance
from klucznik.domain.onboarding import (
    Onboarding,
    OnboardingState,
    SignerKind,
    given_up,
    gone_back,
    may_go_back,
    method_chosen,
    signer_chosen,
)
from klucznik.domain.roles import Principal
from klucznik.errors import InputError
from klucznik.services.cancel import cancel
from klucznik.services.installation import Installation
from klucznik.services.onboarding import logins, rights, rows
from klucznik.storage import issuances


async def choose_signer(
    installation: Installation, onboarding_id: str, by: Principal, signer: SignerKind
) -> Onboarding:
    """Say who will sign. Whoever has signed already is signed out.

    Raises:
        as `go_back`.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by)
    if onboarding.state is not OnboardingState.SIGNER:
        onboarding = await _back(installation, onboarding, OnboardingState.SIGNER)
    return await rows.saved(installation, signer_chosen(onboarding, signer))


async def choose_method(installation: Installation, onboarding_id: str, by: Principal, method: Method) -> Onboarding:
    """Say by what to connect. Whoever has signed already stays signed in.

    Raises:
        as `go_back`.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by)
    if onboarding.state is not OnboardingState.METHOD:
        onboarding = await _back(installation, onboarding, OnboardingState.METHOD)
    return await rows.saved(installation, method_chosen(onboarding, method, unsigned=rights.brings_unsigned(by)))


async def go_back(installation: Installation, onboarding_id: str, by: Principal, to: OnboardingState) -> Onboarding:
    """Back to an earlier choice (`domain.onboarding.CHOICES`), or from an order that has spent nothing to the limits.

    Raises:
        InputError: ``onboarding_unknown``; ``onboarding_act_under_way``; ``onboarding_no_way_back``;
            ``issuance_has_spent``: a request was filed, so it is seen through.
        StorageError: ``state_moved_on``: somebody else was faster.
    """
    return await _back(installation, await rows.to_go_on(installation, onboarding_id, by), to)


async def give_up(installation: Installation, onboarding_id: str, by: Principal) -> Onboarding:
    """Leave it for good: nothing more is filed; what was filed is finished and kept. The session ends.

    Raises:
        InputError: ``onboarding_unknown``; ``onboarding_act_under_way``.
    """
    onboarding = await rows.to_go_on(installation, onboarding_id, by)
    if onboarding.state.ended:
        return onboarding
    rows.check_idle(onboarding)
    onboarding = await _called_off(installation, onboarding, only_unspent=False)
    if onboarding.state.ended:
        return onboarding
    if await _running(installation, onboarding) is None:
        await logins.ended(installation, onboarding)
    # What still runs needs the session, and ends it; here it is forgotten with the end.
    return await rows.saved(installation, given_up(onboarding))


async def _back(installation: Installation, onboarding: Onboarding, to: OnboardingState) -> Onboarding:
    rows.check_idle(onboarding)
    if not may_go_back(onboarding, to):
        raise InputError("onboarding_no_way_back", state=onboarding.state.value)
    onboarding = await _called_off(installation, onboarding, only_unspent=True)
    if onboarding.state is to and to is OnboardingState.LIMITS:
        return onboarding
    back = gone_back(onboarding, to)
    if back.subject is None and onboarding.subject is not None:
        await logins.ended(installation, onboarding)
    return await rows.saved(installation, back)


async def _called_off(installation: Installation, onboarding: Onboarding, *, only_unspent: bool) -> Onboarding:
    """Without a running order of its own; one for another company of the subject is not its to call off."""
    running = await _running(installation, onboarding)
    if running is None or running.context != onboarding.context:
        return onboarding
    try:
        await cancel(installation, running.id, only_unspent=only_unspent)
    except InputError as error:
        if error.reason != "issuance_ended":
            raise
    return await rows.reloaded(installation, onboarding)


async def _running(installation: Installation, onboarding: Onboarding) -> Issuance | None:
    issuance_id = onboarding.issuance_id
    if issuance_id is None:
        return None
    issuance = await installation.database.read(lambda transaction: issuances.load(transaction, issuance_id))
    return None if issuance is None or issuance.state.ended else issuance

"""The yes: the pair is ordered in the session at hand and left to a worker. Saying it twice orders once."""

from __future__ import annotations

from klucznik.domain.connections import Method, takes_over
from klucznik.domain.keytype import KeyType
from klucznik.domain.onboarding import Onboarding, OnboardingState
from klucznik.domain.roles import Action, Principal
from klucznik.errors import StorageError
from klucznik.services.connect import connect_with_vault
from klucznik.services.control import BySignIn
from klucznik.services.installation import Installation
from klucznik.services.issue import held_pair
from klucznik.services.onboarding import logins, rights, rows
from klucznik.services.onboarding.looking import look_anew
from klucznik.services.onboarding.taking_up import order
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import SignedIn, sign_out
from klucznik.storage import connections

_ALREADY = (OnboardingState.ISSUING, OnboardingState.DONE)


async def confirm(
    installation: Installation,
    onboarding_id: str,
    by: Principal,
    *,
    key_type: KeyType = KeyType.EC,
    listener: Listener = unheard,
) -> Onboarding:
    """Order what is missing of the pair. KSeF is asked for both limits once more first.

    Returns:
        ISSUING: it is on order. DONE: the pair was here already, and nothing was spent. REFUSED: the limits leave no
        room, and nothing was ordered. Where it had been confirmed before, the onboarding as it is.

    Raises:
        InputError: ``onboarding_unknown``, ``onboarding_elsewhere``; ``control_not_proved``: the pair
            is here, but the company is connected by others, and who signed has no say in that.
        SignatureNeeded: ``onboarding_login_over``: the onboarding is back at the signature.
        KsefRefused, KsefUnavailable, SubjectBusy: nothing was ordered; it may be said again.
    """
    return await _confirmed(installation, onboarding_id, by, key_type, listener, wait_for_limits=False)


async def wait_for_limits(
    installation: Installation,
    onboarding_id: str,
    by: Principal,
    *,
    key_type: KeyType = KeyType.EC,
    listener: Listener = unheard,
) -> Onboarding:
    """After a refusal, order all the same: the order waits for up to 60 days until the limits leave room.

    Arguments, results and errors are those of `confirm`; where the limits leave room by now, it goes on at once.
    """
    return await _confirmed(installation, onboarding_id, by, key_type, listener, wait_for_limits=True)


async def _confirmed(
    installation: Installation,
    onboarding_id: str,
    by: Principal,
    key_type: KeyType,
    listener: Listener,
    *,
    wait_for_limits: bool,
) -> Onboarding:
    onboarding = await rows.to_go_on(installation, onboarding_id, by, Action.ISSUE)
    if onboarding.state in _ALREADY:
        return onboarding
    rows.check_state(onboarding, OnboardingState.LIMITS, OnboardingState.REFUSED)
    try:
        async with logins.session_of(installation, onboarding) as signed_in:
            found = await look_anew(installation, onboarding, signed_in)
            onboarding = found.onboarding
            if onboarding.state is OnboardingState.REFUSED and not wait_for_limits:
                return onboarding
            if onboarding.state not in (OnboardingState.LIMITS, OnboardingState.REFUSED):
                return onboarding  # somebody else was faster
            if found.missing:
                done = await order(
                    installation,
                    onboarding,
                    signed_in,
                    key_type=key_type,
                    wait_for_limits=wait_for_limits,
                    listener=listener,
                )
                if isinstance(done, Onboarding):
                    return done
            return await _with_what_is_here(installation, onboarding, by, signed_in, listener)
    except StorageError as error:
        there = await rows.reloaded(installation, onboarding)
        if error.reason == "state_moved_on" and there.state in _ALREADY:
            return there
        raise


async def _with_what_is_here(
    installation: Installation, onboarding: Onboarding, by: Principal, signed_in: SignedIn, listener: Listener
) -> Onboarding:
    """Connect with the pair of who has signed, which is here already: only theirs, for it was they who signed."""
    context, subject = onboarding.context, signed_in.subject
    now = await rows.reloaded(installation, onboarding)
    if now.state in _ALREADY:
        return now  # somebody else has confirmed at the same moment
    held = await held_pair(installation, subject)
    there = await installation.database.read(
        lambda transaction: connections.of_context(transaction, installation.environment, context)
    )
    if not takes_over(there, subject):
        await rights.demand(installation, by, onboarding, signed_in)
    await connect_with_vault(
        installation,
        context,
        BySignIn(signed_in),
        serial_number=held[0].serial_number,  # the Authentication one: it comes first
        name=now.name,
        listener=listener,
    )
    done = await rows.done(installation, onboarding, Method.CERTIFICATES)
    await sign_out(signed_in)
    return done

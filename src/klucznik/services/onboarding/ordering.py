"""The yes: the pair is ordered in the session at hand and left to a worker. Saying it twice orders once."""

from __future__ import annotations

from klucznik.domain.certificates import CertificateType
from klucznik.domain.connections import Method, as_it_stands, takes_over
from klucznik.domain.keytype import KeyType
from klucznik.domain.onboarding import Onboarding, OnboardingState
from klucznik.domain.roles import Action, Principal
from klucznik.services.connect import connect_with_vault
from klucznik.services.control import BySignIn
from klucznik.services.installation import Installation
from klucznik.services.issue import AlreadyHeld, held_pair
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
        InputError: ``onboarding_unknown``, ``onboarding_elsewhere``; ``control_not_proved``: the
            company is connected by others, and who signed has no say in that; nothing was ordered.
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
    async with logins.session_of(installation, onboarding) as signed_in:
        found = await look_anew(installation, onboarding, signed_in)
        onboarding = found.onboarding
        refused = onboarding.state is OnboardingState.REFUSED and not wait_for_limits
        if refused or onboarding.state not in (OnboardingState.LIMITS, OnboardingState.REFUSED):
            return onboarding  # or somebody else was faster
        replaces = await _replaced(installation, onboarding, by, signed_in)
        await _connect_with_what_is_here(installation, onboarding, signed_in, listener)
        done: Onboarding | AlreadyHeld | None = None
        if found.missing:
            done = await order(
                installation,
                onboarding,
                signed_in,
                key_type=key_type,
                wait_for_limits=wait_for_limits,
                replaces=replaces,
                listener=listener,
            )
        if isinstance(done, Onboarding):
            return done
        if done is not None:  # somebody else's order was carried out at this very moment
            await _connect_with_what_is_here(installation, onboarding, signed_in, listener)
        connected = await rows.done(installation, onboarding, Method.CERTIFICATES)
        await sign_out(signed_in)
        return connected


async def _replaced(
    installation: Installation, onboarding: Onboarding, by: Principal, signed_in: SignedIn
) -> str | None:
    """The connection of others that this takes the place of: only by a say in the company, shown before the order."""
    there = await installation.database.read(
        lambda transaction: connections.of_context(transaction, installation.environment, onboarding.context)
    )
    if there is None or takes_over(there, signed_in.subject):
        return None
    await rights.demand(installation, by, onboarding, signed_in)
    return as_it_stands(there)


async def _connect_with_what_is_here(
    installation: Installation, onboarding: Onboarding, signed_in: SignedIn, listener: Listener
) -> None:
    """Where the Authentication certificate of who has signed is here: only theirs, for it was they who signed."""
    held = await held_pair(installation, signed_in.subject)
    own = next((one for one in held if one.type is CertificateType.AUTHENTICATION), None)
    if own is not None:
        await connect_with_vault(
            installation,
            onboarding.context,
            BySignIn(signed_in),
            serial_number=own.serial_number,
            name=onboarding.name,
            listener=listener,
        )

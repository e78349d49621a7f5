"""Take an interrupted or waiting issuance on again, now, with a login at hand or with what the vault holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klucznik.domain.issuance import Issuance
from klucznik.errors import InputError
from klucznik.services.advance import load, take_over
from klucznik.services.installation import Installation
from klucznik.services.outcomes import Outcome
from klucznik.services.progress import Listener, unheard
from klucznik.services.see_through import Errand, TakeUp
from klucznik.services.sign_in import SignedIn, Signer
from klucznik.services.ways import signer_for
from klucznik.storage import leases

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential


async def resume(
    installation: Installation,
    issuance_id: str,
    credential: Credential | Signer | None,
    *,
    listener: Listener = unheard,
) -> Outcome:
    """See a running issuance through.

    Args:
        credential: of the issuance's subject; None: the login that rests in the vault, or its certificates.

    Raises:
        InputError: ``issuance_unknown``, ``issuance_ended``, ``credential_of_other_subject``.
        and what `services.issue.issue` raises.
    """
    issuance = await running(installation, issuance_id)
    signer: Signer | None = None
    if credential is not None:
        signer = await signer_for(installation, issuance.context, credential)
        if signer.subject != issuance.subject:
            raise InputError("credential_of_other_subject", given=str(signer.subject), wanted=str(issuance.subject))

    async def take_up(_: leases.Lease) -> Issuance:
        return await load(installation, issuance_id)

    errand = Errand(installation, issuance.subject, issuance.context, None, signer, listener)
    return await _seen_through(errand, take_up, issuance_id)


async def resume_signed_in(
    installation: Installation, issuance_id: str, signed_in: SignedIn, *, listener: Listener = unheard
) -> Outcome:
    """As `resume`, for the issuance's subject, who is signed in already."""
    issuance = await running(installation, issuance_id)
    if signed_in.subject != issuance.subject:
        raise InputError("credential_of_other_subject", given=str(signed_in.subject), wanted=str(issuance.subject))
    kept = False

    async def take_up(lease: leases.Lease) -> Issuance:
        nonlocal kept
        found = await load(installation, issuance_id)
        if kept or found.state.ended:
            return found
        kept = True
        return await take_over(installation, found, signed_in, lease)

    errand = Errand(installation, issuance.subject, issuance.context, signed_in, None, listener)
    return await _seen_through(errand, take_up, issuance_id)


async def running(installation: Installation, issuance_id: str) -> Issuance:
    """The issuance, which must not have ended; raises InputError ``issuance_unknown``, ``issuance_ended``."""
    issuance = await load(installation, issuance_id)
    if issuance.state.ended:
        raise InputError("issuance_ended", issuance=issuance_id, state=issuance.state.value)
    return issuance


async def _seen_through(errand: Errand, take_up: TakeUp, issuance_id: str) -> Outcome:
    outcome = await errand.see_through(take_up)
    if outcome is None:
        raise InputError("issuance_unknown", issuance=issuance_id)
    return outcome

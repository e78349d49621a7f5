"""What an issuance would meet now: both limits, and where they leave no room, why and which ways out there are.

Signs in and reads; nothing is filed. The decision itself is `domain.preflight`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from klucznik.domain.certificates import PAIR
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Refusal, preflight
from klucznik.domain.waits import WaitKind
from klucznik.errors import InputError
from klucznik.services import refusals
from klucznik.services.installation import Installation
from klucznik.services.issue import held_pair
from klucznik.services.progress import Listener, unheard
from klucznik.services.reserve import kept_back
from klucznik.services.sign_in import SignedIn, sign_in, sign_out
from klucznik.services.ways import signer_for


@dataclass(frozen=True)
class Lookout:
    """What an issuance would meet.

    Attributes:
        needed: how many certificates are missing; 0: a valid pair is held.
        refusal: None: the limits leave room.
    """

    subject: Subject
    context: Context
    limits: Limits
    needed: int
    refusal: Refusal | None


async def look_ahead(
    installation: Installation, context: Context, *, another_pair: bool = False, listener: Listener = unheard
) -> Lookout:
    """What `services.issue.issue` would meet for a company, with what signs in for it here.

    Raises:
        InputError: as `ways.signer_for`.
    """
    signer = await signer_for(installation, context, None)
    held = set() if another_pair else {one.type for one in await held_pair(installation, signer.subject)}
    thought_of = Issuance(
        id=secrets.token_hex(16),
        environment=installation.environment,
        context=context,
        subject=signer.subject,
        key_type=KeyType.EC,
        state=IssuanceState.PLANNED,
        missing=tuple(kind for kind in PAIR if kind not in held),
        created_at=installation.clock.now(),
    )
    return await _look(installation, thought_of, await sign_in(installation, context, signer, listener=listener))


async def look_again(installation: Installation, issuance: Issuance, *, listener: Listener = unheard) -> Lookout:
    """What an issuance that the limits have refused, or that waits for them, would meet now.

    Raises:
        InputError: ``issuance_not_refused``; ``credential_of_other_subject``: somebody else signs in for the company by
            now; as `ways.signer_for`.
    """
    waits = issuance.wait is not None and issuance.wait.kind is WaitKind.LIMITS and not issuance.state.ended
    if issuance.state is not IssuanceState.REFUSED and not waits:
        raise InputError("issuance_not_refused", issuance=issuance.id, state=issuance.state.value)
    signer = await signer_for(installation, issuance.context, None)
    if signer.subject != issuance.subject:
        raise InputError("credential_of_other_subject", given=str(signer.subject), wanted=str(issuance.subject))
    signed_in = await sign_in(installation, issuance.context, signer, listener=listener)
    return await _look(installation, issuance, signed_in)


async def _look(installation: Installation, issuance: Issuance, signed_in: SignedIn) -> Lookout:
    try:
        limits, needed = await signed_in.session.limits(), len(issuance.missing)
        findings = preflight(limits, needed, reserved=await kept_back(installation, issuance)) if needed else ()
        refusal = None
        if findings:
            refusal = await refusals.explain(installation, signed_in, issuance, limits, findings, issuance.missing)
    finally:
        await sign_out(signed_in)
    return Lookout(issuance.subject, issuance.context, limits, needed, refusal)

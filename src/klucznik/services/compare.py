"""Signs in and compares what is here with what KSeF lists; after a restore, or whenever somebody wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klucznik.domain.identifiers import Context
from klucznik.services.advance import held
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.restored import Compared, compare
from klucznik.services.road import LEASE_LASTS
from klucznik.services.see_through import wait_for_lease
from klucznik.services.sign_in import sign_in, sign_out
from klucznik.services.ways import signer_for

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential


async def compare_with_ksef(
    installation: Installation, context: Context, credential: Credential | None, *, listener: Listener = unheard
) -> Compared:
    """Compare for the subject that signs in.

    Raises:
        SignInRefused, KsefUnavailable: as everywhere.
        SubjectBusy: somebody is at this subject and not done within two minutes.
    """
    signer = await signer_for(installation, context, credential)
    signed_in = await sign_in(installation, context, signer, listener=listener)
    try:
        lease = await wait_for_lease(installation, signer.subject, listener)
        async with held(installation, lease):
            return await compare(installation, signed_in, lease, lasts=LEASE_LASTS)
    finally:
        await sign_out(signed_in)

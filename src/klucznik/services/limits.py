"""What KSeF still allows a subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.limits import Limits
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import sign_in, sign_out
from klucznik.services.ways import way_for

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential


@dataclass(frozen=True)
class SubjectLimits:
    """Limits, and whose they are: the subject's in all its companies, not the context's."""

    subject: Subject
    context: Context
    limits: Limits


async def read_limits(
    installation: Installation, context: Context, credential: Credential | None, *, listener: Listener = unheard
) -> SubjectLimits:
    """Sign in and ask for the two limits. Files nothing, spends nothing."""
    signer = await way_for(installation, context, credential)
    signed_in = await sign_in(installation, context, signer, listener=listener)
    try:
        return SubjectLimits(signed_in.subject, context, await signed_in.session.limits())
    finally:
        await sign_out(signed_in)

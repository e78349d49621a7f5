"""What goes on once a person has signed elsewhere: the very thing that the document was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from klucznik.domain.keytype import KeyType
from klucznik.domain.signature_requests import Purpose
from klucznik.errors import StorageError
from klucznik.services.grant import Grant, Granted, grant
from klucznik.services.installation import Installation
from klucznik.services.issue import issue_signed_in
from klucznik.services.outcomes import Outcome
from klucznik.services.progress import Listener, unheard
from klucznik.services.resume import resume_signed_in
from klucznik.services.sign_in import sign_out
from klucznik.services.signing import HandedIn
from klucznik.services.ways_out import OnRefusal

Done: TypeAlias = Outcome | Granted


async def carry_on(
    installation: Installation,
    handed_in: HandedIn,
    *,
    confirm: Callable[[Grant], bool],
    on_refusal: OnRefusal | None = None,
    listener: Listener = unheard,
) -> Done:
    """Do what the document was signed for.

    Args:
        confirm: is shown what would be granted and must agree; asked only where a grant is the purpose.
        on_refusal: see `issue.issue`.

    Raises:
        what `issue.issue`, `resume.resume` and `grant.grant` raise.
    """
    request, signed_in = handed_in.request, handed_in.signed_in
    if request.purpose is Purpose.GRANT:
        try:
            delegable = request.options.get("delegable") is True
            return await grant(installation, signed_in, delegable=delegable, confirm=confirm, listener=listener)
        finally:
            await sign_out(signed_in)
    if request.purpose is Purpose.ISSUE:
        return await issue_signed_in(
            installation,
            signed_in,
            key_type=KeyType(str(request.options.get("key_type", KeyType.EC.value))),
            another_pair=request.options.get("another_pair") is True,
            wait_for_limits=request.options.get("wait_for_limits") is True,
            keys_on_token=request.options.get("keys_on_token") is True,
            ignores_reserve=request.options.get("ignores_reserve") is True,
            on_refusal=on_refusal,
            listener=listener,
        )
    if request.issuance_id is None:
        raise StorageError("state_moved_on", request=request.id)
    return await resume_signed_in(installation, request.issuance_id, signed_in, listener=listener)

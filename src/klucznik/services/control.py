"""Who may connect a company. That the company has granted something to the operator proves nothing of who asks.

Without this rule anybody could name the NIP of a client of the operator's and act for it through the operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from klucznik.domain.audit import Fact
from klucznik.domain.connections import Operator
from klucznik.domain.identifiers import Context
from klucznik.domain.permissions import shows_control
from klucznik.errors import InputError, KsefRefused
from klucznik.services.sign_in import SignedIn


@dataclass(frozen=True)
class ByAdministrator:
    """Whoever asks runs this installation: reads its database, holds its master key. The command line does."""


@dataclass(frozen=True)
class BySignIn:
    """Whoever asks has signed KSeF's challenge in the context of the company, and has a say there."""

    signed_in: SignedIn


Control: TypeAlias = ByAdministrator | BySignIn


async def demand(control: Control, context: Context, operator: Operator | None) -> dict[str, Fact]:
    """The evidence for the audit log.

    Args:
        operator: who runs the installation; None: nobody has said.

    Raises:
        InputError: ``control_of_other_context``, ``control_by_operator`` (that sign-in proves the operator, not who
            asks), ``control_not_proved`` (the signer may not manage the company's permissions).
    """
    if isinstance(control, ByAdministrator):
        return {"control": "administrator"}
    signed_in = control.signed_in
    if signed_in.context != context:
        raise InputError("control_of_other_context", nip=context.value, other=signed_in.context.value)
    if operator is not None and signed_in.subject == operator.subject and operator.nip != context.value:
        raise InputError("control_by_operator", nip=context.value)
    try:
        # Whoever may only handle invoices is not let see this list.
        looked_for = signed_in.subject if operator is None else operator.subject
        _ = [one async for one in signed_in.session.permissions.in_context(looked_for)]
    except KsefRefused as error:
        if error.status != 403:
            raise
        raise InputError("control_not_proved", nip=context.value, subject=str(signed_in.subject)) from None
    own = [one async for one in signed_in.session.permissions.own()]
    if not shows_control(own):
        raise InputError("control_not_proved", nip=context.value, subject=str(signed_in.subject))
    return {"control": "sign_in", "subject": str(signed_in.subject)}

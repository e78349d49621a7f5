"""Who may see an onboarding, who may go on with it, and what shows that they have a say in the company.

The session of whoever signed rests with an onboarding, so it is only for those who began it, and for those who run the
installation. What is nobody's business is unknown to them: nothing tells that it is there.
"""

from __future__ import annotations

from klucznik.domain.audit import Fact
from klucznik.domain.onboarding import Onboarding
from klucznik.domain.roles import Action, Principal, Role
from klucznik.errors import AccessDenied, InputError
from klucznik.services import control
from klucznik.services.control import ByAdministrator, BySignIn, Control
from klucznik.services.installation import Installation
from klucznik.services.sign_in import SignedIn
from klucznik.storage import operators


def sees_all(by: Principal) -> bool:
    """Whether they see what others have begun: whoever runs the installation, and its auditors."""
    return by.runs_the_installation or by.role is Role.AUDITOR


def may_see(by: Principal, onboarding: Onboarding) -> bool:
    return by.reaches(onboarding.context.value) and (sees_all(by) or onboarding.begun_by == by.id)


def check_may_go_on(by: Principal, onboarding: Onboarding, action: Action = Action.CONNECT) -> None:
    """Raise ``onboarding_unknown`` where it is none of theirs, ``not_allowed`` where they may not do that."""
    if not may_see(by, onboarding):
        raise unknown(onboarding.id)
    if not by.may(action):
        raise AccessDenied("not_allowed", action=action.value)


def unknown(onboarding_id: str) -> InputError:
    return InputError("onboarding_unknown", onboarding=onboarding_id[:40])


def brings_unsigned(by: Principal) -> bool:
    """Whether they may connect a company with what they bring, without a signature of whoever has a say in it."""
    return by.runs_the_installation


def shown_by(by: Principal, onboarding: Onboarding, signed_in: SignedIn | None) -> Control:
    """What they have to show for their say in the company.

    Raises:
        InputError: ``control_needs_signature``: nobody has signed in that company's context.
    """
    if by.runs_the_installation:
        return ByAdministrator()
    if signed_in is None:
        raise InputError("control_needs_signature", nip=onboarding.context.value)
    return BySignIn(signed_in)


async def demand(
    installation: Installation, by: Principal, onboarding: Onboarding, signed_in: SignedIn | None
) -> dict[str, Fact]:
    """Evidence of that say for the audit log; raises as `shown_by` and `control.demand`."""
    shown = shown_by(by, onboarding, signed_in)
    operator = await installation.database.read(
        lambda transaction: operators.load(transaction, installation.environment)
    )
    return await control.demand(shown, onboarding.context, operator)

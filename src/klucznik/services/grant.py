"""The signed-in owner of a company lets the operator in: one confirmed action, then proved by the operator's sign-in.

Nothing is granted that is there already, and nothing twice after a lost answer: the list is looked at first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.connections import Connection, Operator
from klucznik.domain.identifiers import Context
from klucznik.domain.permissions import GrantedPermission, Permission, lacking
from klucznik.errors import AnswerLost, InputError, KsefRefused
from klucznik.services import audit, control
from klucznik.services.connection_check import Verified
from klucznik.services.control import BySignIn
from klucznik.services.installation import Installation
from klucznik.services.operator import check_can_sign_in, load_operator
from klucznik.services.patience import MOST_LOOKS, comes_true, completed, in_turn
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.sign_in import SignedIn
from klucznik.services.verify import connect_by_permission, prove_grant

_ATTEMPTS = 2


@dataclass(frozen=True)
class Grant:
    """What is to be granted, shown to the owner before anything is sent.

    Attributes:
        permissions: those that the operator lacks.
        delegable: whether the operator may pass them on to its own people.
    """

    context: Context
    operator: Operator
    permissions: tuple[Permission, ...]
    delegable: bool


@dataclass(frozen=True)
class Granted:
    """The operator has been let in.

    Attributes:
        permissions: granted now; none: all were there before.
        delegable: whether the operator may pass them on.
        delegation_refused: that was asked for, and KSeF has kept an older grant as it was.
        verified: the operator's sign-in; its connection awaits the grant where KSeF does not let it in yet.
    """

    context: Context
    operator: Operator
    permissions: tuple[Permission, ...]
    delegable: bool
    delegation_refused: bool
    verified: Verified

    @property
    def connection(self) -> Connection:
        return self.verified.connection


async def grant(
    installation: Installation,
    signed_in: SignedIn,
    *,
    delegable: bool = False,
    confirm: Callable[[Grant], bool],
    listener: Listener = unheard,
) -> Granted:
    """Grant the operator what it needs to handle the company's invoices, and prove it.

    Args:
        signed_in: whoever may manage the permissions of the company; stays signed in.
        delegable: so that the operator's own people may use it too (for offices).
        confirm: is shown what will be granted and must agree; not asked where there is nothing to grant.

    Raises:
        InputError: ``operator_not_set``, ``operator_without_credential``, ``operator_is_the_company``,
            ``not_confirmed``, and as `control.demand`.
        KsefRefused: ``may_not_grant`` (403), ``permission_refused``.
        KsefUnavailable: run it again; what was granted is found.
    """
    context = signed_in.context
    what = await proposed(installation, signed_in, delegable=delegable, listener=listener)
    operator, missing = what.operator, what.permissions
    if missing:
        if not confirm(what):
            raise InputError("not_confirmed")
        await _granted(installation, signed_in, operator, missing, delegable, listener)
        evidence: dict[str, Fact] = {"control": "grant", "subject": str(signed_in.subject)}
        refused = delegable and not await _shows(installation, signed_in, operator, delegable, listener)
    else:
        refused = False
        evidence = await control.demand(BySignIn(signed_in), context, operator)
    connection = await connect_by_permission(installation, context, operator, evidence)
    verified = await prove_grant(installation, connection, operator, just_granted=bool(missing), listener=listener)
    return Granted(context, operator, missing, delegable and not refused, refused, verified)


async def proposed(
    installation: Installation, signed_in: SignedIn, *, delegable: bool = False, listener: Listener = unheard
) -> Grant:
    """What `grant` would grant, with no permissions where all are there already. Sends nothing.

    Raises:
        InputError: as `ready_operator`.
        KsefRefused: ``may_not_grant`` (403).
    """
    operator = await ready_operator(installation, signed_in.context)
    missing = await _lacking(installation, signed_in, operator, delegable, listener)
    return Grant(signed_in.context, operator, missing, delegable)


async def ready_operator(installation: Installation, context: Context) -> Operator:
    """The operator, able to sign in to another company.

    Raises:
        InputError: ``operator_not_set``, ``operator_without_credential``, ``operator_is_the_company``: nobody grants
            anything to himself, a company is its own owner.
    """
    operator = await load_operator(installation)
    if operator.nip == context.value:
        raise InputError("operator_is_the_company", nip=context.value)
    await check_can_sign_in(installation, operator)
    return operator


async def listed(
    installation: Installation, signed_in: SignedIn, operator: Operator, listener: Listener
) -> list[GrantedPermission]:
    """What KSeF lists for the operator in the company of the session.

    Raises:
        KsefRefused: ``may_not_grant``: the signer may not manage the company's permissions.
    """

    async def ask() -> list[GrantedPermission]:
        found = signed_in.session.permissions.in_context(operator.subject)
        # KSeF was asked for the operator's alone; what is listed here may be taken back, so that is not left to it.
        return [one async for one in found if one.subject == operator.subject]

    try:
        return await in_turn(installation, ask, listener)
    except KsefRefused as error:
        raise may_not_grant(error, signed_in) from None


def may_not_grant(error: KsefRefused, signed_in: SignedIn) -> KsefRefused:
    """A bare 403 in the words of what was tried; any other refusal as it is."""
    if error.status != 403 or error.data.get("reason_code") not in ("missing-permissions", None):
        return error
    return KsefRefused(
        "may_not_grant",
        status=403,
        trace_id=error.trace_id,
        subject=str(signed_in.subject),
        nip=signed_in.context.value,
        present_permissions=error.data.get("present_permissions"),
    )


async def _lacking(
    installation: Installation, signed_in: SignedIn, operator: Operator, delegable: bool, listener: Listener
) -> tuple[Permission, ...]:
    found = await listed(installation, signed_in, operator, listener)
    return lacking(found, operator.subject, delegable=delegable)


async def _granted(
    installation: Installation,
    signed_in: SignedIn,
    operator: Operator,
    permissions: tuple[Permission, ...],
    delegable: bool,
    listener: Listener,
) -> None:
    """Send the grant and see it through. After a lost answer it is sent again only if the list never shows it."""
    facts: dict[str, Fact] = {
        "context": signed_in.context.value,
        "operator": operator.nip,
        "permissions": [one.value for one in permissions],
        "delegable": delegable,
    }
    await record(installation, signed_in, Event.PERMISSION_GRANT_INTENDED, facts)
    permitted = signed_in.session.permissions
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            reference = await in_turn(
                installation,
                lambda: permitted.grant_to_entity(operator.nip, operator.name, permissions, can_delegate=delegable),
                listener,
            )
            listener(Progress(Stage.GRANTING))
            await completed(installation, signed_in.session, reference, listener)
        except AnswerLost:
            listener(Progress(Stage.GRANT_ANSWER_LOST))
            if await _shows(installation, signed_in, operator, delegable, listener):
                await record(installation, signed_in, Event.PERMISSION_GRANTED, {**facts, "found": True})
                break
            if attempt == _ATTEMPTS:
                raise
        except KsefRefused as error:
            # Somebody may have granted it meanwhile, which KSeF may call an error (§5.4); or only the status is gone.
            if error.status != 403 and await _shows(installation, signed_in, operator, delegable, listener, looks=1):
                await record(installation, signed_in, Event.PERMISSION_GRANTED, {**facts, "found": True})
                break
            said: dict[str, Fact] = {"code": error.code, "status": error.status, "trace": error.trace_id}
            await record(installation, signed_in, Event.PERMISSION_GRANT_REFUSED, {**facts, **said})
            raise may_not_grant(error, signed_in) from None
        else:
            await record(installation, signed_in, Event.PERMISSION_GRANTED, {**facts, "operation": reference})
            break
    listener(Progress(Stage.GRANTED))


async def _shows(
    installation: Installation,
    signed_in: SignedIn,
    operator: Operator,
    delegable: bool,
    listener: Listener,
    *,
    looks: int = MOST_LOOKS,
) -> bool:
    """Whether the list comes to show the grant."""

    async def look() -> bool:
        return not await _lacking(installation, signed_in, operator, delegable, listener)

    return await comes_true(installation, look, looks=looks)


async def record(installation: Installation, signed_in: SignedIn, event: Event, facts: dict[str, Fact]) -> None:
    """Tell it in the chain of the signer, who has done it."""
    await installation.database.write(
        lambda transaction: audit.record(installation, transaction, signed_in.subject, Entry(event, facts))
    )

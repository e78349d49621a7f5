"""The owner of a company takes back what the operator was granted, all of it, after a look at the list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from klucznik.domain.audit import Event, Fact
from klucznik.domain.connections import Connection, Health, Method, Operator
from klucznik.domain.identifiers import Context
from klucznik.domain.permissions import GrantedPermission
from klucznik.errors import AnswerLost, InputError, KsefRefused
from klucznik.services.connection_check import remember
from klucznik.services.grant import listed, may_not_grant, record
from klucznik.services.installation import Installation
from klucznik.services.operator import load_operator
from klucznik.services.patience import comes_true, completed, in_turn
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.sign_in import SignedIn
from klucznik.storage import connections

_ATTEMPTS = 2  # whoever grants anew all the while is not waited for
_ALREADY_GONE = 410


@dataclass(frozen=True)
class Withdrawal:
    """What is to be taken back, shown before anything is sent."""

    context: Context
    operator: Operator
    permissions: tuple[GrantedPermission, ...]


@dataclass(frozen=True)
class Withdrawn:
    """What was taken back; none: there was nothing.

    Attributes:
        connection: as it is now; None: the company was not connected by a permission.
    """

    context: Context
    operator: Operator
    permissions: tuple[GrantedPermission, ...]
    connection: Connection | None


async def withdraw(
    installation: Installation,
    signed_in: SignedIn,
    *,
    confirm: Callable[[Withdrawal], bool],
    listener: Listener = unheard,
) -> Withdrawn:
    """Take back every permission of the operator in the company of the session.

    Raises:
        InputError: ``operator_not_set``, ``not_confirmed``.
        KsefRefused: ``may_not_grant`` (403), ``permission_refused``.
        AnswerLost, KsefUnavailable: run it again; what is still there is found.
    """
    context, operator = signed_in.context, await load_operator(installation)
    found = await listed(installation, signed_in, operator, listener)
    if found:
        if not confirm(Withdrawal(context, operator, tuple(found))):
            raise InputError("not_confirmed")
        await _take_back(installation, signed_in, operator, found, listener)
    return Withdrawn(context, operator, tuple(found), await _connection(installation, context, operator))


async def _take_back(
    installation: Installation,
    signed_in: SignedIn,
    operator: Operator,
    found: list[GrantedPermission],
    listener: Listener,
) -> None:
    """End each, and see all of them gone from the list. Only what the list goes on to show is ended once more."""
    left, unconfirmed = found, {one.id: one for one in found}

    async def gone() -> bool:
        nonlocal left
        left = await listed(installation, signed_in, operator, listener)
        return not left

    for attempt in range(1, _ATTEMPTS + 1):
        lost: AnswerLost | None = None
        for one in left:
            try:
                operation = await _end(installation, signed_in, one, listener)
            except AnswerLost as error:
                lost = error
                continue
            if operation is not None:
                await _record(installation, signed_in, operator, one, {"operation": operation})
                unconfirmed.pop(one.id, None)
        if await comes_true(installation, gone):
            break
        if attempt == _ATTEMPTS:
            raise lost or KsefRefused("permission_still_listed", nip=signed_in.context.value)
    for one in unconfirmed.values():
        await _record(installation, signed_in, operator, one, {"listed": False})
    listener(Progress(Stage.WITHDRAWN))


async def _end(
    installation: Installation, signed_in: SignedIn, one: GrantedPermission, listener: Listener
) -> str | None:
    """The reference number of the operation that has ended it; None: KSeF says that there is nothing to end."""
    listener(Progress(Stage.WITHDRAWING))
    try:
        reference = await in_turn(installation, lambda: signed_in.session.permissions.withdraw(one.id), listener)
        await completed(installation, signed_in.session, reference, listener)
    except KsefRefused as error:
        if error.status is None and error.code == _ALREADY_GONE:
            return None  # after a lost answer, or by somebody else; the list has the last word
        raise may_not_grant(error, signed_in) from None
    return reference


async def _record(
    installation: Installation,
    signed_in: SignedIn,
    operator: Operator,
    one: GrantedPermission,
    evidence: dict[str, Fact],
) -> None:
    facts: dict[str, Fact] = {
        "context": signed_in.context.value,
        "operator": operator.nip,
        "permission": one.permission,
        "id": one.id,
    }
    await record(installation, signed_in, Event.PERMISSION_WITHDRAWN, {**facts, **evidence})


async def _connection(installation: Installation, context: Context, operator: Operator) -> Connection | None:
    """The company's connection, which has lost what it stood on. KSeF need not be asked whether that is so."""
    there = await installation.database.read(
        lambda transaction: connections.of_context(transaction, installation.environment, context)
    )
    if there is None or there.method is not Method.PERMISSION:
        return None
    return await remember(installation, there, operator.subject, Health.PERMISSION_LOST, None, {"withdrawn": True})

"""A company is asked to grant the permission by hand, in the Ministry's application. Here it is only waited for."""

from __future__ import annotations

from dataclasses import dataclass

from klucznik.domain.connections import Connection, Method, Operator
from klucznik.domain.identifiers import Context
from klucznik.errors import KsefUnavailable, SignInRefused
from klucznik.services import control
from klucznik.services.connection_check import Verified
from klucznik.services.control import Control
from klucznik.services.grant import ready_operator
from klucznik.services.installation import Installation
from klucznik.services.operator import sign_in_as_operator
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import sign_out
from klucznik.services.verify import connect_by_permission, prove_grant
from klucznik.storage import connections


@dataclass(frozen=True)
class Expected:
    """A company that is to let the operator in, or has done so already.

    Attributes:
        connection: as it is now. One by another method stays until the operator is let in: it works meanwhile, and a
            KSeF token that is given up cannot be had again.
        verified: the operator's first attempt to sign in; None: KSeF gave no usable answer to it, or did not let it in
            and another method stays.
    """

    operator: Operator
    connection: Connection
    verified: Verified | None


async def expect_grant(
    installation: Installation, context: Context, proof_of_control: Control, *, listener: Listener = unheard
) -> Expected:
    """Connect a company that grants by hand: from now on each check tries whether the operator is let in.

    A company that is connected by another method is tried now, and connected by permission only where it lets the
    operator in already.

    Args:
        proof_of_control: who asks. That the company has granted something already proves nothing of that.

    Raises:
        InputError: as `ready_operator` and `control.demand`; nothing is kept.
    """
    operator = await ready_operator(installation, context)
    evidence = await control.demand(proof_of_control, context, operator)
    there = await installation.database.read(
        lambda transaction: connections.of_context(transaction, installation.environment, context)
    )
    stays = there is not None and there.method is not Method.PERMISSION
    if there is not None and stays and not await _is_let_in(installation, context, operator, listener):
        return Expected(operator, there, None)
    connection = await connect_by_permission(installation, context, operator, evidence)
    try:
        verified = await prove_grant(installation, connection, operator, listener=listener)
    except KsefUnavailable:
        return Expected(operator, connection, None)
    return Expected(operator, verified.connection, verified)


async def _is_let_in(installation: Installation, context: Context, operator: Operator, listener: Listener) -> bool:
    try:
        signed_in = await sign_in_as_operator(installation, operator, context, listener=listener)
    except (SignInRefused, KsefUnavailable):
        return False
    await sign_out(signed_in)
    return True

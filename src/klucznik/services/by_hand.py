"""A company is asked to grant the permission by hand, in the Ministry's application. Here it is only waited for."""

from __future__ import annotations

from dataclasses import dataclass

from klucznik.domain.connections import Connection, Operator
from klucznik.domain.identifiers import Context
from klucznik.errors import KsefUnavailable
from klucznik.services import control
from klucznik.services.connection_check import Verified
from klucznik.services.control import Control
from klucznik.services.grant import ready_operator
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.verify import connect_by_permission, prove_grant


@dataclass(frozen=True)
class Expected:
    """A company that is to let the operator in, or has done so already.

    Attributes:
        verified: the operator's first attempt to sign in; None: KSeF gave no usable answer to it.
    """

    operator: Operator
    connection: Connection
    verified: Verified | None


async def expect_grant(
    installation: Installation, context: Context, proof_of_control: Control, *, listener: Listener = unheard
) -> Expected:
    """Connect a company that grants by hand: from now on each check tries whether the operator is let in.

    Args:
        proof_of_control: who asks. That the company has granted something already proves nothing of that.

    Raises:
        InputError: as `ready_operator` and `control.demand`; nothing is kept.
    """
    operator = await ready_operator(installation, context)
    evidence = await control.demand(proof_of_control, context, operator)
    connection = await connect_by_permission(installation, context, operator, evidence)
    try:
        verified = await prove_grant(installation, connection, operator, listener=listener)
    except KsefUnavailable:
        return Expected(operator, connection, None)
    return Expected(operator, verified.connection, verified)

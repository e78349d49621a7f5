"""Waits for an issuance that somebody else carries out: a caller who has ordered and would like to know the end."""

from __future__ import annotations

from klucznik.clock import by_the_machine, stopwatch
from klucznik.domain.issuance import Issuance
from klucznik.domain.waits import WaitKind
from klucznik.services.advance import load
from klucznik.services.installation import Installation

_LOOK_EVERY_S = 0.25
# What no worker ends soon: a person has to come, or the limits have to renew.
_LONG = (WaitKind.NEEDS_SIGNATURE, WaitKind.PKCS11_REFUSES, WaitKind.LIMITS)


async def until_it_ends(installation: Installation, issuance_id: str, *, seconds: float) -> Issuance:
    """The issuance when it has ended, or when waiting on is of no use, or when the time is over.

    Raises:
        InputError: ``issuance_unknown``.
    """
    began = stopwatch()
    while True:
        issuance = await load(installation, issuance_id)
        waits_long = issuance.wait is not None and issuance.wait.kind in _LONG
        if issuance.state.ended or waits_long or stopwatch() - began >= seconds:
            return issuance
        await by_the_machine(_LOOK_EVERY_S)

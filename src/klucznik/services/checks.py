"""The rounds in which a worker proves connections and sees to onboardings that were left, beside its issuances."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress

from klucznik.clock import by_the_machine
from klucznik.errors import KlucznikError
from klucznik.services.installation import Installation
from klucznik.services.onboarding.left import see_to_what_was_left
from klucznik.services.verify import verify_due

ROUND_EVERY_S = 300.0

_log = logging.getLogger("klucznik.connections")


@asynccontextmanager
async def checking(installation: Installation) -> AsyncIterator[None]:
    """Rounds go on inside; one that is under way at the end is given up, which harms nothing."""
    rounds = asyncio.create_task(_rounds(installation))
    try:
        yield
    finally:
        rounds.cancel()
        with suppress(asyncio.CancelledError):
            await rounds


async def check_once(installation: Installation) -> None:
    """One round; trouble with it is no reason to stop working."""
    await _guarded("connections", verify_due(installation))
    await _guarded("onboardings", see_to_what_was_left(installation))


async def _guarded(what: str, work: Awaitable[int]) -> None:
    try:
        await work
    except KlucznikError as error:
        _log.warning("%s could not be checked: %s", what, error)
    except Exception as error:
        # Not with its text: that of a foreign error may hold anything. The issuances go on, and so does the next round.
        _log.error("the check of %s met an unforeseen %s", what, type(error).__name__)


async def _rounds(installation: Installation) -> None:
    while True:
        await check_once(installation)
        await by_the_machine(ROUND_EVERY_S)

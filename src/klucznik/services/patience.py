"""Asking KSeF patiently: a pause that it asks for is waited out, an operation is followed to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import TypeVar

from klucznik.domain.polling import next_poll
from klucznik.errors import KsefRefused, KsefUnavailable, Paced, RateLimited
from klucznik.ksef.session import Session
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, Progress, Stage

Value = TypeVar("Value")

LONGEST_PAUSE = timedelta(seconds=100)  # a longer one is told to whoever called
LONGEST_OPERATION = timedelta(minutes=2)
# How often, and how many times, KSeF's list is looked at for a change: twenty seconds. No source says how long that
# takes; official tests wait as long.
LOOK_EVERY_S = 2.0
MOST_LOOKS = 10


async def in_turn(installation: Installation, ask: Callable[[], Awaitable[Value]], listener: Listener) -> Value:
    """`ask`, again after each pause that KSeF, or our own pace, asks for: nothing was applied then.

    Raises:
        RateLimited, Paced: all pauses together would be longer than `LONGEST_PAUSE`.
    """
    until = installation.clock.now() + LONGEST_PAUSE
    while True:
        try:
            return await ask()
        except (RateLimited, Paced) as error:
            if error.until > until:
                raise
            left = error.until - installation.clock.now()
            listener(Progress(Stage.PACED, seconds=left.total_seconds()))
            await installation.clock.sleep(max(0.0, left.total_seconds()))


async def completed(installation: Installation, session: Session, reference_number: str, listener: Listener) -> None:
    """Wait until a permission operation is done.

    Raises:
        KsefRefused: ``permission_refused`` with the operation's code (§5.3).
        KsefUnavailable: ``permission_operation_pending``: KSeF is not done after two minutes.
    """
    began, asked, random = installation.clock.now(), 0, Random()
    while True:
        status = await in_turn(installation, lambda: session.permissions.operation(reference_number), listener)
        if status.done:
            return
        if status.failed:
            raise KsefRefused("permission_refused", code=status.code, text=status.text, details=status.details)
        waited = installation.clock.now() - began
        if waited > LONGEST_OPERATION:
            raise KsefUnavailable("permission_operation_pending", reference_number=reference_number)
        await installation.clock.sleep(next_poll(asked, waited, random).total_seconds())
        asked += 1


async def comes_true(
    installation: Installation, look: Callable[[], Awaitable[bool]], *, looks: int = MOST_LOOKS
) -> bool:
    """Whether KSeF's list comes to show a change."""
    for number in range(looks):
        if number:
            await installation.clock.sleep(LOOK_EVERY_S)
        if await look():
            return True
    return False

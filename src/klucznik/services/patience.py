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

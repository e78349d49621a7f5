"""What a worker tells the world beside its issuances: the rounds in which events go to webhooks and by e-mail.

The rows say what is due; nothing is remembered here that a crash could lose.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from klucznik.clock import by_the_machine
from klucznik.domain.languages import Language
from klucznik.errors import KlucznikError
from klucznik.services.installation import Installation
from klucznik.services.telling import events, letters
from klucznik.services.telling.deliver import Deliverer
from klucznik.services.telling.notices import Mail, forget_what_is_old, look_for_ends, send_everything
from klucznik.services.telling.posting import Post

ROUND_EVERY_S = 1.0
MAIL_EVERY_S = 5.0
LOOK_EVERY_S = 3600.0

_log = logging.getLogger("klucznik.telling")


@dataclass(frozen=True)
class Outlets:
    """By which ways this installation tells the world what happens.

    Attributes:
        private_webhooks: whether webhooks may lead to private networks and to this machine.
        mail: None: nobody is told by e-mail.
        language: of letters to whoever has chosen none.
    """

    private_webhooks: bool = False
    mail: Mail | None = None
    language: Language = Language.POLISH

    def post(self) -> Post:
        """The way to webhooks; to be left (`async with`) when it is needed no more."""
        return Post(private=self.private_webhooks)


@asynccontextmanager
async def telling(installation: Installation, outlets: Outlets) -> AsyncIterator[None]:
    """Rounds go on inside; what is under way at the end is given up, and sent again by whoever comes next."""
    rounds = asyncio.create_task(_for_ever(installation, outlets))
    try:
        yield
    finally:
        rounds.cancel()
        await asyncio.wait({rounds})


async def tell_until_idle(installation: Installation, outlets: Outlets) -> None:
    """Until nothing is due any more; what waits for a later moment is left waiting."""
    async with outlets.post() as post:
        deliverer = Deliverer(installation, post)
        await _guarded("what ends", lambda: look_for_ends(installation))
        await _guarded("what is old", lambda: forget_what_is_old(installation))
        await _guarded("events", lambda: events.tell_everything(installation))
        await _guarded("webhooks", deliverer.run_until_idle)
        if outlets.mail is not None:
            await _guarded("letters", partial(_send_letters, installation, outlets.mail))
            await _guarded("notices", partial(send_everything, installation, outlets.mail))


async def _for_ever(installation: Installation, outlets: Outlets) -> None:
    """Each by itself: a mail server that takes its time holds up no webhook."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_deliver_for_ever(installation, outlets))
        group.create_task(_again_and_again(LOOK_EVERY_S, "what ends", lambda: look_for_ends(installation)))
        group.create_task(_again_and_again(LOOK_EVERY_S, "what is old", lambda: forget_what_is_old(installation)))
        if outlets.mail is not None:
            group.create_task(
                _again_and_again(MAIL_EVERY_S, "letters", partial(_send_letters, installation, outlets.mail))
            )
            send = partial(send_everything, installation, outlets.mail)
            group.create_task(_again_and_again(MAIL_EVERY_S, "notices", send))


async def _send_letters(installation: Installation, mail: Mail) -> None:
    """Until nothing is due, or the mail server takes nothing."""
    while await letters.send_due(installation, mail):
        pass


async def _deliver_for_ever(installation: Installation, outlets: Outlets) -> None:
    async with outlets.post() as post:
        deliverer = Deliverer(installation, post)
        try:
            while True:
                await _guarded("events", lambda: events.tell_everything(installation))
                await _guarded("webhooks", deliverer.take_due)
                await _next_round(deliverer)
        finally:
            await deliverer.give_up()


async def _again_and_again(every_s: float, what: str, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await _guarded(what, work)
        await by_the_machine(every_s)


async def _next_round(deliverer: Deliverer) -> None:
    """In a second, or as soon as a webhook has taken what it was sent: there may be more for it."""
    pause = asyncio.create_task(by_the_machine(ROUND_EVERY_S))
    try:
        await asyncio.wait({pause, *deliverer.running.values()}, return_when="FIRST_COMPLETED")
    finally:
        pause.cancel()


async def _guarded(what: str, work: Callable[[], Awaitable[object]]) -> None:
    """Trouble with telling is no reason to stop working."""
    try:
        await work()
    except KlucznikError as error:
        _log.warning("%s could not be told: %s", what, error)
    except Exception as error:
        # Not with its text: that of a foreign error may hold anything.
        _log.error("telling of %s met an unforeseen %s", what, type(error).__name__)

"""A process of its own that carries out a story and is killed by the system at a chosen act.

Nothing in Klucznik knows of this: the database and the network it is given tell of each act (`acts`), and who hears of
the chosen one sends SIGKILL.
"""

import asyncio
import http.client
import json
import os
import signal
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from multiprocessing.context import ForkServerContext
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Connection
from tests.klucznik.crashes.acts import AnnouncingDatabase, AnnouncingNetwork
from tests.klucznik.mishaps import FILING, Mishap, answer_lost, paced, reset_before

from klucznik.domain.identifiers import Context
from klucznik.domain.issuance import Issuance
from klucznik.errors import KlucznikError
from klucznik.keys.credential import Credential, load_credential
from klucznik.services.advance import advance, load
from klucznik.services.cancel import cancel
from klucznik.services.installation import Installation
from klucznik.services.issue import issue, order
from klucznik.storage import issuances

# More rounds than any story needs, each as long as the row says.
ROUNDS = 80
# Longer than a caller is kept waiting, so that `issue` gives up and something else may come in between.
_LONG_PAUSE_S = 600


class Story(StrEnum):
    PAIR = "a pair"
    ANSWER_LOST = "the first answer is lost"
    REQUEST_LOST = "the second request is lost on its way"
    PACED = "429 between the two"
    HALF = "half a pair is there already"
    DETACHED = "ordered here, carried out elsewhere with the sealed login"
    CANCELLED = "called off half-way"

    @property
    def mishaps(self) -> list[Mishap]:
        """What the network does; fresh ones for each process."""
        return {
            Story.ANSWER_LOST: [Mishap(FILING, answer_lost)],
            Story.REQUEST_LOST: [Mishap(FILING, reset_before, on=2)],
            Story.PACED: [Mishap(FILING, paced(5), on=2)],
            Story.CANCELLED: [Mishap(FILING, paced(_LONG_PAUSE_S), on=2)],
        }.get(self, [])


@dataclass(frozen=True)
class Place:
    """Where a story takes place: one home, one company, one KSeF."""

    home: Path
    database_url: str | None
    ksef_url: str
    clock_url: str
    nip: str
    papers: Path

    @property
    def context(self) -> Context:
        return Context.of_nip(self.nip)

    def credential(self, now: datetime) -> Credential:
        cert, key = self.papers / "credential.crt", self.papers / "credential.key"
        return load_credential(cert=cert, key=key, password=None, now=now)


@dataclass(frozen=True)
class Deed:
    """What the process does, and when it dies.

    Attributes:
        story: None: nothing new is ordered; what is under way is taken on.
        act, nth: it dies at the n-th time that this act is told.
        most: it dies after so many acts, whatever they are.
        told: a file for the names of all acts, where it lives on.
    """

    place: Place
    story: Story | None
    clock_offset: timedelta
    act: str | None = None
    nth: int = 1
    most: int | None = None
    told: Path | None = None


@dataclass
class RemoteClock:
    """The clock of a KSeF in another process: whoever waits here moves it on."""

    url: str
    offset: timedelta

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    async def sleep(self, seconds: float) -> None:
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.netloc)
        body = json.dumps({"advance_seconds": seconds})
        connection.request("POST", where.path, body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        connection.close()
        self.offset += timedelta(seconds=seconds)


@dataclass
class Witness:
    """Hears of every act, and kills the process at the chosen one."""

    deed: Deed
    heard: list[str] = field(default_factory=list)

    def hear(self, act: str) -> None:
        self.heard.append(act)
        chosen = act == self.deed.act and self.heard.count(act) == self.deed.nth
        if chosen or len(self.heard) == self.deed.most:
            os.kill(os.getpid(), signal.SIGKILL)


def carry_out(context: ForkServerContext, deed: Deed, *, patience_s: float = 60) -> int | None:
    """Do it in a process of its own. How that ended: 0, -SIGKILL, or None where it was still at it."""
    process = context.Process(target=_main, args=(deed,))
    process.start()
    process.join(patience_s)
    ended = process.exitcode
    process.kill()
    process.join()
    process.close()
    return ended


def _main(deed: Deed) -> None:
    witness = Witness(deed)
    asyncio.run(_live(deed, witness))
    if deed.told is not None:
        deed.told.write_text("\n".join(witness.heard))


async def _live(deed: Deed, witness: Witness) -> None:
    place, story = deed.place, deed.story
    clock = RemoteClock(place.clock_url, deed.clock_offset)
    opened = await Installation.open(
        place.home,
        database_url=place.database_url,
        ksef_url=place.ksef_url,
        clock=clock,
        transport=AnnouncingNetwork(witness.hear, *(story.mishaps if story is not None else [])),
    )
    async with opened:
        klucznik = replace(opened, database=AnnouncingDatabase(opened.database, witness.hear))
        if story is None:
            await take_on(klucznik, place)
        elif story is Story.DETACHED:
            await order(klucznik, place.context, place.credential(clock.now()))
            await take_on(klucznik, place)
        elif story is Story.CANCELLED:
            await _call_off(klucznik, place)
        else:
            await issue(klucznik, place.context, place.credential(clock.now()))


async def _call_off(klucznik: Installation, place: Place) -> None:
    """KSeF makes the second request wait, so the user thinks better of it; what has been filed is finished."""
    try:
        await issue(klucznik, place.context, place.credential(klucznik.clock.now()))
    except KlucznikError:
        issuance = await under_way(klucznik, place)
        assert issuance is not None
        await cancel(klucznik, issuance.id)
        await take_on(klucznik, place)


async def take_on(klucznik: Installation, place: Place) -> None:
    """What a worker does with what is under way, if anything is, until it ends or only a person can help."""
    issuance = await under_way(klucznik, place)
    for _ in range(ROUNDS):
        if issuance is None or issuance.state.ended:
            return
        try:
            issuance = await advance(klucznik, issuance.id)
        except KlucznikError:
            issuance = await load(klucznik, issuance.id)
        if issuance.wait is None:  # somebody else's lease, or it can go on
            await klucznik.clock.sleep(1)
        elif issuance.wait.until is None:
            return
        else:
            await klucznik.clock.sleep(max(0.0, (issuance.wait.until - klucznik.clock.now()).total_seconds()))


async def under_way(klucznik: Installation, place: Place) -> Issuance | None:
    """The issuance of this company that has not ended."""
    subject = place.credential(klucznik.clock.now()).holder.signs_in_as

    def read(connection: Connection) -> Issuance | None:
        return issuances.running(connection, klucznik.environment, subject)

    return await klucznik.database.read(read)

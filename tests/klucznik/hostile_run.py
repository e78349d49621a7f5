"""Many pairs against a KSeF that misbehaves on purpose, and what became of each: nobody may be left in the dark, and no
request may be wasted. `python -m tests.klucznik.hostile_run --pairs 1000 --in-flight 8 --seed 1` prints a table.

The clock is the sandbox's, and whoever waits moves it on, so waits of a day cost nothing. A request is wasted when KSeF
took it on, did not itself refuse or drop it, and its certificate is not in our vault. Who counts is the sandbox.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection
from tests.klucznik.world import assert_key_kept, company, context_of, installed

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, IssuanceState
from klucznik.errors import KlucznikError, KsefUnavailable, Paced, RateLimited, SignInRefused
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.issue import order
from klucznik.services.resume import resume
from klucznik.storage import certificates, issuances
from ksef_sandbox import Sandbox
from ksef_sandbox.requestlog import LoggedRequest

# The sandbox remembers its last 20,000 requests: what one batch asks is looked at before the next begins.
BATCH = 200
# What a person does whose order fails because KSeF does not answer.
ORDERS = 10
ENROLL = "/certificates/enrollments"
# KSeF has taken the request on and then refused or dropped it itself.
BY_KSEF = frozenset({"cancelled", "rejected"})
# Applied, whatever the client was told.
APPLIED = frozenset({"drop_answer", "error_after"})
EATEN = 2  # requests that another program files at once (`hostile.eaten`)


class FlyingClock:
    """The sandbox's time, read without asking it; whoever waits moves both on."""

    def __init__(self, ksef: Sandbox) -> None:
        self._ksef = ksef
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    async def sleep(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
        self._ksef.advance(seconds=seconds)
        await asyncio.sleep(0)


@dataclass
class Count:
    """What came of a run.

    Attributes:
        ends: how the issuances ended that are no whole pair, by state and reason.
        dark: issuances of which nobody can say how they ended.
        spent: requests that KSeF took on from us.
        dropped: those that it refused or dropped itself afterwards.
        wasted: NIPs of subjects that lost a request for nothing, once for each.
        repeated: orders that had to be given again, because KSeF did not let anybody in.
        signatures: issuances that had to wait for a person.
        surprises: errors that nobody foresaw, by the engine's log.
    """

    seed: int
    pairs: int = 0
    complete: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    dark: list[str] = field(default_factory=list)
    spent: int = 0
    dropped: int = 0
    eaten: int = 0
    wasted: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)
    repeated: int = 0
    signatures: int = 0
    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def honest(self) -> bool:
        """Whether every pair is whole or has an end that can be told, and no request was wasted."""
        told = self.complete + self.ends.total() == self.pairs
        return told and not (self.dark or self.wasted or self.miscounted or self.surprises)


class _Surprises(logging.Handler):
    def __init__(self, count: Count) -> None:
        super().__init__(logging.ERROR)
        self._count = count

    def emit(self, record: logging.LogRecord) -> None:
        self._count.surprises.append(record.getMessage())


async def run(home: Path, *, pairs: int, in_flight: int, seed: int) -> Count:
    """Order so many pairs, each of another company, and have an engine carry them out."""
    count, began = Count(seed), time.perf_counter()
    chance = random.Random(seed)
    heard = _Surprises(count)
    logging.getLogger("klucznik.engine").addHandler(heard)
    try:
        with Sandbox(seed=seed, faults="hostile", switches={"auth_delay_ms": 0, "rate_profile": "off"}) as ksef:
            async with installed(home, ksef, clock=FlyingClock(ksef)) as klucznik:
                for start in range(0, pairs, BATCH):
                    batch = _Batch(ksef, klucznik, count, in_flight)
                    await batch.run([_nip(chance) for _ in range(min(BATCH, pairs - start))])
    finally:
        logging.getLogger("klucznik.engine").removeHandler(heard)
    count.seconds = time.perf_counter() - began
    return count


def _nip(chance: random.Random) -> str:
    return f"{chance.randint(11, 99)}{chance.randint(1, 9)}{chance.randrange(10**7):07d}"


@dataclass
class _Batch:
    ksef: Sandbox
    klucznik: Installation
    count: Count
    in_flight: int

    async def run(self, nips: Sequence[str]) -> None:
        self.ksef.clear_requests()
        turn = asyncio.Semaphore(self.in_flight)
        ids = await asyncio.gather(*(self._order(nip, turn) for nip in nips))
        await self._carry_out([one for one in ids if one is not None])
        calls = self.ksef.requests()
        self.count.calls += len(calls)
        self.count.faults.update(fault for call in calls for fault in _faults(call) if fault)
        for nip, issuance_id in zip(nips, ids, strict=True):
            await self._look_at(nip, issuance_id, calls)

    async def _order(self, nip: str, turn: asyncio.Semaphore) -> str | None:
        async with turn:
            credential, clock = company(nip, self.ksef), self.klucznik.clock
            for _ in range(ORDERS):
                try:
                    found = await order(self.klucznik, context_of(nip), credential)
                except (RateLimited, Paced) as error:
                    # All of them come from one address, so KSeF's pauses for it grow to an hour.
                    self.count.repeated += 1
                    await clock.sleep(max(0.0, (error.until - clock.now()).total_seconds()))
                    continue
                except KsefUnavailable:
                    self.count.repeated += 1
                    continue
                except SignInRefused as error:
                    if not error.passing:
                        raise
                    self.count.repeated += 1
                    continue
                assert isinstance(found, Issuance)
                return found.id
        return None

    async def _carry_out(self, ids: Sequence[str]) -> None:
        """What a worker does, with the clock moved on to the next moment of waking whenever it has nothing to do."""
        while True:
            await Engine(self.klucznik, at_once=self.in_flight).run_until_idle()
            running = [issuance for issuance in await self._load(ids) if not issuance.state.ended]
            if not running:
                return
            moments = [one.wait.until for one in running if one.wait is not None and one.wait.until is not None]
            if not moments:
                for issuance in running:
                    await self._sign(issuance)
                continue
            left = (min(moments) - self.klucznik.clock.now()).total_seconds()
            await self.klucznik.clock.sleep(max(1.0, left))

    async def _sign(self, issuance: Issuance) -> None:
        """The person comes and signs."""
        self.count.signatures += 1
        try:
            await resume(self.klucznik, issuance.id, company(issuance.context.value, self.ksef))
        except KlucznikError:
            return  # it has ended, or waits again; either is in the row

    async def _load(self, ids: Sequence[str]) -> list[Issuance]:
        def read(connection: Connection) -> list[Issuance]:
            found = [issuances.load(connection, one) for one in ids]
            return [issuance for issuance in found if issuance is not None]

        return await self.klucznik.database.read(read)

    async def _look_at(self, nip: str, issuance_id: str | None, calls: Sequence[LoggedRequest]) -> None:
        count, subject = self.count, Subject(SubjectType.NIP, nip)
        count.pairs += 1
        if issuance_id is None:
            count.ends["never ordered: KSeF lets nobody in"] += 1
            return
        (issuance,) = await self._load([issuance_id])
        rows = await self.klucznik.database.read(lambda connection: issuances.enrollments_of(connection, issuance_id))
        held = await self.klucznik.database.read(
            lambda connection: certificates.of_subject(connection, self.klucznik.environment, subject)
        )
        for certificate in held:
            await assert_key_kept(self.klucznik, certificate.der, certificate.key_id)
        proved = sorted(one.type.value for one in held if one.verified_at is not None)
        if issuance.state is IssuanceState.DONE and proved == ["Authentication", "Offline"]:
            count.complete += 1
        elif (said := _said(issuance, rows)) is not None:
            count.ends[said] += 1
        else:
            count.dark.append(nip)
        self._count_requests(nip, len(held), calls)

    def _count_requests(self, nip: str, held: int, calls: Sequence[LoggedRequest]) -> None:
        count = self.count
        filed = [
            call
            for call in calls
            if (call.method, call.route) == ("POST", ENROLL)
            and call.identity is not None
            and call.identity.value == nip
        ]
        spent = [call for call in filed if call.status == 202 or APPLIED & _faults(call)]
        dropped = [call for call in spent if BY_KSEF & _faults(call)]
        eaten = EATEN * sum("limit_eaten" in _faults(call) for call in filed)
        count.spent += len(spent)
        count.dropped += len(dropped)
        count.eaten += eaten
        count.wasted += [nip] * (len(spent) - len(dropped) - held)
        known = httpx.get(f"{self.ksef.management_url}/subjects/Nip/{nip}", trust_env=False).json()
        if len(known["spent_requests"]) != len(spent) + eaten:
            count.miscounted.append(nip)


def _faults(call: LoggedRequest) -> set[str]:
    return set((call.fault or "").split("+"))


def _said(issuance: Issuance, rows: Sequence[Enrollment]) -> str | None:
    """Why it is no whole pair, in the words of the row; None where the row does not say."""
    if issuance.state is IssuanceState.REFUSED:
        return "refused by the limits"
    for row in rows:
        if row.state is EnrollmentState.REJECTED and row.failure is not None:
            code = row.failure.code
            return f"rejected: {row.failure.reason or f'{code} {row.failure.details or row.failure.text}'}"
    return None


_ROWS: dict[str, Callable[[Count], str]] = {
    "pairs": lambda one: str(one.pairs),
    "complete": lambda one: str(one.complete),
    "ended with a reason": lambda one: str(one.ends.total()),
    "nobody knows": lambda one: str(len(one.dark)),
    "requests that KSeF took on": lambda one: str(one.spent),
    "of these refused or dropped by KSeF itself": lambda one: str(one.dropped),
    "requests wasted": lambda one: str(len(one.wasted)),
    "requests eaten by another program": lambda one: str(one.eaten),
    "orders given again": lambda one: str(one.repeated),
    "signatures of a person asked for": lambda one: str(one.signatures),
    "unforeseen errors": lambda one: str(len(one.surprises)),
    "calls": lambda one: str(one.calls),
    "faults": lambda one: str(one.faults.total()),
    "seconds": lambda one: f"{one.seconds:.0f}",
}


def shown(counts: Sequence[Count]) -> Table:
    table = Table(title="klucznik against a hostile KSeF", title_justify="left")
    table.add_column("seed")
    for one in counts:
        table.add_column(str(one.seed), justify="right")
    for name, value in _ROWS.items():
        table.add_row(name, *(value(one) for one in counts))
    return table


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.klucznik.hostile_run", description=__doc__.split("\n\n")[0])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--seed", type=int, action="append", help="may be given several times (default: 1)")
    options = parser.parse_args(arguments)
    logging.getLogger("klucznik").setLevel(logging.ERROR)
    console, counts = Console(), list[Count]()
    for seed in options.seed or [1]:
        with tempfile.TemporaryDirectory() as home:
            running = run(Path(home) / "home", pairs=options.pairs, in_flight=options.in_flight, seed=seed)
            counts.append(asyncio.run(running))
        console.print(f"seed {seed}: {counts[-1].complete} of {counts[-1].pairs} complete, {dict(counts[-1].ends)}")
    console.print(shown(counts))
    for one in counts:
        for said, number in one.ends.most_common():
            console.print(f"seed {one.seed}: {number} x {said}")
        for name in ("dark", "wasted", "miscounted", "surprises"):
            for item in getattr(one, name):
                console.print(f"seed {one.seed}: {name}: {item}")
    return 0 if all(one.honest for one in counts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

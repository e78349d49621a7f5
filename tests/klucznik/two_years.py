"""Two years of renewals in a minute: companies and persons, a KSeF that has bad days, a scan every few days.

`python -m tests.klucznik.two_years --companies 50` prints a table. At every moment each company has a valid pair, no
request is spent but on a certificate that was due, and the hook runs once for each renewal. Who counts requests is the
sandbox, who counts runs is the hook.
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
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.klucznik.hostile_run import APPLIED, ENROLL, FlyingClock
from tests.klucznik.services.renewing import connect, put_hook
from tests.klucznik.world import company, context_of, installed, owner

from klucznik.domain.certificates import PAIR, HeldCertificate
from klucznik.domain.identifiers import Subject
from klucznik.errors import KlucznikError
from klucznik.keys.credential import Credential
from klucznik.services.installation import Installation
from klucznik.services.issue import issue
from klucznik.services.renewal.renew import RenewalEnd
from klucznik.services.renewal.renew_many import renew_many
from klucznik.services.renewal.renewals import running_out
from klucznik.storage import certificates
from ksef_sandbox import Sandbox
from ksef_sandbox.faults.rules import ErrorBefore, Rule
from ksef_sandbox.requestlog import LoggedRequest

SCAN_EVERY = timedelta(days=5)
# Every first certificate has ended by then, and no second one is due yet: each is to be renewed exactly once.
TWO_YEARS = timedelta(days=2 * 365 + 65)
# Connections begin within so long.
_BEGINNING = timedelta(days=28)
# Scans at which KSeF is down.
_OUTAGES = 0.5


@dataclass
class Count:
    """What came of two years.

    Attributes:
        spent: requests that KSeF took on from us.
        issued: certificates in the vault, all of them proved.
        renewals: renewals that ended well.
        ran: how often the hook ran.
        gaps: subjects and types that were without a valid and proved certificate for a while.
        odd: renewals for which the hook did not run exactly once.
        trouble: what a scan could not do, and the next one did.
        ahead: renewals by how many days were left.
    """

    companies: int
    subjects: int = 0
    persons: int = 0
    scans: int = 0
    spent: int = 0
    issued: int = 0
    renewals: int = 0
    ran: int = 0
    gaps: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    trouble: Counter[str] = field(default_factory=Counter)
    ahead: Counter[int] = field(default_factory=Counter)
    calls: int = 0
    faults: int = 0
    seconds: float = 0.0

    @property
    def honest(self) -> bool:
        """Each subject has spent two requests on its first pair and two on the next, and nothing else was spent."""
        requests = self.spent == self.issued == 4 * self.subjects
        return requests and self.renewals == self.ran == self.subjects and not (self.gaps or self.odd)


async def run(home: Path, *, companies: int, seed: int = 1) -> Count:
    """Begin so many connections within four weeks, and let the years go by."""
    count, began = Count(companies), time.perf_counter()
    switches: dict[str, bool | int | str] = {"auth_delay_ms": 0, "rate_profile": "off"}
    with Sandbox(seed=seed, faults="mild", switches=switches) as ksef:
        async with installed(home, ksef, clock=FlyingClock(ksef)) as klucznik:
            put_hook(home, "deploy", 'echo "$KLUCZNIK_OLD_SERIALS" >>ran')
            years = _Years(ksef, klucznik, count, random.Random(seed))
            await years.begin()
            await years.go_by(until=years.start + TWO_YEARS)
            await years.look_back((home / "ran").read_text().splitlines())
    count.seconds = time.perf_counter() - began
    return count


@dataclass
class _Years:
    ksef: Sandbox
    klucznik: Installation
    count: Count
    chance: random.Random
    start: datetime = field(init=False)
    subjects: list[Subject] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = self.klucznik.clock.now()

    async def begin(self) -> None:
        """Companies with a seal of their own, and persons who own one to three companies."""
        left = self.count.companies
        while left:
            owned = min(left, self.chance.choice((0, 1, 2, 3)))
            nips = [self._some_nip() for _ in range(max(1, owned))]
            credential = owner(nips[0], self.ksef) if owned else company(nips[0], self.ksef)
            subject = credential.holder.signs_in_as
            await self._issue(nips[0], credential)
            for nip in nips:
                if owned and nip != nips[0]:
                    self.ksef.link_person(nip=nip, pesel=subject.value)
                await connect(self.klucznik, nip, subject)
            self.subjects.append(subject)
            self.count.persons += bool(owned)
            left -= len(nips)
            self._count_calls()
            await self.klucznik.clock.sleep((_BEGINNING / self.count.companies).total_seconds())
        self.count.subjects = len(self.subjects)

    async def _issue(self, nip: str, credential: Credential) -> None:
        while True:
            try:
                await issue(self.klucznik, context_of(nip), credential)
            except KlucznikError as error:  # a bad day: the person comes again
                self.count.trouble[f"at the beginning: {error.reason}"] += 1
                await self.klucznik.clock.sleep(600)
            else:
                return

    async def go_by(self, *, until: datetime) -> None:
        clock = self.klucznik.clock
        while clock.now() < until:
            self.count.scans += 1
            outage = self.ksef.add_fault(Rule(ErrorBefore(502))) if self.chance.random() < _OUTAGES else None
            for done in await renew_many(self.klucznik, await running_out(self.klucznik)):
                assert done.renewal is not None
                if done.renewal.end is RenewalEnd.RENEWED:
                    self.count.renewals += 1
                    ends = min(one.valid_to for one in done.renewal.standing.plan.in_service)
                    self.count.ahead[(ends - clock.now()).days] += 1
                elif not done.well:
                    reason = done.renewal.error.reason if done.renewal.error else ""
                    self.count.trouble[f"{done.renewal.end.value} {reason}".strip()] += 1
            if outage is not None:
                self.ksef.remove_fault(outage)
            self._count_calls()
            await clock.sleep(SCAN_EVERY.total_seconds())

    async def look_back(self, ran: Sequence[str]) -> None:
        runs = Counter(ran)
        self.count.ran = runs.total()
        self.count.odd += [serials for serials, times in runs.items() if times != 1]
        for subject in self.subjects:
            held = await self.klucznik.database.read(
                lambda connection, subject=subject: certificates.of_subject(  # type: ignore[misc]
                    connection, self.klucznik.environment, subject
                )
            )
            self.count.issued += sum(one.verified_at is not None for one in held)
            for kind in PAIR:
                mine = sorted((one for one in held if one.type is kind), key=lambda one: one.valid_from)
                self.count.gaps += [f"{subject} {kind} {moment}" for moment in self._gaps(mine)]

    def _gaps(self, mine: Sequence[HeldCertificate]) -> list[datetime]:
        """Moments at which a certificate ended before the next one had proved itself."""
        now = self.klucznik.clock.now()
        gaps = [one.valid_to for one, after in pairwise(mine) if (after.verified_at or now) >= one.valid_to]
        return gaps if mine[-1].valid_to > now else [*gaps, mine[-1].valid_to]

    def _count_calls(self) -> None:
        calls = self.ksef.requests()
        self.ksef.clear_requests()
        self.count.calls += len(calls)
        self.count.faults += sum(call.fault is not None for call in calls)
        self.count.spent += sum(_spends(call) for call in calls)

    def _some_nip(self) -> str:
        return f"{self.chance.randint(11, 99)}{self.chance.randint(1, 9)}{self.chance.randrange(10**7):07d}"


def _spends(call: LoggedRequest) -> bool:
    applied = call.status == 202 or bool(APPLIED & set((call.fault or "").split("+")))
    return (call.method, call.route) == ("POST", ENROLL) and applied


def shown(count: Count) -> Table:
    table = Table(title="two years of renewals", title_justify="left", show_header=False)
    for name, value in (
        ("companies", count.companies),
        ("subjects (persons)", f"{count.subjects} ({count.persons})"),
        ("scans", count.scans),
        ("renewals", count.renewals),
        ("days left when renewed", ", ".join(f"{days}: {number}" for days, number in sorted(count.ahead.items()))),
        ("requests that KSeF took on", count.spent),
        ("certificates in the vault", count.issued),
        ("gaps in validity", len(count.gaps)),
        ("runs of the hook", count.ran),
        ("renewals with no run, or two", len(count.odd)),
        ("troubles that the next scan mended", ", ".join(f"{said}: {n}" for said, n in count.trouble.items())),
        ("calls", count.calls),
        ("faults", count.faults),
        ("seconds", f"{count.seconds:.0f}"),
    ):
        table.add_row(name, str(value))
    return table


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.klucznik.two_years", description=__doc__.split("\n\n")[0])
    parser.add_argument("--companies", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.getLogger("klucznik").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as home:
        count = asyncio.run(run(Path(home) / "home", companies=options.companies, seed=options.seed))
    console = Console()
    console.print(shown(count))
    for item in (*count.gaps, *count.odd):
        console.print(item)
    return 0 if count.honest else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

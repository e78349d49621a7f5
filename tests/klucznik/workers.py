"""Several `klucznik worker` processes on one PostgreSQL; one of them is killed, one frozen, both in the middle of work.

`python -m tests.klucznik.workers --issuances 200 --freeze 120` prints what became of it; `test_workers` does it small.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import needs
from tests.klucznik.databases import SERVER, database_url, look
from tests.klucznik.world import QUICK, accepted, company, context_of, filed, installed, some_nip
from tests.postgresql import running

from klucznik.clock import SystemClock
from klucznik.domain.issuance import Issuance
from klucznik.services.installation import Installation
from klucznik.services.issue import order
from ksef_sandbox import Sandbox

PROGRAM = [sys.executable, "-c", "from klucznik.cli.entry import main; main()"]
# KSeF takes half a second for everything, so that whoever is stopped is stopped in the middle of something.
BUSY = {**QUICK, "auth_delay_ms": 500, "enroll_delay_ms": 500}
# Far beyond what anything here takes; whoever waits longer waits for something that will not happen.
PATIENCE_S = 120.0


@dataclass
class Worker:
    """A process `klucznik worker`."""

    process: asyncio.subprocess.Process

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def holds(self, home: Path) -> dict[str, int]:
        """The subjects that it may act for now and whose issuances have not ended, with the tokens of its leases."""
        mine = f":{self.process.pid}:"
        return {subject: token for subject, (token, owner) in leases_of_running(home).items() if mine in owner}


async def program(home: Path, ksef_url: str, *arguments: str) -> asyncio.subprocess.Process:
    """The command `klucznik` on the database of that home."""
    url = database_url(home)
    environment = {**os.environ, **({} if url is None else {"KLUCZNIK_DATABASE_URL": url})}
    command = [*PROGRAM, "--home", str(home), "--ksef-url", ksef_url, *arguments]
    return await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )


@asynccontextmanager
async def workers(home: Path, ksef_url: str, number: int, *, at_once: int) -> AsyncIterator[list[Worker]]:
    """So many, none of which is left at the end."""
    started = [
        Worker(await program(home, ksef_url, "worker", "--at-once", str(at_once), "--json")) for _ in range(number)
    ]
    try:
        yield started
    finally:
        for worker in started:
            if worker.process.returncode is None:
                worker.process.kill()
                await worker.process.wait()


async def until(happened: Callable[[], bool]) -> float:
    """Look again and again until it has happened; after how many seconds it had."""
    began = time.monotonic()
    while not happened():
        if time.monotonic() > began + PATIENCE_S:
            raise TimeoutError
        await asyncio.sleep(0.1)
    return time.monotonic() - began


def leases_of_running(home: Path) -> dict[str, tuple[int, str]]:
    """Token and owner by subject, of subjects whose issuances have not ended."""
    rows = look(
        home,
        "SELECT subject_value, token, owner FROM leases JOIN issuances USING (subject_type, subject_value)"
        " WHERE state IN ('planned', 'underway')",
    )
    return {str(subject): (int(str(token)), str(owner)) for subject, token, owner in rows}


def ended(home: Path) -> int:
    return len(look(home, "SELECT id FROM issuances WHERE state NOT IN ('planned', 'underway')"))


@dataclass(frozen=True)
class Report:
    """What became of so many orders with three workers, one of which was killed and one frozen for a while.

    Attributes:
        doubled: subjects for which KSeF counts more than two requests, accepted or not.
        held: subjects that the killed and the frozen one were acting for.
        takeover_s: from the kill or the freezing until others acted for all of those.
        stop_s: from SIGTERM until the last worker had ended, in seconds; `stopped`: their exit codes.
    """

    issuances: int
    done: int
    requests: int
    doubled: int
    held: dict[str, int]
    takeover_s: dict[str, float]
    frozen_s: float
    stopped: tuple[int, ...]
    stop_s: float

    def table(self) -> str:
        rows = [
            ("orders", self.issuances),
            ("complete pairs", self.done),
            ("requests KSeF counts", self.requests),
            ("subjects with more than two requests", self.doubled),
            *((f"{how}: subjects held at that moment", number) for how, number in self.held.items()),
            *((f"{how}: taken over after (s)", f"{seconds:.1f}") for how, seconds in self.takeover_s.items()),
            ("frozen for (s)", f"{self.frozen_s:.0f}"),
            ("exit codes after SIGTERM", " ".join(map(str, self.stopped))),
            ("all stopped after (s)", f"{self.stop_s:.1f}"),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


async def order_some(klucznik: Installation, ksef: Sandbox, number: int) -> list[Issuance]:
    room = asyncio.Semaphore(8)

    async def one() -> Issuance:
        nip = some_nip()
        async with room:
            found = await order(klucznik, context_of(nip), company(nip, ksef))
        assert isinstance(found, Issuance)
        return found

    return list(await asyncio.gather(*(one() for _ in range(number))))


async def carry_out(home: Path, ksef: Sandbox, *, issuances: int, freeze_s: float, at_once: int) -> Report:
    """Order, let three workers begin, kill one and freeze one in the middle, and see it all through."""
    async with installed(home, ksef, clock=SystemClock()) as klucznik:
        ordered = await order_some(klucznik, ksef, issuances)
    async with workers(home, ksef.base_url, 3, at_once=at_once) as (killed, frozen, left):
        await until(lambda: ended(home) >= issuances // 4 and bool(killed.holds(home)) and bool(frozen.holds(home)))
        killed.send(signal.SIGKILL)
        frozen.send(signal.SIGSTOP)
        began = time.monotonic()
        held = {"killed": killed.holds(home), "frozen": frozen.holds(home)}
        takeovers = {
            how: asyncio.create_task(until(lambda subjects=subjects: taken_over(home, subjects)))  # type: ignore[misc]
            for how, subjects in held.items()
        }
        takeover_s = {how: await seconds for how, seconds in takeovers.items()}
        await asyncio.sleep(max(0.0, began + freeze_s - time.monotonic()))
        frozen.send(signal.SIGCONT)
        frozen_s = time.monotonic() - began
        await until(lambda: ended(home) == issuances)
        asked = time.monotonic()
        for worker in (frozen, left):
            worker.send(signal.SIGTERM)
        stopped = tuple([await worker.process.wait() for worker in (frozen, left)])
        stop_s = time.monotonic() - asked
    subjects = [issuance.subject for issuance in ordered]
    done = look(home, "SELECT id FROM issuances WHERE state = 'done'")
    return Report(
        issuances=issuances,
        done=len(done),
        requests=sum(len(accepted(ksef, subject)) for subject in subjects),
        doubled=sum(len(filed(ksef, subject)) > 2 for subject in subjects),
        held={how: len(subjects) for how, subjects in held.items()},
        takeover_s=takeover_s,
        frozen_s=frozen_s,
        stopped=stopped,
        stop_s=stop_s,
    )


def taken_over(home: Path, subjects: dict[str, int]) -> bool:
    """Whether somebody else has acted for each of them since."""
    running = leases_of_running(home)
    return all(running[subject][0] > token for subject, token in subjects.items() if subject in running)


@contextmanager
def private_server() -> Iterator[None]:
    with running(needs.postgresql(), durable=True) as cluster:
        os.environ[SERVER] = cluster.address("postgres")
        yield


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.klucznik.workers")
    parser.add_argument("--issuances", type=int, default=200)
    parser.add_argument("--freeze", type=float, default=120, help="seconds that one worker sleeps, at least")
    parser.add_argument("--at-once", type=int, default=8)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_server(), Sandbox(switches=BUSY) as ksef:
        report = asyncio.run(
            carry_out(
                Path(directory) / "home",
                ksef,
                issuances=chosen.issuances,
                freeze_s=chosen.freeze,
                at_once=chosen.at_once,
            )
        )
    print(report.table())
    return 0 if report.done == chosen.issuances and not report.doubled else 1


if __name__ == "__main__":
    sys.exit(main())

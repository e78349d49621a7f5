"""The crash matrix: every act of every story x database x seed. Ends with 1 if anything was lost or spent twice.

python -m tests.klucznik.crashes [--seeds 25] [--first 0] [--jobs 2] [--database sqlite|postgresql] [--only TEXT]
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TypeAlias

from tests import needs
from tests.klucznik.crashes.runs import Case, Result, Stage, forking
from tests.klucznik.world import QUICK
from tests.postgresql import running

from ksef_sandbox import Sandbox

DATABASES = ("sqlite", "postgresql")
_Work: TypeAlias = list[tuple[str, Case]]
_Told: TypeAlias = tuple[str, Case, Result]


@dataclass
class Cell:
    """What the runs at one act on one database have come to."""

    runs: int = 0
    not_met: int = 0
    keys_lost: int = 0
    extra: int = 0
    incomplete: int = 0
    bad: list[str] = field(default_factory=list)

    def count(self, case: Case, result: Result) -> None:
        self.runs += result.killed
        self.not_met += not result.killed
        self.keys_lost += result.keys_lost
        self.extra += result.extra
        self.incomplete += result.incomplete is not None
        if not result.good:
            self.bad.append(f"{case.act} [seed {case.seed}]: {result}")


def _worker(work: _Work, server: str | None, told: Connection) -> None:
    """Runs one after the other, against a KSeF of its own."""
    context = forking()
    with told, Sandbox(switches=QUICK) as ksef:
        stages = {"sqlite": Stage(ksef, context, None), "postgresql": Stage(ksef, context, server)}
        for database, case in work:
            told.send((database, case, stages[database].run(case)))


def _results(work: _Work, jobs: int, server: str | None) -> Iterator[_Told]:
    context = forking()
    working: list[Connection] = []
    for number in range(jobs):
        here, there = context.Pipe(duplex=False)
        context.Process(target=_worker, args=(work[number::jobs], server, there)).start()
        there.close()
        working.append(here)
    while working:
        ready = wait(working)
        for here in [one for one in working if one in ready]:
            try:
                yield here.recv()
            except EOFError:  # its work is done; or it died, and the runs are counted
                working.remove(here)


@contextmanager
def _server(databases: list[str]) -> Iterator[str | None]:
    if "postgresql" not in databases:
        yield None
        return
    with running(needs.postgresql(), durable=True) as cluster:
        yield cluster.address("postgres")


def main() -> int:
    options = argparse.ArgumentParser(description="The crash matrix.")
    options.add_argument("--seeds", type=int, default=25)
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--jobs", "-j", type=int, default=2)
    options.add_argument("--database", choices=DATABASES, action="append")
    options.add_argument("--only", default="", help="acts whose name holds this")
    chosen = options.parse_args()
    databases = chosen.database or list(DATABASES)
    began = time.monotonic()
    context = forking()
    with Sandbox(switches=QUICK) as ksef:
        acts = Stage(ksef, context, None).survey()
    acts = {act: scenes for act, scenes in acts.items() if chosen.only in act}
    work = [
        (database, Case(act, scenes, seed))
        for seed in range(chosen.first, chosen.first + chosen.seeds)
        for database in databases
        for act, scenes in acts.items()  # last, so that each job has as many on each database
    ]
    print(f"{len(acts)} acts x {len(databases)} databases x {chosen.seeds} seeds = {len(work)} runs", flush=True)
    cells, done = defaultdict[tuple[str, str], Cell](Cell), 0
    with _server(databases) as server:
        for done, (database, case, result) in enumerate(_results(work, chosen.jobs, server), 1):
            cells[case.act, database].count(case, result)
            if not result.good:
                print(cells[case.act, database].bad[-1], flush=True)
            if done % 100 == 0:
                print(f"… {done} runs, {time.monotonic() - began:.0f} s", flush=True)
    _print_table(list(acts), databases, cells)
    print(f"{done} of {len(work)} runs in {time.monotonic() - began:.0f} s")
    return 1 if done < len(work) or any(cell.bad for cell in cells.values()) else 0


def _print_table(acts: list[str], databases: list[str], cells: dict[tuple[str, str], Cell]) -> None:
    """Runs, keys lost, extra requests, incomplete pairs: a row for each act, four numbers for each database."""
    width = max(map(len, acts))
    print(f"\n{'killed':{width}}  " + "  ".join(f"{database:^27}" for database in databases))
    print(f"{'':{width}}  " + "  ".join("  runs   lost  extra  incompl" for _ in databases))
    totals = [Cell() for _ in databases]
    for act in acts:
        row = [cells[act, database] for database in databases]
        print(f"{act:{width}}  " + "  ".join(_numbers(cell) for cell in row))
        for total, cell in zip(totals, row, strict=True):
            total.runs += cell.runs
            total.not_met += cell.not_met
            total.keys_lost += cell.keys_lost
            total.extra += cell.extra
            total.incomplete += cell.incomplete
    print(f"{f'all {len(acts)}':{width}}  " + "  ".join(_numbers(total) for total in totals))
    for database, total in zip(databases, totals, strict=True):
        if total.not_met:
            print(
                f"{database}: in {total.not_met} runs more the chosen act did not come; these ended well or are told."
            )


def _numbers(cell: Cell) -> str:
    return f"{cell.runs:6d} {cell.keys_lost:6d} {cell.extra:6d} {cell.incomplete:8d}"

"""`python -m bench sandbox`: what the sandbox costs whoever tests against it.

The clients are processes of their own and as light as can be (`light_client.py`); only the sandbox is weighed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
from urllib.request import Request, urlopen

from bench import with_full_sandbox
from bench.processes import BenchError, LocalKsef, ksef_sandbox, local_ksef, run
from bench.report import Report, Table, ratio
from bench.with_embedded_sandbox import Embedded
from bench.with_light_client import REQUESTS

CLIENTS = (1, 8, 32)
CERTIFICATES = 10  # of each subject, in the full sandbox
TESTS = 20  # starts of the sandbox inside a program
NIPS_OF_A_CLIENT = 100_000  # no two clients ask for the same company
NOTES = (
    "A sign-in is 4 requests, a pair with its sign-in 11; each is for a company of its own, whose key and certificate\n"
    "are made before the clock starts.",
    "CPU: user and system time of the sandbox's process alone. Requests a second also depend on the clients, which\n"
    "share the cores with it: 1000 / CPU ms is what one core could answer if it did nothing else.",
    "Rate limits are off but where the table says prd; certificates and sign-ins are decided at once.",
)


@dataclass(frozen=True)
class Load:
    """What so many jobs were for the sandbox."""

    jobs: int
    wall_s: float
    cpu_s: float

    @property
    def cpu_ms(self) -> float:
        return round(self.cpu_s / self.jobs * 1000, 2)


def measure(*, subjects: int, jobs: int, repeats: int) -> Report:
    """Weigh it: `jobs` of each kind at each number of clients, `repeats` turns at each size and starts of each kind."""
    with local_ksef() as ksef:
        companies = _company_ranges()
        load(ksef, "pair", clients=1, jobs=CLIENTS[-1], companies=companies)  # the first of each kind are slower
        found = {
            (job, clients, "off"): load(ksef, job, clients=clients, jobs=jobs, companies=companies)
            for job in ("sign-in", "pair")
            for clients in CLIENTS
        }
    with local_ksef(ksef_sandbox("prd")) as ksef:
        load(ksef, "pair", clients=1, jobs=CLIENTS[-1], companies=companies)
        found["pair", 1, "prd"] = load(ksef, "pair", clients=1, jobs=jobs, companies=companies)
    return Report(
        title=f"ksef-sandbox, {jobs} jobs of each kind, medians of {repeats}",
        tables={
            "Sign-ins and pairs": _speed(found),
            **_size(subjects, jobs, repeats, companies),
            "Start": _starts(repeats),
        },
        notes=NOTES,
    )


def _company_ranges() -> Iterator[int]:
    return iter(range(with_full_sandbox.FIRST + 100_000_000, 999_000_000, NIPS_OF_A_CLIENT))


def load(
    ksef: LocalKsef, job: str, *, clients: int, jobs: int, companies: Iterator[int], first: int | None = None
) -> Load:
    """Let so many clients do their shares of the jobs at the same time; `first` is the company of single calls."""
    each = max(1, jobs // clients)
    firsts = [str(next(companies) if first is None else first) for _ in range(clients)]
    words = [sys.executable, "-m", "bench.with_light_client", ksef.base_url, job, str(each), *firsts]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        _hear(process)
        before = ksef.cpu_s()
        _tell(process)
        wall = float(_hear(process))
        return Load(each * clients, wall, ksef.cpu_s() - before)


def _hear(clients: subprocess.Popen[str]) -> str:
    assert clients.stdout is not None
    line = clients.stdout.readline()
    if not line:
        raise BenchError("the clients ended before their work was done")
    return line


def _tell(clients: subprocess.Popen[str]) -> None:
    assert clients.stdin is not None
    clients.stdin.write("go\n")
    clients.stdin.flush()


def _speed(found: dict[tuple[str, int, str], Load]) -> Table:
    return Table(
        ("job", "clients", "rate limits", "requests/s", "jobs/s", "sandbox CPU ms/job"),
        tuple(
            (
                job,
                clients,
                rates,
                round(one.jobs * REQUESTS[job] / one.wall_s),
                round(one.jobs / one.wall_s),
                one.cpu_ms,
            )
            for (job, clients, rates), one in found.items()
        ),
    )


def _size(subjects: int, jobs: int, repeats: int, companies: Iterator[int]) -> dict[str, Table]:
    """The same calls where one subject has ever come, and where very many have."""
    with _filled(1) as few, _filled(subjects) as many:
        held = [ksef.memory_mib() for ksef in (few, many)]
        calls: dict[str, list[float]] = {}
        for job in REQUESTS:
            # In turns, so that whatever else the machine does hits both alike; the very first of each kind are slower.
            turns = [[_calls(ksef, job, jobs, companies) for ksef in (few, many)] for _ in range(repeats + 1)][1:]
            calls[job] = [round(median(those), 2) for those in zip(*turns, strict=True)]
    certificates = (CERTIFICATES, subjects * CERTIFICATES)
    each = (held[1] - held[0]) * 1024 / (certificates[1] - certificates[0])
    return {
        "Memory": Table(
            ("subjects", "certificates", "RSS MiB", "KiB/certificate"),
            (
                (1, certificates[0], round(held[0], 1), None),
                (subjects, certificates[1], round(held[1], 1), round(each, 2)),
            ),
        ),
        f"Calls, CPU ms, with 1 and with {subjects} subjects of {CERTIFICATES} certificates each": Table(
            ("call", "1", str(subjects), "ratio"),
            tuple((job, one, other, ratio(other, one)) for job, (one, other) in calls.items()),
        ),
    }


def _filled(subjects: int) -> AbstractContextManager[LocalKsef]:
    return local_ksef([sys.executable, "-m", "bench.with_full_sandbox", str(subjects), str(CERTIFICATES)])


def _calls(ksef: LocalKsef, job: str, jobs: int, companies: Iterator[int]) -> float:
    """CPU ms of a call; single calls are made for a company that is among those already there."""
    first = None if job in ("sign-in", "pair") else with_full_sandbox.FIRST
    return load(ksef, job, clients=1, jobs=jobs, companies=companies, first=first).cpu_ms


def _starts(repeats: int) -> Table:
    commands = [_command_start() for _ in range(repeats)]
    inside = [
        Embedded(**json.loads(run([sys.executable, "-m", "bench.with_embedded_sandbox", str(TESTS)]).output))
        for _ in range(repeats)
    ]
    rows: Sequence[tuple[str, float | None, float]] = [
        ("ksef-sandbox, until its first answer", median(w for w, _ in commands), median(c for _, c in commands)),
        ("import of Sandbox", None, median(one.imported for one in inside)),
        ("its first start and end in a program", None, median(one.first_start for one in inside)),
        ("each later start and end: a test", None, median(one.test for one in inside)),
    ]
    return Table(("what", "wall s", "CPU s"), tuple((n, w and round(w, 3), round(c, 4)) for n, w, c in rows))


def _command_start() -> tuple[float, float]:
    began = time.monotonic()
    with local_ksef() as ksef:
        with urlopen(Request(f"{ksef.base_url}/auth/challenge", method="POST")) as answer:  # noqa: S310 - our own child
            answer.read()
        return time.monotonic() - began, ksef.cpu_s()

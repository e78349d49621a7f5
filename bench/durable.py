"""`python -m bench durable`: what it costs that nothing is lost, and how it grows with what waits.

The same pairs with and without durability against one sandbox; only the client's process is weighed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.processes import LocalKsef, local_ksef, run
from bench.report import Report, Table, ratio

KINDS = {
    "in-memory": "nothing is kept: a crash loses keys",
    "issue": "durable, for a caller who waits",
    "engine": "durable, ordered and carried out by the engine",
}
WAITING = (10, 10_000)
NIPS_OF_A_RUN = 1_000_000
NOTES = (
    "CPU: user and system time of the client's process from the first sign-in to the last proof; its imports and the\n"
    "making of the keys to sign in with are not counted. Requests are counted by the sandbox.",
    "The wall time has a floor: a pair signs in twice, and Klucznik's own pace allows 50 sign-ins a second.",
    "Waiting: the engine's process beside so many waiting rows in SQLite, and one look for the one that is due.",
)


@dataclass(frozen=True)
class Cost:
    """One run of so many pairs."""

    wall_s: float
    cpu_s: float
    requests: int


def measure(*, pairs: int, at_once: int, repeats: int) -> Report:
    """`pairs` of each kind, `at_once` in flight, in `repeats` turns."""
    nips = count(1_111_111_111, NIPS_OF_A_RUN)
    with local_ksef() as ksef:
        _cost(ksef, "issue", 2, at_once, nips)  # whatever is slow once
        turns = [{kind: _cost(ksef, kind, pairs, at_once, nips) for kind in KINDS} for _ in range(repeats)]
    bare = median(turn["in-memory"].cpu_s for turn in turns)
    rows = []
    for kind, meaning in KINDS.items():
        costs = [turn[kind] for turn in turns]
        cpu = median(one.cpu_s for one in costs)
        rows.append(
            (
                f"{kind}: {meaning}",
                round(cpu / pairs * 1000, 2),
                ratio(cpu, bare),
                round(median(one.wall_s for one in costs), 2),
                round(median(one.requests for one in costs) / pairs, 2),
            )
        )
    return Report(
        title=f"{pairs} pairs, {at_once} in flight, medians of {repeats}",
        tables={
            "Pairs": Table(("how", "CPU ms/pair", "ratio", "wall s", "requests/pair"), tuple(rows)),
            "Waiting": _growth(repeats),
        },
        notes=NOTES,
    )


def _cost(ksef: LocalKsef, kind: str, pairs: int, at_once: int, nips: Iterator[int]) -> Cost:
    with TemporaryDirectory() as home:
        words = [ksef.base_url, home, kind, str(pairs), str(at_once), str(next(nips))]
        ksef.requests()
        told = json.loads(run([sys.executable, "-m", "bench.with_durable", *words]).output)
        return Cost(told["wall_s"], told["cpu_s"], ksef.requests())


def _growth(repeats: int) -> Table:
    found = {waiting: [_waiting(waiting) for _ in range(repeats)] for waiting in WAITING}
    rows = [
        (
            waiting,
            round(median(one["memory_mib"] for one in those), 1),
            round(median(one["claim_ms"] for one in those), 3),
        )
        for waiting, those in found.items()
    ]
    (_, few_mib, few_ms), (_, many_mib, many_ms) = rows
    return Table(
        ("waiting issuances", "RSS MiB", "look ms"),
        (*rows, ("ratio", ratio(many_mib, few_mib), ratio(many_ms, few_ms))),
    )


def _waiting(waiting: int) -> dict[str, float]:
    with TemporaryDirectory() as home:
        told: dict[str, float] = json.loads(
            run([sys.executable, "-m", "bench.with_waiting", str(Path(home) / "home"), str(waiting)]).output
        )
        return told

"""`python -m bench cli`: whole processes as the user starts them, imports and all.

The operating system counts the CPU time (user and system, `os.wait4`); the job alone over a slow line is `pair`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeAlias

from bench.applicants import applicants
from bench.processes import BIN, Run, local_ksef, run
from bench.report import Report, Table, ratio

Words: TypeAlias = Sequence[str | Path]

KLUCZNIK = BIN / "klucznik"
LARGEST = 8  # imports shown
_IMPORT = re.compile(r"^import time: +(\d+) \| +\d+ \| +([\w.]+)$", re.MULTILINE)
_OURS = ("klucznik issue, fresh home", "klucznik issue, used home")
_THEIRS = "script on ksef-client"
NOTES = (
    "Each issue and each script signs in, reads limits and data, files two requests, retrieves the pair, proves both\n"
    "and ends the session; Klucznik also seals the keys and commits every step to disk, the script keeps nothing.",
    "CPU: user and system time of the whole process. Imports: own time of all modules of a package, in one run under\n"
    "-X importtime, which slows everything down; only the proportions count.",
)


@dataclass(frozen=True)
class Measured:
    """Medians of one kind of process, in seconds."""

    wall_s: float
    cpu_s: float

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Measured:
        return cls(round(median(one.wall_s for one in runs), 3), round(median(one.cpu_s for one in runs), 3))


def measure(*, repeats: int) -> Report:
    """Start each kind of process `repeats` times, in turns, so that whatever else the machine does hits all alike."""
    with TemporaryDirectory() as scratch, local_ksef() as ksef:
        some = applicants(Path(scratch))
        used = Path(scratch) / "used-home"

        def issue(home: Path | None) -> Words:
            applicant = next(some)
            nip, certificate, key = applicant.credential
            where = ["--home", str(home or applicant.certificate.parent / "home"), "--ksef-url", ksef.base_url]
            return [KLUCZNIK, *where, "issue", "--nip", nip, "--cert", certificate, "--key", key, "--json"]

        def script() -> Words:
            return [sys.executable, "-m", "bench.with_ksef_client", ksef.base_url, *next(some).credential]

        kinds: dict[str, Callable[[], Words]] = {
            "python -c pass": lambda: [sys.executable, "-c", "pass"],
            "klucznik --help": lambda: [KLUCZNIK, "--help"],
            "klucznik version": lambda: [KLUCZNIK, "version"],
            _OURS[0]: lambda: issue(None),
            _OURS[1]: lambda: issue(used),
            _THEIRS: script,
        }
        for command in kinds.values():  # compiles modules, makes the home a used one, warms up the sandbox
            run(command())
        runs: dict[str, list[Run]] = {name: [] for name in kinds}
        for _ in range(repeats):
            for name, command in kinds.items():
                runs[name].append(run(command()))
        imports = {
            "Largest imports of klucznik --help": _imports([KLUCZNIK, "--help"]),
            "Largest imports of klucznik issue": _imports(issue(used)),
        }
    found = {name: Measured.of(those) for name, those in runs.items()}
    tables = {"Processes": _processes(found), "Issue as a multiple of the script": _ratios(found)}
    return Report(f"Whole processes, median of {repeats}", {**tables, **imports}, NOTES)


def _processes(found: dict[str, Measured]) -> Table:
    return Table(
        ("process", "wall s", "CPU s"),
        tuple((name, one.wall_s, one.cpu_s) for name, one in found.items()),
    )


def _ratios(found: dict[str, Measured]) -> Table:
    theirs = found[_THEIRS]
    return Table(
        ("process", "wall ratio", "CPU ratio"),
        tuple(
            (name, ratio(found[name].wall_s, theirs.wall_s), ratio(found[name].cpu_s, theirs.cpu_s)) for name in _OURS
        ),
    )


def _imports(command: Words) -> Table:
    """Which packages a command spends its imports on."""
    told = run([sys.executable, "-X", "importtime", *command]).errors
    spent: Counter[str] = Counter()
    for microseconds, module in _IMPORT.findall(told):
        spent[_package(module)] += int(microseconds)
    rows = [(name, round(total / 1000, 1)) for name, total in spent.most_common(LARGEST)]
    return Table(("package", "ms"), (*rows, ("all", round(spent.total() / 1000, 1))))


def _package(module: str) -> str:
    top = module.partition(".")[0]
    return "the standard library" if top in sys.stdlib_module_names else top

"""Child processes: run one and weigh it, keep a sandbox for as long as it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

BIN = Path(sys.executable).parent


class BenchError(RuntimeError):
    """What was to be measured did not work; a figure of it would be a lie."""


@dataclass(frozen=True)
class Run:
    """One process from its start to its end. Seconds; `cpu_s` is user and system time of the process itself."""

    wall_s: float
    cpu_s: float
    output: str
    errors: str


def run(command: Sequence[str | Path]) -> Run:
    """Run a command to its end.

    Raises:
        BenchError: it did not end with 0.
    """
    # Into files: whoever reads pipes to their end has already waited for the process, and its own figures are gone.
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=_environment())
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        ended = Run(wall, used.ru_utime + used.ru_stime, output.read(), errors.read())
    if process.returncode != 0:
        raise BenchError(
            f"{' '.join(map(str, command))} ended with {process.returncode}:\n{ended.errors or ended.output}"
        )
    return ended


def _environment() -> dict[str, str]:
    """Ours, with compiled modules kept as any installation keeps them, whatever the developer's shell says."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class LocalKsef:
    """A running sandbox. `base_url` ends in ``/v2``."""

    base_url: str
    pid: int

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.base_url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def requests(self) -> int:
        """How many requests its own log has counted since the last call."""
        log = self.base_url.removesuffix("/v2") + "/sandbox/requests"
        with urlopen(log) as answer:  # noqa: S310 - our own child on localhost
            count = json.load(answer)["count"]
        with urlopen(Request(log, method="DELETE")):  # noqa: S310 - as above
            pass
        return int(count)

    def cpu_s(self) -> float:
        """User and system time of its process so far, in seconds: the clock that clock_getcpuclockid(3) names."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def memory_mib(self) -> float:
        """What its process holds in memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def ksef_sandbox(rate_profile: str = "off") -> list[str]:
    """The command `ksef-sandbox` on a free port. It decides at once, so that nobody waits for it."""
    switches = ("auth_delay_ms=0", "enroll_delay_ms=0", f"rate_profile={rate_profile}")
    settings = [word for switch in switches for word in ("--set", switch)]
    return [str(BIN / "ksef-sandbox"), "--port", "0", "--json", *settings]


@contextmanager
def local_ksef(command: Sequence[str] | None = None) -> Iterator[LocalKsef]:
    """A sandbox in a process of its own, by default `ksef-sandbox`. It tells its address as that does."""
    process = subprocess.Popen(command or ksef_sandbox(), stdout=subprocess.PIPE, text=True, env=_environment())
    assert process.stdout is not None
    try:
        yield LocalKsef(json.loads(process.stdout.readline())["base_url"], process.pid)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()

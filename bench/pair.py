"""`python -m bench pair`: a whole pair of certificates over a slow line, Klucznik beside `ksef-client`.

Only the job is weighed here, after the imports; whole processes are `cli`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.applicants import Applicant, applicants
from bench.marks import Marks, Moment
from bench.processes import BenchError, LocalKsef, local_ksef, run
from bench.proxy import Exchange, LatencyProxy, longest_chain
from bench.report import Report, Table, ratio

COLUMNS = ("client", "wall s", "CPU s", "requests", "handshakes", "critical path (round trips)")
NOTES = (
    "The critical path is the longest chain of exchanges (a handshake is one) each of which began after the one\n"
    "before had ended, as the proxy saw them: the wall time cannot be shorter than that many round trips.",
    "CPU: user and system time of the client's process for the job alone, without its imports.",
)


@dataclass(frozen=True)
class Part:
    """A job, or its beginning, in figures."""

    wall_s: float
    cpu_s: float
    requests: int
    handshakes: int
    chain: int


@dataclass(frozen=True)
class Job:
    """One run of one client."""

    to_pair: Part
    whole: Part


def measure(*, rtt_ms: float, tls: bool, repeats: int) -> Report:
    """Run both clients `repeats` times each, in turns, so that whatever else the machine does hits both alike."""
    ours: list[Job] = []
    theirs: list[Job] = []
    with TemporaryDirectory() as scratch, local_ksef() as ksef:
        some = applicants(Path(scratch))
        with LatencyProxy(*ksef.address, rtt_s=rtt_ms / 1000, handshakes=2 if tls else 1) as line:
            url = f"http://127.0.0.1:{line.port}/v2"
            # The sandbox's first requests of each kind are slower than all later ones.
            _run(ksef, line, _klucznik(url, next(some)))
            for _ in range(repeats):
                ours.append(_run(ksef, line, _klucznik(url, next(some))))
                theirs.append(_run(ksef, line, _ksef_client(url, next(some))))
    return Report(
        title=f"A pair of certificates, round trip {rtt_ms:g} ms{', as over TLS' if tls else ''}, median of {repeats}",
        tables={
            "Sign in, limits, data, two requests, polls, retrieval: the pair is held": _table(
                [job.to_pair for job in ours], [job.to_pair for job in theirs]
            ),
            "The same and then limits, a sign-in with the new certificate, a KOD II link, the session's end": _table(
                [job.whole for job in ours], [job.whole for job in theirs]
            ),
        },
        notes=NOTES,
    )


def _klucznik(url: str, applicant: Applicant) -> Sequence[str]:
    home = str(applicant.certificate.parent / "home")
    return [sys.executable, "-m", "bench.with_klucznik", url, home, *applicant.credential]


def _ksef_client(url: str, applicant: Applicant) -> Sequence[str]:
    return [sys.executable, "-m", "bench.with_ksef_client", url, *applicant.credential]


def _run(ksef: LocalKsef, line: LatencyProxy, command: Sequence[str]) -> Job:
    marks = Marks.heard(run(command).output)
    exchanges = line.taken()
    whole = _part(marks, marks.ended, exchanges)
    answered = ksef.requests()
    if answered != whole.requests:
        raise BenchError(f"the proxy saw {whole.requests} requests, the sandbox {answered}")
    return Job(_part(marks, marks.pair_held, exchanges), whole)


def _part(marks: Marks, until: Moment, exchanges: Sequence[Exchange]) -> Part:
    those = [exchange for exchange in exchanges if exchange.began <= until.at]
    handshakes = sum(exchange.connecting for exchange in those)
    return Part(
        wall_s=until.at - marks.started.at,
        cpu_s=until.cpu_s - marks.started.cpu_s,
        requests=len(those) - handshakes,
        handshakes=handshakes,
        chain=longest_chain(those),
    )


def _table(ours: Sequence[Part], theirs: Sequence[Part]) -> Table:
    mine, other = _medians(ours), _medians(theirs)
    ratios = (ratio(float(a), float(b)) for a, b in zip(mine, other, strict=True))
    return Table(COLUMNS, (("klucznik", *mine), ("ksef-client", *other), ("ratio", *ratios)))


def _medians(parts: Sequence[Part]) -> tuple[float, float, int, int, int]:
    return (
        round(median(part.wall_s for part in parts), 3),
        round(median(part.cpu_s for part in parts), 3),
        round(median(part.requests for part in parts)),
        round(median(part.handshakes for part in parts)),
        round(median(part.chain for part in parts)),
    )

"""What a client that is measured tells of itself, as one line of JSON on stdout."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Moment:
    """Where the process stood: the monotonic clock (shared by all processes of a machine) and its CPU time, seconds."""

    at: float
    cpu_s: float

    @classmethod
    def now(cls) -> Moment:
        return cls(time.monotonic(), time.process_time())


@dataclass(frozen=True)
class Marks:
    """One job: from after the imports, over the pair in hand, to its end with both proofs."""

    started: Moment
    pair_held: Moment
    ended: Moment

    def tell(self) -> None:
        print(json.dumps(asdict(self)))

    @classmethod
    def heard(cls, line: str) -> Marks:
        told = json.loads(line)
        return cls(Moment(**told["started"]), Moment(**told["pair_held"]), Moment(**told["ended"]))

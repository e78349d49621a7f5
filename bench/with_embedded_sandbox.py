"""The sandbox inside a program, as a test has it: `python -m bench.with_embedded_sandbox TESTS`. Tells CPU seconds."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True)
class Embedded:
    """CPU seconds: the import, the first start with its first answer, and the median of all later starts and ends."""

    imported: float
    first_start: float
    test: float


def main(tests: int) -> Embedded:
    began = time.process_time()
    from ksef_sandbox import Sandbox

    imported = time.process_time() - began
    spent = []
    for _ in range(tests + 1):
        began = time.process_time()
        with Sandbox() as ksef:
            ksef.now()
        spent.append(time.process_time() - began)
    return Embedded(imported, spent[0], median(spent[1:]))


if __name__ == "__main__":
    print(json.dumps(asdict(main(int(sys.argv[1])))))

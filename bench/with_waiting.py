"""An engine beside so many waiting issuances: `python -m bench.with_waiting HOME WAITING`.

Prints what the process holds in memory, and what it costs to find the one that is due among them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import Connection

from klucznik.domain.certificates import PAIR
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.waits import Wait, WaitKind
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.storage import issuances

FIRST_NIP = 1_111_111_111
LOOKS = 200


def _waiting(number: int, until: datetime) -> Issuance:
    nip = str(FIRST_NIP + number)
    now = datetime.now(UTC)
    return Issuance(
        id=f"{number:032x}",
        environment=Environment.SANDBOX,
        context=Context.of_nip(nip),
        subject=Subject(SubjectType.NIP, nip),
        key_type=KeyType.EC,
        state=IssuanceState.UNDERWAY,
        missing=PAIR,
        created_at=now,
        wait=Wait(WaitKind.PROCESSING, until, now),
    )


async def run(home: Path, count: int) -> dict[str, float]:
    now = datetime.now(UTC)
    # No KSeF is there, and none is asked: whoever is due is found, not taken on.
    async with await Installation.open(home, ksef_url="http://127.0.0.1:9/v2") as klucznik:

        def fill(connection: Connection) -> None:
            for number in range(count):
                until = now - timedelta(seconds=1) if number == count // 2 else now + timedelta(days=1)
                issuances.add(connection, _waiting(number, until), now=now)

        def look(connection: Connection) -> int:
            return len(issuances.due(connection, Environment.SANDBOX, now=now, most=32))

        await klucznik.database.write(fill)
        took = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            assert await klucznik.database.read(look) == 1
            took.append(time.perf_counter() - began)
        engine = Engine(klucznik)
        engine.stop()
        await engine.run()
        status = Path("/proc/self/status").read_text()
        return {
            "claim_ms": median(took) * 1000,
            "memory_mib": int(status.partition("VmRSS:")[2].split()[0]) / 1024,
        }


if __name__ == "__main__":
    home, count = sys.argv[1:]
    print(json.dumps(asyncio.run(run(Path(home), int(count)))))

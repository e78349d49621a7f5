"""The whole job with Klucznik's library: `python -m bench.with_klucznik BASE_URL HOME NIP CERTIFICATE KEY`.

The imports of a long-lived program are not counted here; `python -m bench cli` counts everything.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.marks import Marks, Moment
from klucznik.domain.certificates import PAIR
from klucznik.domain.identifiers import Context
from klucznik.keys.credential import load_credential
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue
from klucznik.services.progress import Progress, Stage


async def job(base_url: str, home: Path, nip: str, certificate: Path, key: Path) -> Marks:
    started, held = Moment.now(), []

    def listener(progress: Progress) -> None:
        if progress.stage is Stage.RETRIEVED:
            held.append(Moment.now())

    credential = load_credential(cert=certificate, key=key, password=None, now=datetime.now(UTC))
    async with await Installation.open(home, ksef_url=base_url) as klucznik:
        outcome = await issue(klucznik, Context.of_nip(nip), credential, listener=listener)
    assert isinstance(outcome, Issued)
    assert len(outcome.certificates) == len(outcome.proofs) == len(held) == len(PAIR)
    return Marks(started, held[-1], Moment.now())


if __name__ == "__main__":
    base_url, home, nip, certificate, key = sys.argv[1:]
    asyncio.run(job(base_url, Path(home), nip, Path(certificate), Path(key))).tell()

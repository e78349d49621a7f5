"""A process that issues a pair as `klucznik issue` does.

Run as a script: home, address of its database or nothing, address of KSeF, NIP, directory of the credential.
Used by `test_crashes`.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from klucznik.domain.identifiers import Context
from klucznik.keys.credential import load_credential
from klucznik.services.installation import Installation
from klucznik.services.issue import issue


async def main(home: str, database: str, url: str, nip: str, directory: str) -> None:
    cert, key = Path(directory) / "credential.crt", Path(directory) / "credential.key"
    credential = load_credential(cert=cert, key=key, password=None, now=datetime.now(UTC))
    async with await Installation.open(Path(home), database_url=database or None, ksef_url=url) as klucznik:
        await issue(klucznik, Context.of_nip(nip), credential)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

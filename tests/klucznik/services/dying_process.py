"""A process that issues a pair as `klucznik issue` does and is killed by the system at a named moment.

Run as a script: home, address of its database or nothing, address of KSeF, NIP, directory of the credential, moment.
Used by `test_crashes`.
"""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import httpx

from klucznik.domain.identifiers import Context
from klucznik.keys.credential import load_credential
from klucznik.services.installation import Installation
from klucznik.services.issue import issue
from klucznik.services.progress import Progress, Stage

# A stage of the road, and which time it is told: the process dies when it has heard it.
STAGES = {
    "keys are committed": (Stage.KEYS_COMMITTED, 1),
    "the first request is filed": (Stage.REQUEST_FILED, 1),
    "both requests are filed": (Stage.REQUEST_FILED, 2),
    "the first certificate is issued": (Stage.ISSUED, 1),
    "both certificates are issued": (Stage.ISSUED, 2),
    "the first certificate is in the vault": (Stage.RETRIEVED, 1),
    "both certificates are in the vault": (Stage.RETRIEVED, 2),
    "the proofs begin": (Stage.VERIFYING, 1),
    "both certificates are proved": (Stage.VERIFIED, 2),
}
# Which request it is, and whether KSeF gets it before the process dies.
REQUESTS = {
    "the first request leaves": (1, False),
    "the first answer comes": (1, True),
    "the second request leaves": (2, False),
    "the second answer comes": (2, True),
}
MOMENTS = (*STAGES, *REQUESTS)


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


class Dying(httpx.AsyncHTTPTransport):
    def __init__(self, moment: str) -> None:
        super().__init__()
        self._nth, self._arrives = REQUESTS.get(moment, (0, False))
        self._filed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path.endswith("/certificates/enrollments"):
            self._filed += 1
            if self._filed == self._nth:
                if self._arrives:
                    await super().handle_async_request(request)
                die()
        return await super().handle_async_request(request)


async def main(home: str, database: str, url: str, nip: str, directory: str, moment: str) -> None:
    stage, times = STAGES.get(moment, (None, 0))
    heard: list[Stage] = []

    def listen(progress: Progress) -> None:
        heard.append(progress.stage)
        if stage is not None and heard.count(stage) == times:
            die()

    files = {"cert": Path(directory) / "credential.crt", "key": Path(directory) / "credential.key"}
    credential = load_credential(**files, password=None, now=datetime.now(UTC))
    async with await Installation.open(
        Path(home), database_url=database or None, ksef_url=url, transport=Dying(moment)
    ) as klucznik:
        await issue(klucznik, Context.of_nip(nip), credential, listener=listen)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

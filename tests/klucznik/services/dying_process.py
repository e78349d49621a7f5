"""Orders a pair with keys on a token as a process of its own, and dies by SIGKILL once both keys are made.

Run by `test_keys_on_token`: home, database, address of KSeF, NIP, directory of the credential, PKCS#11 library.
"""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.klucznik.tokens import HSM, HSM_PIN

from klucznik.domain.identifiers import Context
from klucznik.domain.key_uri import KeyUri
from klucznik.domain.keytype import KeyType
from klucznik.keys.credential import load_credential
from klucznik.keys.key_token import KeyToken
from klucznik.keys.pkcs11 import Pkcs11
from klucznik.keys.token_key import TokenKey
from klucznik.services.installation import Installation
from klucznik.services.issue import issue


@dataclass(frozen=True)
class Dying(KeyToken):
    """Makes the second key, and then there is no process any more that could commit where it is."""

    made: list[str] = field(default_factory=list)

    def make_key(self, key_type: KeyType, key_id: str) -> TokenKey:
        key = super().make_key(key_type, key_id)
        self.made.append(key_id)
        if len(self.made) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return key


async def main(home: str, database: str, url: str, nip: str, directory: str, module: str) -> None:
    cert, key = Path(directory) / "credential.crt", Path(directory) / "credential.key"
    credential = load_credential(cert=cert, key=key, password=None, now=datetime.now(UTC))
    token = Dying(Pkcs11(module), KeyUri(token=HSM), HSM_PIN)
    opened = await Installation.open(Path(home), database_url=database or None, ksef_url=url, key_token=token)
    async with opened as klucznik:
        await issue(klucznik, Context.of_nip(nip), credential, keys_on_token=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

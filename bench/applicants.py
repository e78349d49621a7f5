"""Companies that ask for certificates: each run takes a new one, so that no limit and no earlier pair is in its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from klucznik.domain.identifiers import Subject, SubjectType, nip_checksum_ok
from klucznik.keys.credential import Credential
from klucznik.keys.holder import read_holder
from klucznik.keys.test_credential import self_signed, write_test_credential


@dataclass(frozen=True)
class Applicant:
    """A NIP with the files of a self-signed seal."""

    nip: str
    certificate: Path
    key: Path

    @property
    def credential(self) -> tuple[str, str, str]:
        """The words of a command line: NIP, certificate file, key file."""
        return self.nip, str(self.certificate), str(self.key)


def valid_nips() -> Iterator[str]:
    """As many as are asked for."""
    for number in count(521_000_000):
        for digit in range(10):
            nip = f"{number}{digit}"
            if nip_checksum_ok(nip):
                yield nip


def applicants(directory: Path) -> Iterator[Applicant]:
    """As many as are asked for; their files lie in `directory`."""
    for nip in valid_nips():
        files = write_test_credential(directory / nip, Subject(SubjectType.NIP, nip), now=datetime.now(UTC))
        yield Applicant(nip, files.certificate_file, files.key_file)


def seal(nip: str) -> Credential:
    """The same without files."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = self_signed(Subject(SubjectType.NIP, nip), key, now=datetime.now(UTC) - timedelta(minutes=1))
    return Credential(made, key, "bench.crt", "bench.key", read_holder(made))

"""Companies that ask for certificates: each run takes a new one, so that no limit and no earlier pair is in its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from klucznik.domain.identifiers import Subject, SubjectType, nip_checksum_ok
from klucznik.keys.test_credential import write_test_credential


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


def applicants(directory: Path) -> Iterator[Applicant]:
    """As many as are asked for, with valid checksums; their files lie in `directory`."""
    for number in count(521_000_000):
        for digit in range(10):
            nip = f"{number}{digit}"
            if nip_checksum_ok(nip):
                subject = Subject(SubjectType.NIP, nip)
                files = write_test_credential(directory / nip, subject, now=datetime.now(UTC))
                yield Applicant(nip, files.certificate_file, files.key_file)

"""Everything random or numbered: reference numbers, serials, identifiers, key material (facts.md §1.2, §3.2).
With a seed all of it repeats; without one it comes from the operating system.
"""

import random
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """The two letters of a reference number."""

    CHALLENGE = "CR"
    AUTHENTICATION = "AU"
    ENROLLMENT = "EH"
    PERMISSION_OPERATION = "EG"
    TOKEN = "EC"  # noqa: S105  (a kind, no secret)


class Randomness:
    """A source of everything unpredictable, repeatable when seeded.

    `generation` counts how often a state file was opened: a reopened seeded sandbox must not
    hand out the numbers of its first life again.
    """

    def __init__(self, seed: int | None, generation: int = 0) -> None:
        self._random = random.SystemRandom() if seed is None else random.Random(f"{seed}/{generation}")

    def hex(self, digits: int) -> str:
        """Upper-case hex digits."""
        return f"{self._random.getrandbits(4 * digits):0{digits}X}"

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def integer(self, bits: int) -> int:
        return self._random.getrandbits(bits)

    def uuid(self) -> str:
        """A version 4 UUID in lower case, 36 characters."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def reference(self, kind: Kind, now: datetime) -> str:
        """`YYYYMMDD-XX-10HEX-10HEX-2HEX`, 36 characters; the groups are random (ASSUME of facts.md §1.2)."""
        return f"{now:%Y%m%d}-{kind}-{self.hex(10)}-{self.hex(10)}-{self.hex(2)}"

    def certificate_serial(self) -> str:
        """Sixteen upper-case hex digits that start with 01 (facts.md §3.2)."""
        return f"01{self.hex(14)}"

"""Hashes passwords with Argon2id. Which passwords are good enough is `domain.passwords`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

# RFC 9106, section 4, the second recommended option: 64 MiB and three passes, for machines that do other things too.
# Above OWASP's least (19 MiB, 2 passes). One lane: on a machine of two cores a sign-in takes one of them, not both.
_MEMORY_KIB = 64 * 1024
_PASSES = 3


@dataclass
class Argon2:
    """The one way in which passwords are hashed here.

    Old hashes say in themselves how they were made: `is_old` finds those that were made otherwise.
    """

    memory_kib: int = _MEMORY_KIB
    passes: int = _PASSES

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher, Type  # a command needs none of it

        return PasswordHasher(time_cost=self.passes, memory_cost=self.memory_kib, parallelism=1, type=Type.ID)

    @cached_property
    def of_nobody(self) -> str:
        """A hash that no password fits, as dear to look at as any other."""
        import secrets

        return self.hash(secrets.token_urlsafe(32))

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def fits(self, password: str, hashed: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def is_old(self, hashed: str) -> bool:
        """Whether it was made with other parameters than now."""
        return self._hasher.check_needs_rehash(hashed)

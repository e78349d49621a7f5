"""The two kinds of private key that KSeF certifies. Making them lives in `keys.generate`."""

from __future__ import annotations

from enum import StrEnum


class KeyType(StrEnum):
    """EC is P-256, RSA has 2048 bits; KSeF accepts nothing else (facts.md §3.5)."""

    EC = "ec"
    RSA = "rsa"

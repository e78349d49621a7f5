"""Private keys as they rest: sealed under a data key, which is wrapped by the master key.

Only the shapes, which `keys.vault` makes and `storage` saves; nothing here can open them.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WrappedDataKey:
    """A data key, wrapped.

    Attributes:
        master_key_id: which master key wrapped it, so that a wrong one is recognised before anything is tried.
    """

    id: str
    master_key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyBinding:
    """What a sealed key is bound to: moved to another subject or environment, it does not open."""

    environment: str
    subject_type: str
    subject_value: str = field(repr=False)


@dataclass(frozen=True)
class SealedKey:
    """A private key, sealed."""

    key_id: str
    algorithm: str
    data_key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)

"""What the numbers mean that a command ends with. The same everywhere; listed in docs/cli.md."""

from __future__ import annotations

from enum import IntEnum

from klucznik.errors import InputError, KlucznikError, KsefRefused, KsefUnavailable, SignatureNeeded


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    REFUSED_BY_LIMITS = 3
    REFUSED_BY_KSEF = 4
    SIGN_AGAIN = 5
    KSEF_UNAVAILABLE = 6
    NOT_ALL_RENEWED = 7
    INTERRUPTED = 130


_CODES: tuple[tuple[type[KlucznikError], Exit], ...] = (
    (InputError, Exit.BAD_INPUT),
    (KsefRefused, Exit.REFUSED_BY_KSEF),
    (SignatureNeeded, Exit.SIGN_AGAIN),
    (KsefUnavailable, Exit.KSEF_UNAVAILABLE),
)


def code_of(error: KlucznikError) -> Exit:
    """The exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)

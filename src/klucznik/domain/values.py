"""The one exception of the domain: a value that cannot be what it claims to be."""

from __future__ import annotations


class InvalidValue(ValueError):
    """A value breaks a rule of its kind.

    Args:
        reason: name of the message that explains it (a key of the catalogue, for example ``nip_malformed``).
        data: what the message needs; never a secret.
    """

    def __init__(self, reason: str, **data: str | int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.data = data

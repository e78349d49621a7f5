"""The two limits of a subject as KSeF tells them (facts.md §4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Allowance:
    """How much is left of how much."""

    remaining: int
    limit: int


@dataclass(frozen=True)
class Limits:
    """KSeF's answer to ``GET /certificates/limits``.

    Attributes:
        can_request: KSeF's own verdict; false as soon as either `remaining` is 0 (facts.md §4.3).
        enrollment: certificate requests in the current period. Revoking never gives one back.
        certificate: active certificates that may be held. Revoking frees one.
    """

    can_request: bool
    enrollment: Allowance
    certificate: Allowance

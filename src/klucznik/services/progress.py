"""What a service tells while it works. Data, not words: whoever shows it makes the sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from klucznik.domain.certificates import CertificateType
from klucznik.domain.limits import Limits


class Stage(StrEnum):
    SIGNING_IN = "signing_in"
    SIGNED_IN = "signed_in"
    SUBJECT_BUSY = "subject_busy"
    LIMITS_READ = "limits_read"
    KEYS_COMMITTED = "keys_committed"
    REQUEST_FILED = "request_filed"
    ANSWER_LOST = "answer_lost"
    RECONCILED = "reconciled"
    PACED = "paced"
    WAITING_FOR_KSEF = "waiting_for_ksef"
    ISSUED = "issued"
    RETRIEVED = "retrieved"
    VERIFYING = "verifying"
    VERIFIED = "verified"


@dataclass(frozen=True)
class Progress:
    """One thing that has just happened, or that is being waited for.

    Attributes:
        seconds: how long the wait will take, where that is known.
    """

    stage: Stage
    type: CertificateType | None = None
    limits: Limits | None = None
    seconds: float | None = None


Listener: TypeAlias = Callable[[Progress], None]


def unheard(_: Progress) -> None:
    """For callers who do not want to know."""

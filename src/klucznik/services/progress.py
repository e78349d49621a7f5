"""What a service tells while it works. Data, not words: whoever shows it makes the sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from klucznik.domain.certificates import CertificateType
from klucznik.domain.deployment import Deployment
from klucznik.domain.issuance import Failure, Issuance
from klucznik.domain.limits import Limits


class Stage(StrEnum):
    TAKEN_ON = "taken_on"  # somebody begins to work on an issuance: what follows in the same task is about it
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
    REJECTED = "rejected"  # one request; its issuance goes on to its end
    FILING_ANEW = "filing_anew"  # KSeF dropped a request, and a new one takes its place
    GRANTING = "granting"  # KSeF has accepted a grant to the operator and is working on it
    GRANTED = "granted"
    WITHDRAWING = "withdrawing"
    WITHDRAWN = "withdrawn"
    GRANT_ANSWER_LOST = "grant_answer_lost"
    PROVING = "proving"  # the operator signs in to the company
    NOT_YET_LET_IN = "not_yet_let_in"  # KSeF takes a while from a grant to letting the operator in
    WAITING = "waiting"  # the wait is in the row, and nobody works on the issuance until it is over
    ENDED = "ended"
    HOOK_ENDED = "hook_ended"  # a program that brings renewed certificates elsewhere


class Settled(StrEnum):
    """What became of a request whose answer was lost."""

    ADOPTED = "adopted"  # it had arrived; its certificate is taken over
    FOUND_AGAIN = "found_again"  # that it had arrived was known; only its status was gone
    NEVER_ARRIVED = "never_arrived"
    GIVEN_UP = "given_up"  # nobody can tell


@dataclass(frozen=True)
class Progress:
    """One thing that has just happened, or that is being waited for.

    Attributes:
        seconds: how long the wait will take, where that is known.
        issuance: as its row says now; with TAKEN_ON, WAITING, ENDED and HOOK_ENDED.
        taken_over: with TAKEN_ON: whoever worked for the subject before has not given it back (it died or froze).
        settled: with RECONCILED.
        failure: with REJECTED.
        deployment: with HOOK_ENDED; `output`: what the program wrote.
    """

    stage: Stage
    type: CertificateType | None = None
    limits: Limits | None = None
    seconds: float | None = None
    issuance: Issuance | None = None
    taken_over: bool = False
    settled: Settled | None = None
    failure: Failure | None = None
    deployment: Deployment | None = None
    output: str = ""


Listener: TypeAlias = Callable[[Progress], None]


def unheard(_: Progress) -> None:
    """For callers who do not want to know."""

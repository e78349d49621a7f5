"""Bringing renewed certificates to other programs: what is known of each hook of a renewal, and when it runs (again).

Pure. A hook that has ended well never runs again for the same renewal. One that failed, ran out of time or was cut off
by a crash runs again, for its program would otherwise be left with a certificate that ends: so a hook has to bear that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# With the pauses below, the last attempt is some four days after the first.
ATTEMPTS = 8
_FIRST_PAUSE = timedelta(hours=1)
_LONGEST_PAUSE = timedelta(hours=24)


class DeploymentState(StrEnum):
    PLANNED = "planned"
    STARTED = "started"  # and where nobody is at it: cut off, nobody knows how far it came
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    UNTRUSTED = "untrusted"  # others might have changed the program: it was not run
    MISSING = "missing"  # it was there when the renewal ended and is not any more

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to do about it."""
        return self in (DeploymentState.SUCCEEDED, DeploymentState.MISSING)


@dataclass(frozen=True)
class Deployment:
    """One hook of one renewal.

    Attributes:
        hook: name of a program in the directory of hooks, or ``connection:NIP``.
        attempts: how often it was started.
        exit_code: of the last attempt; None: it was not run, or did not end by itself.
    """

    issuance_id: str
    hook: str
    state: DeploymentState = DeploymentState.PLANNED
    attempts: int = 0
    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def given_up(self) -> bool:
        """Tried as often as it is tried without being told to."""
        return not self.state.settled and self.attempts >= ATTEMPTS

    def next_run(self) -> datetime | None:
        """When it may be run next; None: now, or (`given_up`) only when told to."""
        if self.started_at is None or self.state.settled or self.given_up:
            return None
        pause = min(_FIRST_PAUSE * (1 << (self.attempts - 1)), _LONGEST_PAUSE)
        return self.started_at + pause

    def may_run(self, now: datetime, *, told_to: bool) -> bool:
        """Whether to run it now, given that nobody is running it."""
        if self.state.settled:
            return False
        if told_to:
            return True
        at = self.next_run()
        return not self.given_up and (at is None or at <= now)


def all_settled(deployments: Sequence[Deployment]) -> bool:
    return all(one.state.settled for one in deployments)

"""What an issuance may wait for, and how long until it is looked at again.

Pure. A wait is a fact of the row, so it costs no thread, no connection and no process; who wakes is services.engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# Waiting for limits ends here: whoever still wants certificates then orders anew.
LONGEST_WAIT_FOR_LIMITS = timedelta(days=60)
# KSeF is asked again for a certificate while it gives a wrong one: it may well hold the right one, and the request is
# spent. After so many wrong answers over so long it is believed.
WRONG_ANSWERS = 5
WRONG_FOR = timedelta(minutes=3)


class WaitKind(StrEnum):
    PROCESSING = "processing"  # KSeF works on a request
    UNSETTLED = "unsettled"  # a request whose answer was lost may still show
    PACED = "paced"  # KSeF, or our own pace, allows the next call later
    KSEF_UNAVAILABLE = "ksef_unavailable"
    WRONG_CERTIFICATE = "wrong_certificate"  # KSeF gave another certificate than was asked for
    NEEDS_SIGNATURE = "needs_signature"  # the login is over and only a person can sign a new one
    PKCS11_AWAY = "pkcs11_away"  # the card or HSM with the keys does not answer
    PKCS11_REFUSES = "pkcs11_refuses"  # its PIN or its settings are wrong: only a person can try again
    LIMITS = "limits"  # the limits leave no room, and the user wants to wait


@dataclass(frozen=True)
class Wait:
    """One wait.

    Attributes:
        until: when to look again; None: only a person can end it.
        since: when it began; looking again and waiting on for the same does not change it.
        looks: how many times in a row it has come to the same.
        reason: name of the error that led here, where there was one.
    """

    kind: WaitKind
    until: datetime | None
    since: datetime
    looks: int = 1
    reason: str | None = None


def wait_after(
    previous: Wait | None, kind: WaitKind, until: datetime | None, now: datetime, reason: str | None = None
) -> Wait:
    """The wait that comes after `previous`; for the same kind it is the same wait, looked at once more."""
    if previous is None or previous.kind is not kind:
        return Wait(kind, until, now, 1, reason)
    return Wait(kind, until, previous.since, previous.looks + 1, reason)


@dataclass(frozen=True)
class _Pauses:
    """Starts short, grows by a factor, stops growing."""

    first_s: float
    growth: float
    longest_s: float

    def nth(self, looks: int) -> timedelta:
        exponent = min(looks, 60)  # beyond any pause that still grows; a float must not overflow
        return timedelta(seconds=min(self.first_s * self.growth**exponent, self.longest_s))


_PAUSES = {
    WaitKind.UNSETTLED: _Pauses(10, 1.1, 600),
    WaitKind.KSEF_UNAVAILABLE: _Pauses(5, 2, 900),
    WaitKind.PKCS11_AWAY: _Pauses(15, 2, 900),
    WaitKind.WRONG_CERTIFICATE: _Pauses(5, 3, 900),
}


def pause(kind: WaitKind, looks: int) -> timedelta:
    """How long to wait before looking for the next time; for polls of a status see `domain.polling`.

    Args:
        looks: how many times in a row it has already been looked for.
    """
    return _PAUSES[kind].nth(looks)


def believed(wait: Wait | None, now: datetime) -> bool:
    """Whether one more wrong certificate, after those of `wait`, is KSeF's last word."""
    if wait is None or wait.kind is not WaitKind.WRONG_CERTIFICATE:
        return False
    return wait.looks + 1 >= WRONG_ANSWERS and now - wait.since >= WRONG_FOR

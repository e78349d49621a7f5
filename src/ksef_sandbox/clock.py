"""The sandbox's one clock: real time plus an offset that tests move.
Nothing in the sandbox asks the machine for the time except here.
"""

from datetime import UTC, datetime, timedelta

# The CA is valid from 2000 to 2100: whatever it signs within these lies within its own time.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2098, 1, 1, tzinfo=UTC)


class ClockError(ValueError):
    """A moment to which the clock does not go; the message is a whole sentence."""


class Clock:
    """Wall-clock time in UTC, shifted by `offset`."""

    def __init__(self, offset: timedelta = timedelta()) -> None:
        self.offset = offset

    def now(self) -> datetime:
        """The sandbox's present moment, timezone-aware UTC."""
        return datetime.now(UTC) + self.offset

    def advance(self, by: timedelta) -> None:
        """Move the clock; a negative duration moves it back."""
        self.offset += by

    def set(self, moment: datetime) -> None:
        """Make `moment` (with an offset from UTC) the present, or raise ClockError; time then runs on from there."""
        if not EARLIEST <= moment < LATEST:
            raise ClockError(f"The clock goes from {EARLIEST.year} to {LATEST.year - 1}.")
        self.offset = moment.astimezone(UTC) - datetime.now(UTC)

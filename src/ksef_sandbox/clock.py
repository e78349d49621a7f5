"""The sandbox's one clock: real time plus an offset that tests move.
Nothing in the sandbox asks the machine for the time except here.
"""

from datetime import UTC, datetime, timedelta


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
        """Make `moment` (with an offset from UTC) the present; time then runs on from there."""
        self.offset = moment.astimezone(UTC) - datetime.now(UTC)

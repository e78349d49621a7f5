"""When one more call to KSeF keeps its limits on calls (facts.md §1.4), and what is remembered to know that.

Pure. Who asks before each call is `ksef.pacing`; where the counts are shared between workers is `storage.paces`.
Moments and durations are whole microseconds (since 1970, UTC): this runs before every call.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import cached_property
from hashlib import blake2b

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

# Whatever is remembered from further ahead than this was written by a clock that was wrong: it is forgotten.
CLOCK_DOUBT = 5 * MINUTE
# After a block one call goes alone: its answer tells whether the block is over before the others follow. It is short
# enough to be waited for (`ksef.pacing.PATIENCE`).
PROBE = 2 * SECOND
# Those who are told to come later get moments one after the other; a line is no longer than this, then it starts anew.
LONGEST_LINE = HOUR
# Nobody is told to come much later than KSeF itself says.
LONGEST_LINE_AFTER_BLOCK = 10 * SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """The moment in microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(moment: int) -> datetime:
    """The moment as a datetime, UTC."""
    return _EPOCH + timedelta(microseconds=moment)


@dataclass(frozen=True)
class Window:
    """At most `calls` calls in any `length`.

    Attributes:
        margin: added to `length`. KSeF counts a call when it arrives, not when we send it: the first of a full window
            may have been longer on the way (a new connection, a busy process) than the one after it. And the clocks
            of several workers are never quite alike.
    """

    calls: int
    length: int
    margin: int

    @property
    def until_free(self) -> int:
        """How long a call fills a place."""
        return self.length + self.margin

    @property
    def spacing(self) -> int:
        """The distance of calls that fill the window evenly."""
        return self.until_free // self.calls


class Scope(Enum):
    """Whose calls KSeF counts together."""

    CONTEXT = auto()  # one context from one IP address, whoever signed in
    ADDRESS = auto()  # all from one IP address


@dataclass(frozen=True)
class Quota:
    """KSeF's limits on the calls of one route.

    Attributes:
        windows: shortest first.
    """

    scope: Scope
    windows: tuple[Window, ...]

    @cached_property
    def remembered(self) -> int:
        """How many calls must be remembered to know them all kept."""
        return max(window.calls for window in self.windows)


# The group `other`. A second's burst is soon stopped by the minute anyway, so its margin can be wide.
OTHER = Quota(
    Scope.CONTEXT,
    (
        Window(10, SECOND, margin=SECOND // 2),
        Window(30, MINUTE, margin=SECOND),
        Window(120, HOUR, margin=3 * SECOND),
    ),
)
# Routes without a group. Here the margin costs throughput: 50 of the 60 sign-ins a second are left.
PER_ADDRESS = Quota(Scope.ADDRESS, (Window(60, SECOND, margin=SECOND // 5),))

_PER_ADDRESS_ROUTES = frozenset(
    {
        "/auth/challenge",
        "/auth/xades-signature",
        "/auth/ksef-token",
        "/auth/{referenceNumber}",
        "/auth/token/redeem",
        "/auth/token/refresh",
        "/security/public-key-certificates",
    }
)


def quota_of(route: str) -> Quota:
    """The quota of a route (path template) that Klucznik calls; all the groups of invoices are none of its business."""
    return PER_ADDRESS if route in _PER_ADDRESS_ROUTES else OTHER


@dataclass(frozen=True)
class Counter:
    """One of KSeF's counters: each route has its own, for each context or for all from our address.

    Attributes:
        method, route: KSeF's endpoint, with the path template.
        context: None where all calls from our address are counted together. An installation has one address; workers
            with several are paced as if they shared it.
    """

    environment: Environment
    method: str
    route: str
    context: Context | None = None

    @classmethod
    def of(cls, environment: Environment, method: str, route: str, context: Context | None) -> Counter:
        """The counter that a call counts on; `context` is whom it acts for."""
        return cls(environment, method, route, context if quota_of(route).scope is Scope.CONTEXT else None)

    @property
    def quota(self) -> Quota:
        return quota_of(self.route)

    @cached_property
    def key(self) -> int:
        """64 bits that stand for it where counts are stored: short, evenly spread, and no NIP."""
        named = f"{self.environment} {self.method} {self.route} {self.context or ''}"
        return int.from_bytes(blake2b(named.encode(), digest_size=8).digest(), "big", signed=True)


@dataclass(frozen=True)
class Booked:
    """The call may be made at this moment, and is counted."""

    at: int


@dataclass(frozen=True)
class Later:
    """The call must not be made; nothing is counted. Come back at this moment."""

    at: int


@dataclass(frozen=True)
class Pace:
    """What is remembered of one counter.

    Attributes:
        taken: moments of the latest calls, oldest first; also of those booked for a moment to come.
        turn: the moment that was told last to one who must come later.
        blocked_until: the end of the block that KSeF's last 429 spoke of.
        touched: when this was written.
    """

    taken: tuple[int, ...] = field(default=())
    turn: int = 0
    blocked_until: int = 0
    touched: int = 0


def believed(pace: Pace, now: int) -> Pace:
    """The same, or nothing at all where a clock was turned back since, or where nothing in it can matter any more.

    So it makes no difference when that is really forgotten.
    """
    return pace if pace.touched <= now + CLOCK_DOUBT and not forgettable(pace, now) else Pace()


def forgettable(pace: Pace, now: int) -> bool:
    """Whether nothing in it can matter any more."""
    return max(pace.touched, pace.turn, pace.blocked_until) < forgotten_before(now)


def forgotten_before(now: int) -> int:
    """What was touched, told and blocked before this moment cannot matter any more."""
    return now - HOUR - MINUTE


def earliest(pace: Pace, windows: tuple[Window, ...], now: int) -> tuple[int, int]:
    """The first moment from `now` on at which one more call keeps every window, after all calls already booked.

    Returns:
        The moment, and the distance at which those who must wait for it are best spread.
    """
    taken, blocked_until = pace.taken, pace.blocked_until
    at, spacing = max(now, taken[-1]) if taken else now, windows[0].spacing
    for window in windows:
        # Booked one after the other, the calls are in order: so the one that must have left the window is known.
        if len(taken) >= window.calls and (free := taken[-window.calls] + window.until_free) > at:
            at, spacing = free, window.spacing
    if at < blocked_until:
        return blocked_until, windows[0].spacing
    if blocked_until and _probing(taken, blocked_until) and at < taken[-1] + PROBE:
        return taken[-1] + PROBE, windows[0].spacing
    return at, spacing


def _probing(taken: tuple[int, ...], blocked_until: int) -> bool:
    """Whether the latest call is the first since the block."""
    return bool(taken) and taken[-1] >= blocked_until and (len(taken) < 2 or taken[-2] < blocked_until)


def book(pace: Pace, quota: Quota, now: int, patience: int) -> tuple[Pace, Booked | Later]:
    """Book one call, unless it would have to wait longer than `patience`. What is remembered from then on, and when."""
    known = believed(pace, now)
    at, spacing = earliest(known, quota.windows, now)
    if at <= now + patience:
        taken = (*known.taken, at)[-quota.remembered :]
        return replace(known, taken=taken, touched=now), Booked(at)
    turn = _in_line(known.turn + spacing, at, LONGEST_LINE)
    return replace(known, turn=turn, touched=now), Later(turn)


def block(pace: Pace, quota: Quota, now: int, until: int) -> tuple[Pace, Later]:
    """KSeF has answered 429: no call before `until`. When the one who was told so should come back."""
    known = believed(pace, now)
    blocked_until = max(known.blocked_until, until)
    turn = _in_line(known.turn + quota.windows[0].spacing, blocked_until, LONGEST_LINE_AFTER_BLOCK)
    return replace(known, turn=turn, blocked_until=blocked_until, touched=now), Later(turn)


def _in_line(following: int, first: int, longest: int) -> int:
    """The next place in the line that starts at `first`, so that those who wait do not come all at once."""
    return following if first <= following <= first + longest else first


class Paces:
    """Counts in the memory of one process. Those that no longer matter fall out."""

    def __init__(self) -> None:
        self._paces: dict[int, Pace] = {}  # the longest untouched first

    def __len__(self) -> int:
        return len(self._paces)

    def book(self, counter: Counter, now: int, patience: int) -> Booked | Later:
        pace, answer = book(self._taken_out(counter, now), counter.quota, now, patience)
        self._paces[counter.key] = pace
        return answer

    def block(self, counter: Counter, now: int, until: int) -> Later:
        pace, answer = block(self._taken_out(counter, now), counter.quota, now, until)
        self._paces[counter.key] = pace
        return answer

    def blocked_until(self, counter: Counter, now: int) -> int:
        return believed(self._paces.get(counter.key, Pace()), now).blocked_until

    def _taken_out(self, counter: Counter, now: int) -> Pace:
        pace = self._paces.pop(counter.key, None)
        if pace is not None:
            return pace
        while self._paces and forgettable(self._paces[oldest := next(iter(self._paces))], now):
            del self._paces[oldest]
        return Pace()

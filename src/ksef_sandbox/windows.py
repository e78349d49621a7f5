"""Sliding windows: how many calls a counter has seen in its last second, minute and hour, and whether it is blocked.
Which calls a counter counts, and what its limits are, is in `ratelimits.py`.
"""

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

CAPACITY = 20_000
HOUR_S = 3600
FIRST_BLOCK_S = 30


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` calls in any `seconds`; `name` is the unit in KSeF's sentence."""

    seconds: int
    limit: int
    name: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """No call passes for this long, and the window because of which."""

    seconds: float
    window: Window


@dataclass(slots=True)
class _Counter:
    calls: "array[float]" = field(default_factory=lambda: array("d"))  # moments of the last hour, oldest first
    last: float = 0.0
    blocked_until: float = 0.0
    block_s: int = 0  # length of the last block, 0: none in the last hour
    tripped: Window | None = None


class SlidingWindows:
    """Counters by key, of which the longest unused fall out beyond `capacity`. A counter holds an hour of calls,
    no more than its limit let pass: a refused call is not counted. A clock that goes back empties its counter.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._counters: OrderedDict[Hashable, _Counter] = OrderedDict()
        self._capacity = capacity

    def hit(self, key: Hashable, now: float, windows: tuple[Window, ...], *, escalates: bool) -> Blocked | None:
        """Count a call at `now` (seconds), or say why it must not pass.

        A full window blocks the counter for 30 s; when `escalates`, for twice as long as the last time, up to an hour,
        until the counter has gone without a block for an hour.
        """
        counter = self._counter(key, now)
        counter.last = now
        if counter.tripped is not None and now < counter.blocked_until:
            return Blocked(counter.blocked_until - now, counter.tripped)
        del counter.calls[: bisect_right(counter.calls, now - HOUR_S)]
        full = next((window for window in windows if self._is_full(counter, now, window)), None)
        if full is None:
            counter.calls.append(now)
            return None
        repeated = counter.block_s > 0 and now < counter.blocked_until + HOUR_S
        counter.block_s = min(counter.block_s * 2, HOUR_S) if escalates and repeated else FIRST_BLOCK_S
        counter.blocked_until, counter.tripped = now + counter.block_s, full
        return Blocked(counter.block_s, full)

    def clear(self) -> None:
        self._counters.clear()

    def __len__(self) -> int:
        return len(self._counters)

    def _counter(self, key: Hashable, now: float) -> _Counter:
        counter = self._counters.get(key)
        if counter is None or now < counter.last:
            counter = self._counters[key] = _Counter()
        self._counters.move_to_end(key)
        if len(self._counters) > self._capacity:
            self._counters.popitem(last=False)
        return counter

    @staticmethod
    def _is_full(counter: _Counter, now: float, window: Window) -> bool:
        return len(counter.calls) - bisect_right(counter.calls, now - window.seconds) >= window.limit

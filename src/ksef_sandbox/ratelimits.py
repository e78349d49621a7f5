"""API rate limits (facts.md §1.4): which calls are counted together, and the 429 of a call too many.
The values are in `limits.py`, the counting in `windows.py`. Counters are in memory: a restart empties them.

A route with a group is counted for each (context, client IP), whoever signs in to the context; each route has a counter
of its own, because "other" shares values, not a counter. A route without a group is counted for each IP, and each of
them alone too: the specification gives every one of them its own 60 a second.
"""

from collections.abc import Hashable
from math import ceil

from ksef_sandbox.errors import TooManyRequests
from ksef_sandbox.limits import effective_rates
from ksef_sandbox.pipeline import Call, Hook, Route
from ksef_sandbox.windows import SlidingWindows, Window

_PER_ADDRESS = (Window(1, 60, "sekundę"),)


class RateLimits(Hook):
    """Refuses a call too many before it is applied; a call without a valid token is refused before and not counted."""

    def __init__(self, windows: SlidingWindows) -> None:
        self._windows = windows

    async def before_apply(self, call: Call) -> None:
        switches = call.world.switches
        if call.route is None or switches.rate_profile == "off":
            return
        key, windows = _counted(call, call.route)
        now = call.world.clock.now().timestamp()
        blocked = self._windows.hit(key, now, windows, escalates=switches.retry_after_escalation == "double")
        if blocked is not None:
            wait, window = ceil(blocked.seconds), blocked.window
            raise TooManyRequests(
                wait, f"Przekroczono limit {window.limit} żądań na {window.name}. Spróbuj ponownie po {wait} sekundach."
            )


def _counted(call: Call, route: Route) -> tuple[Hashable, tuple[Window, ...]]:
    """The counter of a call, and its limits."""
    if route.rate_group is None:
        return (None, call.client_ip, route.method, route.path), _PER_ADDRESS
    context = call.caller.context if call.caller else None
    rates = effective_rates(call.world, context)[route.rate_group]
    windows = (
        Window(1, rates.per_second, "sekundę"),
        Window(60, rates.per_minute, "minutę"),
        Window(3600, rates.per_hour, "godzinę"),
    )
    return (context, call.client_ip, route.method, route.path), windows

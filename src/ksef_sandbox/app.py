"""The web application: every route of /v2 behind one pipeline, the management face under /sandbox.
Which server runs it, and where, is `server.py`.
"""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from ksef_sandbox.faults.hook import FaultHook
from ksef_sandbox.pipeline import PREFIX, Hook, Pipeline
from ksef_sandbox.ratelimits import RateLimits
from ksef_sandbox.routes.all import ROUTES
from ksef_sandbox.state import World


def default_hooks(world: World) -> tuple[Hook, ...]:
    """What every sandbox does with every request, in this order: first the rate limits, last the faults."""
    return (RateLimits(world.rate_windows), FaultHook(world.faults))


def create_app(world: World, hooks: Sequence[Hook] = ()) -> ASGIApp:
    """Build the application over a world; it holds no state of its own. `hooks` see every /v2 request, in order."""
    return _Application(world, Pipeline(world, ROUTES, tuple(hooks)))


class _Application:
    """Sends a request to the one face or the other. The management face costs 0.2 s to load: only when it is asked."""

    def __init__(self, world: World, ksef: ASGIApp) -> None:
        self._world, self._ksef = world, ksef
        self._management: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(f"{PREFIX}/"):
            await self._ksef(scope, receive, send)
            return
        if self._management is None:
            from ksef_sandbox.management import app as management

            self._management = management.create_app(self._world)
        await self._management(scope, receive, send)

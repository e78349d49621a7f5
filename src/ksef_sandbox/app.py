"""The web application: every route of /v2 behind one pipeline, the management face under /sandbox.
Which server runs it, and where, is `server.py`.
"""

from collections.abc import Sequence
from itertools import groupby

from fastapi import FastAPI

from ksef_sandbox import (
    management,
    routes_auth,
    routes_certificates,
    routes_elsewhere,
    routes_limits,
    routes_permission_queries,
    routes_permissions,
    routes_testdata,
    routes_tokens,
)
from ksef_sandbox.pipeline import METHODS, PREFIX, Hook, Pipeline, Route
from ksef_sandbox.ratelimits import RateLimits
from ksef_sandbox.state import World

ROUTES: tuple[Route, ...] = (
    *routes_tokens.ROUTES,  # before /auth/{referenceNumber}, which would take /auth/ksef-token for itself
    *routes_auth.ROUTES,
    *routes_certificates.ROUTES,
    *routes_limits.ROUTES,
    *routes_permissions.ROUTES,
    *routes_permission_queries.ROUTES,
    *routes_testdata.ROUTES,
    *routes_elsewhere.ROUTES,
)


def default_hooks(world: World) -> tuple[Hook, ...]:
    """What every sandbox does with every request, in this order: first the rate limits."""
    return (RateLimits(world.rate_windows),)


def create_app(world: World, hooks: Sequence[Hook] = ()) -> FastAPI:
    """Build the application over a world; it holds no state of its own. `hooks` see every /v2 request, in order."""
    app = FastAPI(title="ksef-sandbox", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    pipeline = Pipeline(world, tuple(hooks))
    for path, routes in groupby(ROUTES, key=lambda route: route.path):
        app.router.add_route(PREFIX + path, pipeline.endpoint(tuple(routes)), list(METHODS))
    app.router.add_route(PREFIX + "/{path:path}", pipeline.endpoint(()), list(METHODS))
    management.install(app, world)
    return app

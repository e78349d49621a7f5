"""The web application: every route of /v2 behind one pipeline, the management face under /sandbox.
Which server runs it, and where, is `server.py`.
"""

from itertools import groupby

from fastapi import FastAPI

from ksef_sandbox import management, routes_auth, routes_certificates, routes_limits, routes_testdata
from ksef_sandbox.pipeline import METHODS, PREFIX, Pipeline, Route
from ksef_sandbox.state import World

ROUTES: tuple[Route, ...] = (
    *routes_auth.ROUTES,
    *routes_certificates.ROUTES,
    *routes_limits.ROUTES,
    *routes_testdata.ROUTES,
)


def create_app(world: World) -> FastAPI:
    """Build the application over a world; it holds no state of its own."""
    app = FastAPI(title="ksef-sandbox", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    pipeline = Pipeline(world)
    for path, routes in groupby(ROUTES, key=lambda route: route.path):
        app.router.add_route(PREFIX + path, pipeline.endpoint(tuple(routes)), list(METHODS))
    app.router.add_route(PREFIX + "/{path:path}", pipeline.endpoint(()), list(METHODS))
    management.install(app, world)
    return app

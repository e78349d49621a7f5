"""The API as an application of its own under `/api/v1`: its routes, how its errors look, what describes it."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI

from klucznik import api
from klucznik.access.settings import WebSettings
from klucznik.api import openapi, problems
from klucznik.api.asked import only_known_parameters
from klucznik.services.installation import Installation
from klucznik.services.telling.events import Feed
from klucznik.services.telling.rounds import Outlets

PREFIX = "/api/v1"


def create_api(klucznik: Installation, settings: WebSettings, outlets: Outlets, feed: Feed) -> FastAPI:
    """The API of one installation."""
    app = _Described(
        title="Klucznik",
        version="1",
        # The description holds no data, so anybody may read it.
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        root_path_in_servers=False,
        redirect_slashes=False,
        # Clients made from the description name their methods so; two of the same name are an error of ours.
        generate_unique_id_function=lambda route: route.name,
        servers=[{"url": settings.public_url + PREFIX}],
    )
    app.state.klucznik = klucznik
    app.state.settings = settings
    app.state.outlets = outlets
    app.state.feed = feed
    app.state.routes = openapi.routes()
    for router in api.ROUTERS:
        app.include_router(router, dependencies=[Depends(only_known_parameters)])
    problems.add_handlers(app)
    return app


class _Described(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.describe(self)
        return self.openapi_schema

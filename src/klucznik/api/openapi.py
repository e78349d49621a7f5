"""The description of the API (OpenAPI 3.1), made from its routes: the key, the scope, and the problems of each."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from klucznik import api
from klucznik.access.keys import RequiresKey
from klucznik.api.problems import FieldProblem, KsefProblem, Problem, documented
from klucznik.domain.roles import Action

_SCHEME = "key"
# With which problems any route may end, whatever it does.
_EVERYWHERE = (401, 403, 422, 500, 503)
_WITH_BODY = (413,)
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait before coming back", "schema": {"type": "integer", "minimum": 1}}
}
_REQUEST_ID = {"X-Request-Id": {"description": "Names this request in the log", "schema": {"type": "string"}}}
_DESCRIPTION = """\
Klucznik connects companies to KSeF and keeps their certificates. Every request brings a key (`klucznik api-key add`);
errors are Problem Details whose `reason` a program decides by; lists are pages by key; what makes something brings an
`Idempotency-Key`. A private key is never in an answer. See docs/api.md for a walk through it.
"""
_TAGS = (
    ("connections", "Companies, and by what they are acted for"),
    ("limits", "What KSeF still allows a subject, and whether a pair can be issued"),
    ("certificates", "Certificates here and in KSeF"),
    ("issuances", "Orders for certificates, the refusal and its ways out"),
    ("invitations", "Companies that are asked to connect themselves"),
    ("imports", "Many companies at once"),
    ("events", "What has happened, as a list and as a stream"),
    ("webhooks", "Addresses that are told of events"),
    ("audit", "The audit log: who did what, and when"),
    ("onboardings", "From a NIP to a connection, step by step: signature, limits, order, ways out"),
    ("operator", "Who runs this installation"),
)


def describe(app: FastAPI) -> dict[str, Any]:
    described = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=_DESCRIPTION,
        routes=app.routes,
        servers=app.servers,
        tags=[{"name": name, "description": text} for name, text in _TAGS],
    )
    components = described.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (Problem, FieldProblem, KsefProblem):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for framework in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework, None)
    components["securitySchemes"] = {
        _SCHEME: {"type": "http", "scheme": "bearer", "description": "A key of the API: `klk_…`"}
    }
    for route in routes():
        for method in route.methods or ():
            _complete(described["paths"][route.path_format][method.lower()], scope_of(route))
    return described


def routes() -> list[APIRoute]:
    """Every route of the API, as its router has it."""
    return [route for router in api.ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def scope_of(route: APIRoute) -> Action:
    """Which scope a route demands; raises ValueError where it demands none."""
    (scope,) = {one.action for one in _called(route.dependant) if isinstance(one, RequiresKey)}
    return scope


def _called(dependant: Dependant) -> Iterator[object]:
    for one in dependant.dependencies:
        yield one.call
        yield from _called(one)


def _complete(operation: dict[str, Any], scope: Action) -> None:
    operation["security"] = [{_SCHEME: []}]
    operation["x-scope"] = scope.value
    operation["description"] = f"{operation.get('description', '')}\n\nScope: `{scope.value}`".strip()
    statuses = (*_EVERYWHERE, *(_WITH_BODY if "requestBody" in operation else ()))
    for status, response in documented(*statuses).items():
        operation["responses"][str(status)] = response  # 422 in place of the framework's own
    for status, response in operation["responses"].items():
        headers = response.setdefault("headers", {})
        headers.update(_REQUEST_ID)
        if int(status) in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            headers.update(_RETRY_AFTER)
    operation["responses"] = dict(sorted(operation["responses"].items()))

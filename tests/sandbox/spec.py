"""Checks an answer of the sandbox against the official specification: status, media type, headers, body.
Stricter than the specification in one point: properties that it does not name are refused too.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator, FormatChecker
from tests.official import SPECIFICATION, official_file

# What HTTP itself refuses is not in the specification (facts.md §1.3); the sandbox answers it as a problem.
_HTTP_REFUSALS = {404, 405, 413, 415, 501}
_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@cache
def specification() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(official_file(SPECIFICATION).read_text(encoding="utf-8"))
    return document


def check(response: httpx.Response, prefix: str = "/v2") -> None:
    """Fail unless the specification allows this answer to this request."""
    method, path = response.request.method.lower(), response.request.url.path.removeprefix(prefix)
    where = f"{method.upper()} {path} -> {response.status_code} {response.text[:500]}"
    operation = operation_for(method, path)
    documented = operation["responses"] if operation else {}
    answer = documented.get(str(response.status_code))
    if answer is None:
        assert response.status_code in _HTTP_REFUSALS, f"undocumented status: {where}"
        assert operation is None or response.status_code in {413, 415, 501}, f"undocumented status: {where}"
        _check_body(response, {"application/problem+json": {"schema": _PROBLEM}}, where)
        return
    _check_headers(response, answer, where)
    _check_body(response, answer.get("content", {}), where)


def operation_for(method: str, path: str) -> dict[str, Any] | None:
    for pattern, methods in _routes():
        if method in methods and pattern.fullmatch(path):
            operation: dict[str, Any] = methods[method]
            return operation
    return None


@cache
def _routes() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Paths of the specification, those without parameters first, as HTTP routers do."""
    paths = sorted(specification()["paths"].items(), key=lambda item: "{" in item[0])
    return [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), methods) for path, methods in paths]


def _check_headers(response: httpx.Response, answer: dict[str, Any], where: str) -> None:
    if "Retry-After" in answer.get("headers", {}):
        assert response.headers["Retry-After"].isdigit(), f"no Retry-After: {where}"


def _check_body(response: httpx.Response, content: dict[str, Any], where: str) -> None:
    if not content:
        assert response.content == b"", f"a body where none is documented: {where}"
        return
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    assert media_type in content, f"media type {media_type!r} is not documented: {where}"
    errors = list(_errors(response.json(), content[media_type]["schema"]))
    assert not errors, f"{where}\n" + "\n".join(errors)


def _errors(body: object, schema: dict[str, Any]) -> Iterator[str]:
    whole = {**_converted(schema), "components": _components()}
    validator = Draft202012Validator(whole, format_checker=_formats)
    for error in validator.iter_errors(body):
        yield f"{error.json_path}: {error.message}"


@cache
def _components() -> dict[str, Any]:
    converted: dict[str, Any] = _converted(specification()["components"])
    return converted


def _converted(node: Any) -> Any:
    """OpenAPI 3.0 to JSON Schema 2020-12: `nullable` becomes a union, objects take no other properties."""
    if isinstance(node, list):
        return [_converted(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: _converted(value) for key, value in node.items() if key not in ("nullable", "example", "examples")}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return {"anyOf": [schema, {"type": "null"}]} if node.get("nullable") is True else schema


_PROBLEM = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "traceId": {"type": "string"},
    },
}

"""Writes docs/examples/klucznik_client.py: a client of the API in one file, made from the API's own description.

python scripts/api_client.py
"""

from __future__ import annotations

import asyncio
import keyword
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from klucznik.access.settings import WebSettings
from klucznik.api.app import create_api
from klucznik.services.installation import Installation
from klucznik.services.telling.events import Feed
from klucznik.services.telling.rounds import Outlets

TARGET = Path(__file__).parents[1] / "docs" / "examples" / "klucznik_client.py"
Schema = dict[str, Any]
_SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"} | {
    "object": "dict[str, Any]"
}

_HEAD = '''\
"""A client of Klucznik's API. Made from its description by scripts/api_client.py: change it there.

Needs httpx alone. Every method is a route of the API; what it takes and gives are dictionaries of these shapes.
"""

from __future__ import annotations

import uuid
from types import TracebackType
from typing import Any, Literal, NotRequired, Self, TypedDict, cast

import httpx


class Refused(Exception):
    """A request was not carried out. Decide by `reason`; `problem` is all that the API has said (RFC 9457)."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem['reason']}: {problem['detail']}")
        self.reason: str = problem["reason"]
        self.status: int = problem["status"]
        self.problem = problem


'''
_CLIENT = '''\
class Client:
    """The API of one installation.

    Args:
        url: where it is, for example ``https://klucznik.example.pl``.
        key: a key of the API, ``klk_…``.
        language: of the words, ``pl`` or ``en``.
        wait_s: how long to wait for an answer.
    """

    def __init__(self, url: str, key: str, *, language: str = "pl", wait_s: float = 90) -> None:
        headers = {"authorization": f"Bearer {key}", "accept-language": language}
        self._http = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=wait_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str | None] | None = None,
        body: object = None,
    ) -> Any:
        answer = self._http.request(
            method,
            path,
            params={name: value for name, value in (query or {}).items() if value is not None},
            headers={name: value for name, value in (headers or {}).items() if value is not None},
            json=body,
        )
        if answer.is_error:
            raise Refused(answer.json())
        return answer.json() if answer.content else None
'''


def client() -> str:
    """The whole file."""
    description = asyncio.run(_description())
    methods = "".join(_method(*one) for one in _operations(description))
    shapes = "".join(_shape(name, schema) for name, schema in _used(description))
    return _tidy(_HEAD + shapes + _CLIENT + methods)


async def _description() -> Schema:
    with tempfile.TemporaryDirectory() as home:
        async with await Installation.open(Path(home)) as klucznik:
            app = create_api(klucznik, WebSettings("http://localhost:8080"), Outlets(), Feed(klucznik))
            return app.openapi()


def _operations(description: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Those that speak JSON; streams and files are for other tools."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            bodies = operation.get("requestBody", {}).get("content", {"application/json": {}})
            answers = [one.get("content", {}) for status, one in operation["responses"].items() if status < "300"]
            if "application/json" in bodies and all(not one or "application/json" in one for one in answers):
                yield path, method, operation


def _used(description: Schema) -> list[tuple[str, Schema]]:
    """The schemas that the methods name, and those that these name."""
    schemas, found = description["components"]["schemas"], dict[str, Schema]()
    waiting = [name for *_, operation in _operations(description) for name in _named(_json_parts(operation))]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = schemas[name]
            waiting += _named(schemas[name])
    return sorted(found.items())


def _json_parts(operation: Schema) -> list[Any]:
    answers = [one.get("content", {}) for status, one in operation["responses"].items() if status < "300"]
    return [operation.get("requestBody", {}), answers, operation.get("parameters", [])]


def _named(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"].rsplit("/", 1)[-1]
        for value in part.values():
            yield from _named(value)
    elif isinstance(part, list):
        for value in part:
            yield from _named(value)


def _shape(name: str, schema: Schema) -> str:
    told = "".join(f"    # {line}\n" for line in textwrap.wrap(_first_line(schema), 110))
    if "enum" in schema:
        return f"{name} = Literal[{', '.join(map(repr, schema['enum']))}]\n\n\n"
    required = set(schema.get("required", ()))
    fields = {field: _type(one) for field, one in schema.get("properties", {}).items()}
    said = {field: kind if field in required else f"NotRequired[{kind}]" for field, kind in fields.items()}
    if any(keyword.iskeyword(field) for field in said):  # a name that Python keeps for itself
        pairs = ", ".join(f"{field!r}: {kind!r}" for field, kind in said.items())
        return f"{name} = TypedDict({name!r}, {{{pairs}}})\n\n\n"
    lines = "".join(f"    {field}: {kind}\n" for field, kind in said.items()) or "    pass\n"
    return f"class {name}(TypedDict):\n{told}{lines}\n\n"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return f"Literal[{', '.join(map(repr, schema.get('enum') or [schema['const']]))}]"
    if schema.get("type") == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"dict[str, {_type(schema['additionalProperties'])}]"
    return _SIMPLE.get(str(schema.get("type")), "Any")


def _method(path: str, method: str, operation: Schema) -> str:
    parameters = operation.get("parameters", [])
    places = {place: [one for one in parameters if one["in"] == place] for place in ("path", "query", "header")}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    first = [f"{one['name']}: {_type(one['schema'])}" for one in places["path"]]
    first += [f"body: {_type(body)}"] if body else []
    later = [_optional(one) for one in (*places["query"], *places["header"])]
    signature = ", ".join(["self", *first, *(["*", *later] if later else [])])
    given = [f"{method.upper()!r}", _path(path)]
    if places["query"]:
        given.append(f"query={{{', '.join(_pair(one) for one in places['query'])}}}")
    if places["header"]:
        given.append(f"headers={{{', '.join(_pair(one) for one in places['header'])}}}")
    given += ["body=body"] if body else []
    answer, asked = _answer(operation), f"self._ask({', '.join(given)})"
    doing = f"        {asked}\n" if answer == "None" else f"        return cast({answer!r}, {asked})\n"
    lines = [f"\n    def {operation['operationId']}({signature}) -> {answer}:\n"]
    said, margin = f'"""{operation["summary"]}. {_first_line(operation)}"""', " " * 8
    told = textwrap.fill(said, 110, initial_indent=margin, subsequent_indent=margin)
    return "".join([*lines, told, "\n", doing])


def _answer(operation: Schema) -> str:
    found = [
        _type(content["application/json"]["schema"])
        for status, one in sorted(operation["responses"].items())
        if status < "300" and (content := one.get("content"))
    ]
    return " | ".join(dict.fromkeys(found)) or "None"


def _python_name(parameter: Schema) -> str:
    name = str(parameter["name"]).lower().replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) or name == "type" else name


def _optional(parameter: Schema) -> str:
    kind = _type(parameter["schema"])
    return f"{_python_name(parameter)}: {kind if kind.endswith('| None') else kind + ' | None'} = None"


def _pair(parameter: Schema) -> str:
    value = _python_name(parameter)
    # Whoever gives no name of their own to a request gets one, so that nothing is done twice.
    made = f"{value} or str(uuid.uuid4())" if parameter["name"].lower() == "idempotency-key" else value
    return f"{parameter['name']!r}: {made}"


def _path(path: str) -> str:
    return f"f{path!r}" if "{" in path else repr(path)


def _first_line(part: Schema) -> str:
    line = str(part.get("description", "")).split("\n\n")[0].replace("\n", " ")
    sentence = line.split(". ")[0].rstrip(".")
    return f"{sentence}." if sentence else ""


def _tidy(code: str) -> str:
    """As every file here is written."""
    ruff = [str(Path(sys.executable).with_name("ruff")), "format", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(ruff, input=code, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    TARGET.write_text(client(), encoding="utf-8")

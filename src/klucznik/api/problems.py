"""Errors of the API: Problem Details (RFC 9457), with the reasons, the data and the words that every interface has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from klucznik.access.gate import installation_of
from klucznik.access.keys import key_holder
from klucznik.access.requests import request_id
from klucznik.access.statuses import outward, retry_after, status_of
from klucznik.access.unforeseen import Unforeseen
from klucznik.api.language import words_of
from klucznik.domain.values import InvalidValue
from klucznik.errors import AccessDenied, Datum, InputError, KlucznikError, KsefRefused, StorageError
from klucznik.messages.errors import error_text

_log = logging.getLogger("klucznik.server")

MEDIA_TYPE = "application/problem+json"
# Where nobody knows when KSeF or the database will be back.
_COME_BACK_IN_S = 10
_ABSENT = {404: "route_unknown", 405: "method_not_allowed", 413: "body_too_large"}
_OF_KSEF = frozenset({"status", "code", "text", "details", "trace_id"})


class FieldProblem(BaseModel):
    """What is wrong with one part of a request.

    `pointer` is a JSON pointer into the body; for a parameter, its name is after the slash.
    """

    model_config = ConfigDict(extra="forbid", title="FieldProblem")

    where: str = Field(description="`body`, `query`, `path` or `header`", examples=["body"])
    pointer: str = Field(description="JSON pointer (RFC 6901) of the part", examples=["/nip"])
    code: str = Field(description="What is wrong with it, for machines", examples=["missing"])
    detail: str = Field(examples=["The value is missing."])


class KsefProblem(BaseModel):
    """What KSeF itself has said; its help desk asks for the trace id."""

    model_config = ConfigDict(extra="forbid", title="KsefProblem")

    status: int | None = Field(description="HTTP status of KSeF's answer", examples=[400])
    code: int | None = Field(description="KSeF's code", examples=[25006])
    text: str = Field(description="KSeF's words")
    details: list[str]
    trace_id: str | None


class Problem(BaseModel):
    """Why a request was not carried out (RFC 9457). `reason` is what a program decides by; its names are kept."""

    model_config = ConfigDict(
        extra="forbid",
        title="Problem",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:klucznik:problem:not_connected",
                    "title": "Not found",
                    "status": 404,
                    "detail": "The company 5265877635 is not connected here.",
                    "instance": "urn:klucznik:request:6f1c1bb0b6a54b8c9a3f5f6d6f0b8f0a",
                    "reason": "not_connected",
                    "data": {"nip": "5265877635"},
                    "now": "Connect it first.",
                    "who": None,
                    "changed_by": None,
                    "ksef": None,
                    "errors": [],
                }
            ]
        },
    )

    type: str = Field(description="`urn:klucznik:problem:` and the reason")
    title: str = Field(description="What kind of problem it is, in words")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What happened, in the language of `Accept-Language` (Polish when it says nothing)")
    instance: str = Field(description="`urn:klucznik:request:` and the id in `X-Request-Id`")
    reason: str = Field(description="Stable name of what happened")
    data: dict[str, str | int | None] = Field(description="The numbers and names that the words are about")
    now: str | None = Field(description="What to do, in words")
    who: str | None = Field(description="Who can change it, in words")
    changed_by: str | None = Field(description="Who can change it, for machines")
    ksef: KsefProblem | None
    errors: list[FieldProblem] = Field(description="Each part of the request that is wrong; of 422 alone")


def add_handlers(app: FastAPI) -> None:
    """Every error of `app` becomes a problem."""
    app.add_exception_handler(KlucznikError, _on_error)
    app.add_exception_handler(InvalidValue, _on_invalid_value)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_malformed)
    app.add_middleware(Unforeseen, tell=_on_surprise)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses` of a route: those that its own work can end with. What every route has is added by `openapi`."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem(request: Request, error: KlucznikError, *, errors: Sequence[FieldProblem] = ()) -> Response:
    """The answer that tells of an error."""
    error = outward(error)
    words, status = words_of(request), status_of(error)
    text = error_text(error, words, in_api=True)
    told = Problem(
        type=f"urn:klucznik:problem:{error.reason}",
        title=words.say(f"problem.title.{status}"),
        status=status,
        detail=text.what,
        instance=f"urn:klucznik:request:{request_id(request)}",
        reason=error.reason,
        data=_data(error),
        now=text.now,
        who=text.who,
        changed_by=None if text.changed_by is None else text.changed_by.value,
        ksef=_ksef(error),
        errors=list(errors),
    )
    return JSONResponse(
        told.model_dump(), status, headers=_headers(request, error, status, words.language), media_type=MEDIA_TYPE
    )


async def too_large(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to a body that is not even read."""
    await problem(Request(scope), AccessDenied("body_too_large"))(scope, receive, send)


def _data(error: KlucznikError) -> dict[str, Datum]:
    left_out = _OF_KSEF if isinstance(error, KsefRefused) else frozenset[str]()
    return {name: value for name, value in error.data.items() if name not in left_out}


def _ksef(error: KlucznikError) -> KsefProblem | None:
    if not isinstance(error, KsefRefused):
        return None
    return KsefProblem(
        status=error.status, code=error.code, text=error.text, details=list(error.details), trace_id=error.trace_id
    )


def _headers(request: Request, error: KlucznikError, status: int, language: str) -> dict[str, str]:
    headers = {"content-language": language, "vary": "Accept-Language"}
    if status == 401:
        invalid = "" if error.reason == "key_missing" else ', error="invalid_token"'
        headers["www-authenticate"] = f'Bearer realm="klucznik"{invalid}'
    seconds = retry_after(error, installation_of(request).clock.now().timestamp())
    if seconds is None and status == 503:
        seconds = _COME_BACK_IN_S
    if seconds is not None:
        headers["retry-after"] = str(seconds)
    return headers


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, KlucznikError)  # noqa: S101  registered for these alone
    if isinstance(error, StorageError) and status_of(error) >= 500:
        _log.error("a request was not carried out: %s", error)
    return problem(request, error)


async def _on_invalid_value(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidValue)  # noqa: S101  registered for these alone
    return problem(request, InputError(error.reason, **error.data))


async def _on_http_error(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: no such route, no such method, too large."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for these alone
    reason = _ABSENT.get(error.status_code)
    if reason is None:  # a body that is no text
        return await _malformed(request, ())
    answer = problem(request, AccessDenied(reason))
    if error.status_code == 405:  # the framework names those of one route alone
        answer.headers["allow"] = ", ".join(_methods(request))
    return answer


def _methods(request: Request) -> list[str]:
    """What may be done at this address."""
    here = [one for one in request.app.state.routes if one.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for one in here for method in one.methods})


async def _on_malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for these alone
    found = [_field(request, one) for one in error.errors()]
    if any(one.code == "not_json" for one in found) and not _says_json(request):
        found = [_told(request, "header", "/content-type", "not_sent_as_json")]
    return await _malformed(request, found)


async def _malformed(request: Request, errors: Sequence[FieldProblem]) -> Response:
    """Bodies are read before the gate is asked: whoever has no key is told that, and nothing of the request."""
    try:
        await key_holder(request)
    except AccessDenied as error:
        return problem(request, error)
    return problem(request, InputError("request_malformed"), errors=errors)


async def _on_surprise(request: Request, _: Exception) -> Response:
    return problem(request, KlucznikError("api_failed"))


def _says_json(request: Request) -> bool:
    """Whether the body was sent as JSON; many programs send a form unless they are told otherwise."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown",
    "json_invalid": "not_json",
    "model_attributes_type": "not_json",
    "enum": "not_one_of_these",
    "literal_error": "not_one_of_these",
    "less_than_equal": "too_large",
    "greater_than_equal": "too_small",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "string_pattern_mismatch": "not_of_this_form",
}
# Where the framework says what would have been right.
_EXPECTED = ("expected", "le", "ge", "max_length", "min_length", "pattern")


def _field(request: Request, error: dict[str, Any]) -> FieldProblem:
    """The value itself is never told back: it may be a password in the wrong place."""
    where, *path = error["loc"]
    code = _CODES.get(error["type"], "malformed")
    if code == "not_json":
        path = []
    context = error.get("ctx", {})
    expected = next((str(context[name]) for name in _EXPECTED if name in context), "")
    return _told(request, str(where), "".join(f"/{_escaped(part)}" for part in path), code, expected)


def _told(request: Request, where: str, pointer: str, code: str, expected: str = "") -> FieldProblem:
    detail = words_of(request).say(f"problem.field.{code}", expected=expected)
    return FieldProblem(where=where, pointer=pointer, code=code, detail=detail)


def _escaped(part: object) -> str:
    return str(part)[:80].replace("~", "~0").replace("/", "~1")

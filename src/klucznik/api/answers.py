"""Answers: held to their models; and those of requests that may be repeated, which are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from klucznik.access.gate import Caller
from klucznik.services.accounts import idempotency
from klucznik.services.accounts.idempotency import Answer, Claim
from klucznik.views.parts import Json

_JSON = "application/json"
# For `responses` of a route: its answer brings what `located` says.
LOCATED: dict[str, Any] = {
    "headers": {"Location": {"description": "Where it is, or how it goes on", "schema": {"type": "string"}}}
}


def answered(
    model: type[BaseModel], shown: Json, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """What `shown` is as an answer of that shape."""
    body = model.model_validate(shown, from_attributes=False).model_dump_json()
    return Answer(status, {"content-type": _JSON, **(headers or {})}, body.encode())


def located(request: Request, path: str) -> dict[str, str]:
    """The `Location` of what was made, or of what tells how it goes on."""
    return {"location": f"{request.scope['root_path']}{path}"}


def sent(answer: Answer) -> Response:
    replayed = {"idempotency-replayed": "true"} if answer.replayed else {}
    return Response(answer.body, answer.status, {**answer.headers, **replayed})


async def _key(
    idempotency_key: Annotated[
        str,
        Header(
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="A name of your own for this request. The same request with it is answered the same, and"
            " nothing is done twice, for 24 hours.",
            examples=["0f6c7d5e-2c1e-4a55-9a55-1f1c3c8f7a10"],
        ),
    ],
) -> str:
    return idempotency_key


# The name that a caller has given to a request that makes something.
IdempotencyKey = Annotated[str, Depends(_key)]


async def once(
    request: Request, caller: Caller, key: str, body: BaseModel | None, work: Callable[[Claim], Awaitable[Answer]]
) -> Response:
    """Do `work` and answer; or give the answer that the same request had before.

    Raises:
        InputError: ``idempotency_key_reused``, ``idempotency_key_in_use``.
    """
    content = "" if body is None else body.model_dump_json()
    asked = f"{request.method} {request.url.path}\n{content}".encode()
    return sent(await idempotency.once(caller.klucznik, caller.principal.id, key, asked, work))

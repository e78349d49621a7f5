"""What routes are asked with: companies in paths, conditions, keys of requests that may be repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Header, Path, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError

from klucznik.access.gate import Caller
from klucznik.access.keys import RequiresKey
from klucznik.domain.identifiers import Context
from klucznik.domain.roles import Action
from klucznik.errors import InputError
from klucznik.services.connections import find_connection
from klucznik.views.parts import Json

NIP = r"^[1-9]([0-9][1-9]|[1-9][0-9])[0-9]{7}$"
Nip = Annotated[str, Path(pattern=NIP, description="NIP of the company, ten digits", examples=["5265877635"])]
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", examples=["0b4c1d2e3f405162738495a6b7c8d9e0"])]
Serial = Annotated[
    str, Path(pattern=r"^[0-9A-F]{16}$", description="Serial number of the certificate", examples=["0123456789ABCDEF"])
]
_AN_ETAG = '"9f86d081884c7d659a2feaa0c55ad015"'
IfMatch = Annotated[
    str | None,
    Header(max_length=200, description="Change it only if it still is as this `ETag` says", examples=[_AN_ETAG]),
]
IfNoneMatch = Annotated[
    str | None,
    Header(max_length=200, description="Send it only if it is not as this `ETag` says", examples=[_AN_ETAG]),
]

See = Annotated[Caller, Depends(RequiresKey(Action.SEE))]
Connect = Annotated[Caller, Depends(RequiresKey(Action.CONNECT))]
Issue = Annotated[Caller, Depends(RequiresKey(Action.ISSUE))]
Grant = Annotated[Caller, Depends(RequiresKey(Action.GRANT))]
Revoke = Annotated[Caller, Depends(RequiresKey(Action.REVOKE))]
Audit = Annotated[Caller, Depends(RequiresKey(Action.AUDIT))]
Notify = Annotated[Caller, Depends(RequiresKey(Action.NOTIFY))]
Invite = Annotated[Caller, Depends(RequiresKey(Action.INVITE))]
Import = Annotated[Caller, Depends(RequiresKey(Action.IMPORT))]
Disconnect = Annotated[Caller, Depends(RequiresKey(Action.DISCONNECT))]


async def only_known_parameters(request: Request) -> None:
    """Refuses a query with a parameter that the route does not have: a misspelt filter would find everything."""
    known = set(_parameters(request.scope["route"].dependant))
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise RequestValidationError([{"type": "extra_forbidden", "loc": ("query", name)} for name in unknown])


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for one in dependant.dependencies:
        yield from _parameters(one)


def company(caller: Caller, nip: str) -> Context:
    """The company that a request names. Others' companies are to a key as if they were not there.

    Raises:
        InputError: ``not_connected``.
    """
    if not caller.principal.reaches(nip):
        raise InputError("not_connected", nip=nip)
    return Context.of_nip(nip)


async def connected(caller: Caller, nip: str) -> Context:
    """The same, where it is connected: its own certificates that nothing connects are not used."""
    return (await find_connection(caller.klucznik, company(caller, nip))).context


def etag_of(shown: Json) -> str:
    """A name of exactly this content."""
    content = json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def check_unchanged(condition: str | None, etag: str) -> None:
    """Raise ``changed_meanwhile`` where the caller has seen something else than there is."""
    if condition is not None and not _names(condition, etag):
        raise InputError("changed_meanwhile")


def is_known(condition: str | None, etag: str) -> bool:
    """Whether the caller has it already."""
    return condition is not None and _names(condition, etag)


def _names(condition: str, etag: str) -> bool:
    named = [one.strip().removeprefix("W/") for one in condition.split(",")]
    return "*" in named or etag in named

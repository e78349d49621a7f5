"""The page of the operator: who runs this installation, what it signs in with, and how both are set."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, File, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from klucznik.access.gate import Visitor
from klucznik.access.proof import RequiresProof
from klucznik.access.statuses import status_of
from klucznik.domain.identifiers import parse_nip
from klucznik.domain.permissions import parse_entity_name
from klucznik.domain.roles import Action
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError, KlucznikError, KsefError
from klucznik.keys.credential import load_credential
from klucznik.services.operator import OperatorStatus, operator_status
from klucznik.services.operator import set_operator as set_the_operator
from klucznik.web.pages import render, told
from klucznik.web.second_step import Text
from klucznik.web.settings import Administering
from klucznik.web.uploads import brought, certificate_files

router = APIRouter()

_HERE = "/settings/operator"
Proved = Annotated[Visitor, Depends(RequiresProof(Action.ADMINISTER, back=_HERE))]


@router.get(_HERE)
async def operator(request: Request, visitor: Administering) -> HTMLResponse:
    return await _page(request, visitor, {}, None)


@router.post(_HERE)
async def set_operator(
    request: Request,
    visitor: Proved,
    nip: Text = "",
    name: Text = "",
    certificate: Annotated[UploadFile | None, File()] = None,
    key: Annotated[UploadFile | None, File()] = None,
    password: Text = "",
) -> Response:
    """A certificate is proved by a real sign-in before it is kept; without one, that of before stays."""
    klucznik = visitor.klucznik
    files = certificate_files(await brought(certificate), await brought(key))
    try:
        credential = None
        if files:
            load = partial(load_credential, **files, password=password.encode() or None, now=klucznik.clock.now())
            credential = await klucznik.hashing.opened(load, klucznik.clock)
        await set_the_operator(klucznik, parse_nip(nip), parse_entity_name(name), credential)
    except InvalidValue as invalid:
        return await _page(request, visitor, {"nip": nip, "name": name}, InputError(invalid.reason, **invalid.data))
    except (InputError, KsefError) as error:
        return await _page(request, visitor, {"nip": nip, "name": name}, error)
    return RedirectResponse(_HERE, status_code=303)


async def _page(request: Request, visitor: Visitor, given: dict[str, str], error: KlucznikError | None) -> HTMLResponse:
    found = await _status(visitor)
    if not given and found is not None:
        given = {"nip": found.operator.nip, "name": found.operator.name}
    return render(
        request,
        "settings/operator.html",
        status=200 if error is None else status_of(error),
        found=found,
        given=given,
        text=None if error is None else told(request, error),
    )


async def _status(visitor: Visitor) -> OperatorStatus | None:
    try:
        return await operator_status(visitor.klucznik)
    except InputError as error:
        if error.reason != "operator_not_set":
            raise
    return None

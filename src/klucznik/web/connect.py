"""The beginning of the wizard: the NIP of the company, with a hint while it is typed; and what was begun and left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from klucznik.access.gate import Requires, Visitor
from klucznik.domain.connections import Connection
from klucznik.domain.identifiers import Context, nip_checksum_ok
from klucznik.domain.onboarding import Onboarding
from klucznik.domain.roles import Action
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError
from klucznik.services import onboarding as onboardings
from klucznik.services.connections import find_connection
from klucznik.web.pages import render, told
from klucznik.web.wizard import address

router = APIRouter()
Connecting = Annotated[Visitor, Depends(Requires(Action.CONNECT))]


@dataclass(frozen=True)
class _Told:
    """What is known of a NIP before anything is begun.

    Attributes:
        malformed: why it is none.
        mistyped: its last digit does not follow from the others; KSeF does not look at that.
        unfinished: begun by the visitor before.
    """

    nip: str
    malformed: InputError | None = None
    mistyped: bool = False
    connection: Connection | None = None
    unfinished: Onboarding | None = None

    @property
    def to_think_about(self) -> bool:
        return self.mistyped or self.connection is not None or self.unfinished is not None


@router.get("/connect")
async def ask_nip(request: Request, visitor: Connecting, nip: str = "") -> Response:
    unfinished = await onboardings.unfinished(visitor.klucznik, visitor.principal, size=10)
    own = visitor.principal.nip
    if own is not None and unfinished:
        return _onward(unfinished[0])
    told_of = await _look(visitor, own or nip) if own or nip else None
    return render(
        request, "onboarding/connect.html", nip=own or nip, name="", told=told_of, unfinished=unfinished, errors={}
    )


@router.get("/connect/nip")
async def hint(request: Request, visitor: Connecting, nip: str = "") -> Response:
    """A part of the page for htmx; says nothing while too little has been typed to tell."""
    if sum(character.isdigit() for character in nip) < 10:
        return render(request, "onboarding/nip.html", told=None)
    return render(request, "onboarding/nip.html", told=await _look(visitor, nip))


@router.post("/connect")
async def begin(
    request: Request,
    visitor: Connecting,
    nip: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    sure: Annotated[str, Form()] = "",
) -> Response:
    """Begin, or go on with what was begun. What is to be thought about is shown first and asked once.

    Args:
        sure: the NIP that was shown with what there is to think about.
    """
    looked = await _look(visitor, visitor.principal.nip or nip)
    if looked.malformed is not None or (looked.to_think_about and sure != looked.nip):
        unfinished = await onboardings.unfinished(visitor.klucznik, visitor.principal, size=10)
        errors = {} if looked.malformed is None else {"nip": told(request, looked.malformed).what}
        return render(
            request,
            "onboarding/connect.html",
            status=422 if errors else 200,
            nip=nip,
            name=name,
            told=None if errors else looked,
            unfinished=unfinished,
            errors=errors,
        )
    begun = await onboardings.begin(visitor.klucznik, looked.nip, by=visitor.principal, name=name)
    return _onward(begun)


def _onward(onboarding: Onboarding) -> RedirectResponse:
    return RedirectResponse(address(onboarding.id), status_code=303)


async def _look(visitor: Visitor, nip: str) -> _Told:
    try:
        context = Context.of_nip(nip)
    except InvalidValue as error:
        return _Told(nip, malformed=InputError(error.reason, **error.data))
    if not visitor.principal.reaches(context.value):
        return _Told(context.value, mistyped=not nip_checksum_ok(context.value))
    try:
        connection = await find_connection(visitor.klucznik, context)
    except InputError:
        connection = None
    return _Told(
        context.value,
        mistyped=not nip_checksum_ok(context.value),
        connection=connection,
        unfinished=await onboardings.unfinished_of(visitor.klucznik, context, visitor.principal),
    )

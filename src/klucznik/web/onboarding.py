"""The wizard from choice to choice: who signs, by what, yes to the limits; and back. Signing and ways out are apart."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from klucznik.access.gate import Requires, Visitor
from klucznik.domain.connections import Method
from klucznik.domain.onboarding import OnboardingState, SignerKind
from klucznik.domain.roles import Action
from klucznik.services import onboarding as onboardings
from klucznik.web.pages import render, words_of
from klucznik.web.wizard import Connecting, Trouble, address, carried_out, page, see

router = APIRouter(prefix="/connect/{onboarding_id}")
Issuing = Annotated[Visitor, Depends(Requires(Action.ISSUE))]


@router.get("")
async def where_it_is(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    return await page(request, visitor, onboarding_id)


async def _where_forms_lead(_: Connecting, onboarding_id: str) -> Response:
    return see(onboarding_id)


# A form whose mistakes are shown has its own address; whoever asks for that comes to the page.
for _form in (
    *("signer", "method", "back", "limits", "order", "document", "signature", "key", "imported", "token"),
    *("bring/certificates", "bring/token"),
):
    router.add_api_route(f"/{_form}", _where_forms_lead, methods=["GET"], name=f"where_{_form}_leads")


@router.post("/signer")
async def choose_signer(
    request: Request, visitor: Connecting, onboarding_id: str, signer: Annotated[str, Form()] = ""
) -> Response:
    if signer not in tuple(SignerKind):
        return await _nothing_chosen(request, visitor, onboarding_id, "signer")
    chosen = onboardings.choose_signer(visitor.klucznik, onboarding_id, visitor.principal, SignerKind(signer))
    return await carried_out(request, visitor, onboarding_id, chosen)


@router.post("/method")
async def choose_method(
    request: Request, visitor: Connecting, onboarding_id: str, method: Annotated[str, Form()] = ""
) -> Response:
    if method not in tuple(Method):
        return await _nothing_chosen(request, visitor, onboarding_id, "method")
    chosen = onboardings.choose_method(visitor.klucznik, onboarding_id, visitor.principal, Method(method))
    return await carried_out(request, visitor, onboarding_id, chosen)


@router.post("/back")
async def go_back(
    request: Request, visitor: Connecting, onboarding_id: str, to: Annotated[str, Form()] = ""
) -> Response:
    if to not in tuple(OnboardingState):
        return await page(request, visitor, onboarding_id)
    back = onboardings.go_back(visitor.klucznik, onboarding_id, visitor.principal, OnboardingState(to))
    return await carried_out(request, visitor, onboarding_id, back)


@router.get("/give-up")
async def ask_to_give_up(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    found = await onboardings.progress(visitor.klucznik, onboarding_id, visitor.principal)
    spent = 0 if found.issuance is None or found.issuance.issuance.state.ended else found.issuance.spent
    return render(
        request, "onboarding/give_up.html", onboarding=found.onboarding, at=address(onboarding_id), spent=spent
    )


@router.post("/give-up")
async def give_up(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    done = onboardings.give_up(visitor.klucznik, onboarding_id, visitor.principal)
    return await carried_out(request, visitor, onboarding_id, done)


@router.post("/limits")
async def look_anew(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    """Ask KSeF for both limits once more."""
    looked = onboardings.look(visitor.klucznik, onboarding_id, visitor.principal, anew=True)
    return await carried_out(request, visitor, onboarding_id, looked)


@router.post("/order")
async def order(request: Request, visitor: Issuing, onboarding_id: str) -> Response:
    """The yes. Said twice it orders once."""
    confirmed = onboardings.confirm(visitor.klucznik, onboarding_id, visitor.principal)
    return await carried_out(request, visitor, onboarding_id, confirmed)


async def _nothing_chosen(request: Request, visitor: Visitor, onboarding_id: str, name: str) -> Response:
    sentence = words_of(request).say("wizard.choose_one")
    return await page(request, visitor, onboarding_id, Trouble(about=name, fields={name: sentence}))

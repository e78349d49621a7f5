"""The page of an onboarding: what its row says is to be done next. Every route of the wizard ends or begins here.

A form of an earlier step, sent once more by somebody who went back, changes nothing: it leads to where the row is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from klucznik.access.gate import Requires, Visitor
from klucznik.access.statuses import retry_after, status_of
from klucznik.domain.connections import Method, Operator
from klucznik.domain.identifiers import Context
from klucznik.domain.onboarding import CHOICES, Onboarding, OnboardingState, Setback, SignerKind, may_go_back
from klucznik.domain.roles import Action
from klucznik.domain.token_sunset import TOKEN_SUNSET
from klucznik.errors import InputError, KlucznikError, KsefRefused, SignatureNeeded, SignInRefused, StorageError
from klucznik.messages import Words
from klucznik.messages.refusal import reach_text, subject_text
from klucznik.services import onboarding as onboardings
from klucznik.services.grant import ready_operator
from klucznik.services.installation import Installation
from klucznik.web.pages import render, told, words_of
from klucznik.web.progress import is_waiting_for_limits, shown_progress
from klucznik.web.refusal_parts import shown_refusal

Connecting = Annotated[Visitor, Depends(Requires(Action.CONNECT))]

_RAIL = ("company", "signer", "method", "sign", "limits", "issue")
_RAILS = {
    Method.PERMISSION: ("company", "signer", "method", "sign", "grant", "done"),
    Method.IMPORTED: ("company", "signer", "method", "bring", "done"),
    Method.TOKEN: ("company", "signer", "method", "bring", "done"),
}
_PLACES = {
    OnboardingState.SIGNER: "signer",
    OnboardingState.METHOD: "method",
    OnboardingState.SIGN: "sign",
    OnboardingState.LIMITS: "limits",
    OnboardingState.ISSUING: "issue",
    OnboardingState.REFUSED: "limits",
    OnboardingState.DONE: "done",
    OnboardingState.GIVEN_UP: "done",
}
# On which page a form stands; its mistakes are told beside it, all others at the top.
_FORMS = {
    "signer": "signer",
    "method": "method",
    "document": "sign",
    "signature": "sign",
    "key": "sign",
    "certificate": "imported",
    "offline": "imported",
    "token": "token",
}
MOVED_ON = ("onboarding_elsewhere", "onboarding_no_way_back", "onboarding_act_under_way", "state_moved_on")


@dataclass(frozen=True)
class Trouble:
    """Why a form is shown again.

    Attributes:
        about: which form it was (`_FORMS`), or what was tried.
        fields: a sentence for each field at fault.
    """

    error: KlucznikError | None = None
    about: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def address(onboarding_id: str, step: str = "") -> str:
    return f"/connect/{onboarding_id}{'/' if step else ''}{step}"


def see(onboarding_id: str, step: str = "") -> RedirectResponse:
    """After a form: to the page of the row, so that going back or reloading sends nothing twice."""
    return RedirectResponse(address(onboarding_id, step), status_code=303)


async def carried_out(
    request: Request, visitor: Visitor, onboarding_id: str, act: Awaitable[object], *, about: str = ""
) -> Response:
    """Do what a form says, then show where the row is; an error is shown in place, on the page of the form."""
    try:
        await act
    except SignatureNeeded:
        return see(onboarding_id)  # the row is back at the signature, and says why
    except (InputError, StorageError) as error:
        if error.reason in MOVED_ON:
            return see(onboarding_id)
        return await page(request, visitor, onboarding_id, Trouble(error, about))
    except KlucznikError as error:
        return await page(request, visitor, onboarding_id, Trouble(error, about))
    return see(onboarding_id)


async def page(request: Request, visitor: Visitor, onboarding_id: str, trouble: Trouble | None = None) -> Response:
    """The page of an onboarding, with what went wrong in the form that led here."""
    found = await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    template, data = await _data(request, visitor, found)
    onboarding: Onboarding = data.pop("onboarding", found)
    trouble, refusal = trouble or Trouble(data.pop("error", None)), _refusal(onboarding)
    if _FORMS.get(trouble.about, template) != template:
        return see(onboarding_id)  # the form of a step that is over
    status = 200
    headers: dict[str, str] = {}
    if trouble.error is not None:
        status = status_of(trouble.error)
        seconds = retry_after(trouble.error, visitor.klucznik.clock.now().timestamp())
        headers = {} if seconds is None else {"retry-after": str(seconds)}
    elif trouble.fields:
        status = 422
    return render(
        request,
        f"onboarding/{template}.html",
        status=status,
        headers=headers,
        onboarding=onboarding,
        at=address(onboarding.id),
        rail=_rail(onboarding),
        answers=_answers(request, onboarding),
        trouble=trouble,
        in_place=trouble.about in _FORMS,
        problem=None if trouble.error is None else told(request, trouble.error),
        refused=None if refusal is None else told(request, refusal),
        **data,
    )


def _refusal(onboarding: Onboarding) -> KsefRefused | None:
    """What KSeF said no to while nobody waited; the code alone is known of it."""
    code = onboarding.refused_code
    if code is None:
        return None
    if onboarding.setback is Setback.GRANT_REFUSED:
        return KsefRefused("permission_refused", code=code)
    if onboarding.setback is Setback.REVOCATION_REFUSED:
        return KsefRefused(code=code)
    return SignInRefused("sign_in_refused", code=code)


Shown: TypeAlias = "tuple[str, dict[str, Any]]"


async def _data(request: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    """Which template, and what it shows; `onboarding` among it where looking has changed the row."""
    if onboarding.under_way is not None:
        return await _under_way(request, visitor, onboarding)
    return await _PAGES[onboarding.state](request, visitor, onboarding)


async def _under_way(request: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    found = await onboardings.progress(visitor.klucznik, onboarding.id, visitor.principal)
    if found.onboarding.under_way is None:  # it has ended at this very moment
        template, data = await _data(request, visitor, found.onboarding)
        return template, {"onboarding": found.onboarding, **data}
    shown = {"onboarding": found.onboarding, "act": found.onboarding.under_way}
    return "under_way", {**shown, "progress": shown_progress(found, words_of(request))}


async def _signer(_: Request, __: Visitor, ___: Onboarding) -> Shown:
    return "signer", {"signers": tuple(SignerKind)}


async def _method(request: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    return "method", {
        "compared": _compared(words_of(request)),
        "operator": await operator_of(visitor.klucznik, onboarding.context),
        "tokens_until": _tokens_until(),
        "tokens_over": TOKEN_SUNSET.over(visitor.klucznik.clock.now()),
    }


async def _sign(_: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    if onboarding.checking_since is not None:
        return "checking", {}
    document = await onboardings.document_of(visitor.klucznik, onboarding)
    return "sign", {
        "document": document,
        # Where something has come of the one before, that is told at the top.
        "over": document is None and onboarding.signature_request_id is not None and onboarding.setback is None,
        "by_hand": onboarding.method is Method.PERMISSION and visitor.principal.runs_the_installation,
    }


async def _connect(request: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    if onboarding.method is not Method.PERMISSION:
        template = "token" if onboarding.method is Method.TOKEN else "imported"
        return template, {"tokens_until": _tokens_until()}
    try:
        proposed = await onboardings.proposed_grant(visitor.klucznik, onboarding.id, visitor.principal)
    except SignatureNeeded:
        return await _signed_out(request, visitor, onboarding)
    except KlucznikError as error:
        return "grant", {"grant": None, "error": error}
    return "grant", {"grant": proposed}


async def _limits(request: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    try:
        look = await onboardings.look(visitor.klucznik, onboarding.id, visitor.principal)
    except SignatureNeeded:
        return await _signed_out(request, visitor, onboarding)
    except KlucznikError as error:
        return "limits", {"look": None, "reach": _reach(request, onboarding), "error": error}
    seen = look.onboarding
    if seen.state is not OnboardingState.LIMITS:  # refused; or somebody else was faster
        template, data = await _data(request, visitor, seen)
        return template, {"onboarding": seen, **data}
    return "limits", {"onboarding": seen, "look": look, "reach": _reach(request, seen)}


async def _signed_out(request: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    """The login was found to be over: the row is back at the signature."""
    again = await onboardings.find(visitor.klucznik, onboarding.id, visitor.principal)
    template, data = await _sign(request, visitor, again)
    return template, {"onboarding": again, **data}


async def _refused(request: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    return "refused", shown_refusal(request, visitor, onboarding)


async def _issuing(request: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    found = await onboardings.progress(visitor.klucznik, onboarding.id, visitor.principal)
    shown = {"onboarding": found.onboarding, "progress": shown_progress(found, words_of(request))}
    if not is_waiting_for_limits(found):
        return "progress", shown
    return "waiting", {**shown, **shown_refusal(request, visitor, found.onboarding)}


async def _done(_: Request, visitor: Visitor, onboarding: Onboarding) -> Shown:
    return "done", {"results": await onboardings.results_of(visitor.klucznik, onboarding)}


async def _given_up(_: Request, __: Visitor, ___: Onboarding) -> Shown:
    return "given_up", {}


_PAGES: dict[OnboardingState, Callable[[Request, Visitor, Onboarding], Awaitable[Shown]]] = {
    OnboardingState.SIGNER: _signer,
    OnboardingState.METHOD: _method,
    OnboardingState.SIGN: _sign,
    OnboardingState.CONNECT: _connect,
    OnboardingState.LIMITS: _limits,
    OnboardingState.REFUSED: _refused,
    OnboardingState.ISSUING: _issuing,
    OnboardingState.DONE: _done,
    OnboardingState.GIVEN_UP: _given_up,
}


@dataclass(frozen=True)
class Comparison:
    """What each method can do: the methods, and for each question its answers."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


# docs/connections.md; facts.md §5, §6, §8.
_COMPARED = ("sign_in", "offline", "spends", "renewal", "leaves", "ends")
_METHODS = ("certificates", "permission", "imported", "token")


def _compared(words: Words) -> Comparison:
    return Comparison(
        tuple(words.say(f"method.short.{name}") for name in _METHODS),
        tuple(
            (
                words.say(f"method_page.row.{row}"),
                tuple(words.say(f"method_page.cell.{row}.{name}", day=_tokens_until()) for name in _METHODS),
            )
            for row in _COMPARED
        ),
    )


def _tokens_until() -> str:
    return TOKEN_SUNSET.last_day.strftime("%d.%m.%Y")


def _reach(request: Request, onboarding: Onboarding) -> str:
    return "" if onboarding.subject is None else reach_text(onboarding.subject, words_of(request))


@dataclass(frozen=True)
class OperatorShown:
    """The operator who may be let in, or why there is none."""

    operator: Operator | None
    reason: str | None = None


async def operator_of(installation: Installation, context: Context) -> OperatorShown:
    try:
        return OperatorShown(await ready_operator(installation, context))
    except InputError as error:
        return OperatorShown(None, error.reason)


@dataclass(frozen=True)
class Place:
    """One stop of the rail above a page."""

    name: str
    standing: str
    number: int


def _rail(onboarding: Onboarding) -> tuple[Place, ...]:
    names = _RAIL if onboarding.method is None else _RAILS.get(onboarding.method, _RAIL)
    state = onboarding.state
    here = _PLACES.get(state) or ("grant" if onboarding.method is Method.PERMISSION else "bring")
    if here not in names:  # who brings something may have to sign first
        here = names[-1] if state.ended else "bring"
    at = names.index(here)
    return tuple(
        Place(
            name,
            "done" if number < at or state is OnboardingState.DONE else "now" if number == at else "ahead",
            number + 1,
        )
        for number, name in enumerate(names)
    )


@dataclass(frozen=True)
class Answer:
    """A choice that was made, and whether it may be made anew."""

    name: str
    text: str
    back_to: str | None


def _answers(request: Request, onboarding: Onboarding) -> tuple[Answer, ...]:
    words, state = words_of(request), onboarding.state
    if state is OnboardingState.DONE or onboarding.under_way is not None:
        return ()
    given = []
    if onboarding.signer is not None and state is not OnboardingState.SIGNER:
        given.append(("signer", words.say(f"wizard.signer.{onboarding.signer.value}"), OnboardingState.SIGNER))
    if onboarding.method is not None and state not in CHOICES[:2]:
        given.append(("method", words.say(f"wizard.method.{onboarding.method.value}"), OnboardingState.METHOD))
    if onboarding.subject is not None:
        given.append(("subject", subject_text(onboarding.subject, words), OnboardingState.SIGN))
    return tuple(Answer(name, text, to.value if may_go_back(onboarding, to) else None) for name, text, to in given)

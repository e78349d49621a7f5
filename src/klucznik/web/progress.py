"""How far an order is, as a road of steps; and the stream of events that keeps what moves by itself up to date.

The rows are looked at, not the worker: whoever works on the order, here or on another machine, is seen alike.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from klucznik.access.gate import Requires, Visitor
from klucznik.clock import by_the_machine
from klucznik.domain.onboarding import OnboardingState, UnderWay
from klucznik.domain.roles import Action
from klucznik.domain.waits import Wait, WaitKind
from klucznik.errors import InputError
from klucznik.messages import Words
from klucznik.services import onboarding as onboardings
from klucznik.services.onboarding import Progress
from klucznik.web.pages import render, words_of
from klucznik.web.road import ShownStep, shown_steps

router = APIRouter()
_CONNECTS = Requires(Action.CONNECT)
Connecting = Annotated[Visitor, Depends(_CONNECTS)]

_LOOK_EVERY_S = 1.0
# A proxy closes what says nothing; and a browser comes back by itself when a stream ends.
_SAY_SOMETHING_EVERY = 15
_STREAM_LASTS = 600
_OVER = "event: over\ndata: over\n\n"


@dataclass(frozen=True)
class ShownProgress:
    """A road to draw.

    Attributes:
        wait: why nothing moves now, in a sentence; None: it moves.
    """

    steps: tuple[ShownStep, ...]
    wait: str | None
    spent: int


def shown_progress(found: Progress, words: Words) -> ShownProgress:
    wait = None if found.onboarding.under_way is not None else _wait_of(found)
    told = None if wait is None else words.say(f"wizard.wait.{wait.kind.value}", until=wait.until)
    steps = shown_steps(found.steps, words)
    return ShownProgress(steps, told, 0 if found.issuance is None else found.issuance.spent)


def is_waiting_for_limits(found: Progress) -> bool:
    wait = _wait_of(found)
    return wait is not None and wait.kind is WaitKind.LIMITS and found.onboarding.refusal is not None


@router.get("/connect/{onboarding_id}/progress")
async def part(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    """The road alone."""
    return _part(request, await onboardings.progress(visitor.klucznik, onboarding_id, visitor.principal))


@router.get("/connect/{onboarding_id}/events")
async def stream(request: Request, visitor: Connecting, onboarding_id: str) -> Response:
    """Server-sent events: ``road`` with the road, each time it has changed; ``over`` when another page is due."""
    await onboardings.find(visitor.klucznik, onboarding_id, visitor.principal)
    return StreamingResponse(
        _events(request, onboarding_id),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(request: Request, onboarding_id: str) -> AsyncIterator[str]:
    """At each look it is asked anew who looks: a browser that was signed out meanwhile is led to the sign-in."""
    before = ""
    awaited: tuple[datetime | None, UnderWay | None] = (None, None)
    for look in range(_STREAM_LASTS):
        visitor = await _CONNECTS.again(request)
        if visitor is None:
            yield _OVER
            return
        try:
            found = await onboardings.progress(visitor.klucznik, onboarding_id, visitor.principal)
        except InputError:
            return
        now = (found.onboarding.checking_since, found.onboarding.under_way)
        if look == 0:
            awaited = now
        if now != awaited or not _goes_on_by_itself(found):
            yield _OVER
            return
        drawn = _text(request, found)
        if drawn != before:
            yield _event("road", drawn)
            before = drawn
        elif look % _SAY_SOMETHING_EVERY == 0:
            yield ": \n\n"
        await by_the_machine(_LOOK_EVERY_S)


def _goes_on_by_itself(found: Progress) -> bool:
    if found.onboarding.checking_since is not None or found.onboarding.under_way is not None:
        return True
    return found.onboarding.state is OnboardingState.ISSUING and not is_waiting_for_limits(found)


def _text(request: Request, found: Progress) -> str:
    return bytes(_part(request, found).body).decode()


def _part(request: Request, found: Progress) -> HTMLResponse:
    return render(request, "onboarding/road.html", progress=shown_progress(found, words_of(request)))


def _event(name: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() if line.strip())
    return f"event: {name}\n{lines}\n"


def _wait_of(found: Progress) -> Wait | None:
    issuance = None if found.issuance is None else found.issuance.issuance
    if issuance is None or issuance.state.ended or issuance.wait is None:
        return None
    return None if issuance.wait.kind is WaitKind.PROCESSING else issuance.wait

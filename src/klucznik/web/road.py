"""The road of an issuance in words, one set for the wizard and the company's page; `components.road` draws it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from klucznik.domain.road_steps import RoadStep, Standing
from klucznik.messages import Words

_DRAWN = {Standing.AHEAD: "waiting", Standing.NOW: "now", Standing.DONE: "done", Standing.STOPPED: "failed"}


@dataclass(frozen=True)
class ShownStep:
    """One step.

    Attributes:
        state: done, now, waiting or failed.
        of: the certificate it is about; None: all.
        doubt: said where KSeF's answer to the request was lost; None: it was not.
    """

    text: str
    state: str
    of: str | None
    doubt: str | None


def shown_steps(steps: Iterable[RoadStep], words: Words) -> tuple[ShownStep, ...]:
    return tuple(
        ShownStep(
            words.say(f"road.step.{step.kind.value}"),
            _DRAWN[step.standing],
            None if step.type is None else words.say(f"wizard.type.{step.type.value}"),
            words.say("road.in_doubt") if step.in_doubt else None,
        )
        for step in steps
    )

"""How an issuance came out, shown for whichever command ordered it or took it on again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from klucznik.cli.exit_codes import Exit
from klucznik.cli.output import Output
from klucznik.cli.state import Settings

if TYPE_CHECKING:
    from klucznik.cli.ways_out import Guide
    from klucznik.domain.issuance import Issuance
    from klucznik.services.outcomes import Outcome


def show_outcome(
    outcome: Outcome | Issuance,
    settings: Settings,
    output: Output,
    *,
    again: Sequence[str] = (),
    guide: Guide | None = None,
) -> int:
    """How an issuance came out, or that it was ordered; the exit code.

    Args:
        again: options that stand in every next command of a refusal.
        guide: who has shown a refusal already, and perhaps led out of it.
    """
    from klucznik.cli import issuance_pictures, permissions, pictures, refusal_pictures
    from klucznik.domain.issuance import Issuance
    from klucznik.domain.preflight import Refusal
    from klucznik.services.outcomes import AlreadyHeld, WaitingForLimits
    from klucznik.views import issuing as views

    if guide is not None and guide.granted is not None:
        return permissions.show_granted(guide.granted, settings, output)
    if guide is not None and outcome is guide.shown:
        return Exit.REFUSED_BY_LIMITS
    words, code = settings.words, Exit.DONE
    if isinstance(outcome, Refusal):
        picture, code = refusal_pictures.refusal(outcome, words, again=again), Exit.REFUSED_BY_LIMITS
    elif isinstance(outcome, WaitingForLimits):
        picture, code = refusal_pictures.waiting_for_limits(outcome, words), Exit.REFUSED_BY_LIMITS
    elif isinstance(outcome, AlreadyHeld):
        picture = pictures.already_held(outcome, words)
    elif isinstance(outcome, Issuance):
        picture = issuance_pictures.ordered(outcome, words)
    else:
        picture = pictures.issued(outcome, settings.home, words)
    output.result(views.outcome(outcome, words), picture)
    return code

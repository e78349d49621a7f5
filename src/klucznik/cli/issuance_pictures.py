"""Pictures of issuances for a terminal: what each is at, what it waits for, what has been spent. No decisions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.waits import Wait
from klucznik.messages import Words
from klucznik.messages.errors import rejection_text
from klucznik.messages.refusal import subject_text
from klucznik.services.cancel import Cancelled
from klucznik.services.status import IssuanceStatus

if TYPE_CHECKING:
    from klucznik.services.installation import Installation

Look: TypeAlias = "Callable[[Installation], Awaitable[list[IssuanceStatus]]]"

_STYLES = {
    IssuanceState.DONE: "green",
    IssuanceState.REFUSED: "yellow",
    IssuanceState.REJECTED: "red",
    IssuanceState.CANCELLED: "dim",
}
# As much of an id as a person types.
SHORT_ID = 8


def issuances(found: Sequence[IssuanceStatus], words: Words, *, whole: bool) -> RenderableType:
    """One line each, within 80 columns; `whole`: with the requests of each."""
    if not found:
        return Text(words.say("status.none"))
    if whole:
        return Group(*(_whole(one, words) for one in found))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for key in ("id", "company", "subject", "state", "next", "spent"):
        table.add_column(words.say(f"status.column.{key}"), no_wrap=key != "subject", overflow="fold")
    for one in found:
        issuance = one.issuance
        table.add_row(
            issuance.id[:SHORT_ID],
            issuance.context.value,
            issuance.subject.shown(),
            Text(_short_state(issuance, words), style=_STYLES.get(issuance.state, "")),
            words.moment(wait.until) if (wait := _wait_of(issuance)) and wait.until else "",
            str(one.spent),
        )
    return table


def _whole(one: IssuanceStatus, words: Words) -> RenderableType:
    issuance = one.issuance
    lines: list[RenderableType] = [
        Text(subject_text(issuance.subject, words)),
        Text(state_text(issuance, words), style=_STYLES.get(issuance.state, "")),
        Text(words.count("status.spent", one.spent)),
    ]
    if issuance.cancelled_at is not None and not issuance.state.ended:
        lines.insert(2, Text(words.say("status.called_off"), style="dim"))
    for row in one.enrollments:
        said = words.say(f"enrollment_state.{row.state.value}")
        lines.append(Text.assemble((words.say(f"type.{row.type.value}"), "bold"), ": ", said))
        facts = [fact for fact in (row.name, row.reference_number, row.certificate_serial_number) if fact]
        lines.append(Padding(Text(" · ".join(facts), style="dim"), (0, 0, 0, 2)))
        if row.failure is not None:
            lines.append(Padding(Text(rejection_text(row.failure, words)), (0, 0, 0, 2)))
    title = words.say("status.title", id=issuance.id, nip=issuance.context.value)
    return Panel(Group(*lines), title=title, border_style="cyan", padding=(0, 2))


def state_text(issuance: Issuance, words: Words) -> str:
    """What an issuance is at, or what it waits for and until when."""
    wait = _wait_of(issuance)
    if wait is None:
        return words.say(f"issuance_state.{issuance.state.value}")
    return words.say(f"wait.{wait.kind.value}", until=wait.until)


def _short_state(issuance: Issuance, words: Words) -> str:
    wait = _wait_of(issuance)
    return words.say(f"status.short.{issuance.state.value if wait is None else wait.kind.value}")


def _wait_of(issuance: Issuance) -> Wait | None:
    return None if issuance.state.ended else issuance.wait


def cancelled(done: Cancelled, words: Words) -> RenderableType:
    key = "cancelled.at_once" if done.issuance.state.ended else "cancelled.later"
    lines = [words.say(key)]
    lines.append(words.count("cancelled.spent", done.spent) if done.spent else words.say("cancelled.nothing_spent"))
    if done.saved:
        lines.append(words.count("cancelled.saved", done.saved))
    return Text("\n".join(lines))


def ordered(issuance: Issuance, words: Words) -> RenderableType:
    return Text(words.say("ordered", issuance=issuance.id[:SHORT_ID], nip=issuance.context.value))

"""Pictures of renewals for a terminal: who is due, what became of each, what is left to do. No decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from klucznik.domain.deployment import Deployment
from klucznik.domain.identifiers import Context
from klucznik.errors import KlucznikError
from klucznik.messages import Words
from klucznik.messages.errors import error_text
from klucznik.messages.refusal import reason_text, remedy_title, subject_text
from klucznik.services.renewal.renew import Renewal, RenewalEnd
from klucznik.services.renewal.renew_many import Renewed
from klucznik.services.renewal.renewals import Standing

# Those that are next are shown as examples; there may be thousands.
_NEXT = 5
_STYLES = {
    RenewalEnd.RENEWED: "green",
    RenewalEnd.NOT_DUE: "dim",
    RenewalEnd.UNDER_WAY: "yellow",
    RenewalEnd.REFUSED_BY_LIMITS: "yellow",
    RenewalEnd.NEEDS_SIGNATURE: "red",
    RenewalEnd.PAUSED: "yellow",
    RenewalEnd.FAILED: "red",
}


def planned(standings: Sequence[Standing], words: Words) -> RenderableType:
    """What would be renewed now, and who is next."""
    due = [one for one in standings if one.plan.due]
    later = [one for one in standings if not one.plan.due]
    parts: list[RenderableType] = [Text(words.count("renew.planned", len(due)), style="bold")]
    if due:
        table = _table(words, "company", "subject", "certificates", "last_possible")
        for one in due:
            kinds = ", ".join(words.say(f"type.short.{kind.value}") for kind in one.plan.due)
            table.add_row(_companies(one.companies), one.subject.shown(), kinds, _last_possible(one, words))
        parts += [Text(), table]
    if later:
        table = _table(words, "company", "subject", "due", "expires")
        for one in later[:_NEXT]:
            ends = min(held.valid_to for held in one.plan.in_service)
            due_at = words.date(one.plan.due_at)
            table.add_row(_companies(one.companies), one.subject.shown(), due_at, words.date(ends))
        parts += [Text(), Text(words.count("renew.later", len(later)), style="bold"), Text(), table]
    if len(later) > _NEXT:
        parts.append(Text(words.count("renew.more", len(later) - _NEXT), style="dim"))
    parts += [Text(), Text(words.say("renew.nothing_asked"), style="dim")]
    return Group(*parts)


def renewed(done: Sequence[Renewed], looked_at: int, words: Words) -> RenderableType:
    """A line for each that there is something to say about, what went wrong below, and the sum."""
    shown = [one for one in done if not one.well or one.after or _end_of(one) is RenewalEnd.RENEWED]
    if not shown:
        due = [one.renewal.next_at for one in done if one.renewal is not None and one.renewal.next_at is not None]
        text = words.count("renew.nothing_due", looked_at)
        return Text(f"{text} {words.say('renew.next', date=words.date(min(due)))}" if due else text)
    table = _table(words, "company", "subject", "result", "hooks")
    for one in shown:
        table.add_row(_companies(_contexts(one)), one.subject.shown(), _result(one, words), _hooks(one, words))
    troubles = [line for one in shown for line in _troubles(one, words)]
    return Group(table, Text(), *troubles, *([Text()] if troubles else []), _sum(done, looked_at, words))


def _table(words: Words, *columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(words.say(f"renew.column.{name}"), overflow="fold")
    return table


def _companies(contexts: Sequence[Context]) -> str:
    """The first, and how many more."""
    if not contexts:
        return "–"
    return contexts[0].value if len(contexts) == 1 else f"{contexts[0].value} +{len(contexts) - 1}"


def _contexts(done: Renewed) -> Sequence[Context]:
    if done.renewal is not None:
        return done.renewal.standing.companies
    return [after.issuance.context for after in done.after][:1]


def _last_possible(standing: Standing, words: Words) -> Text:
    until = standing.plan.signs_in_until
    if until is None:
        return Text(words.say("renew.signature_needed"), style="red")
    return Text(words.date(until))


def _end_of(done: Renewed) -> RenewalEnd | None:
    return None if done.renewal is None else done.renewal.end


def _result(done: Renewed, words: Words) -> Text:
    renewal = done.renewal
    if renewal is None:
        return Text("–")
    said = words.say(f"renew.end.{renewal.end.value}")
    ends = [one.valid_to for one in renewal.certificates]
    if ends:
        said = words.say("renew.until", result=said, date=words.date(min(ends)))
    return Text(said, style=_STYLES[renewal.end])


def _hooks(done: Renewed, words: Words) -> Text:
    every = [hook for after in done.after for hook in after.deployments]
    if not every:
        return Text("–", style="dim")
    well = sum(hook.state.settled for hook in every)
    style = "green" if well == len(every) else "red"
    return Text(words.say("renew.hooks", well=well, all=len(every)), style=style)


def _troubles(done: Renewed, words: Words) -> Iterable[RenderableType]:
    """What went wrong and what to do, under the name of whom it concerns."""
    lines: list[Text] = []
    if done.renewal is not None:
        lines += _of_the_renewal(done.renewal, words)
    for after in done.after:
        lines += [_hook_line(hook, words) for hook in after.deployments if not hook.state.settled]
        if after.revoked:
            lines.append(Text(words.say("renew.revoked", serials=", ".join(after.revoked)), style="dim"))
        if after.error is not None:
            lines += _error_lines(after.error, words, before=words.say("renew.not_revoked"))
    if done.error is not None:
        lines += _error_lines(done.error, words)
    if not lines:
        return []
    return [
        Text(subject_text(done.subject, words), style="bold"),
        *(Padding(line, (0, 0, 0, 2), expand=False) for line in lines),
    ]


def _of_the_renewal(renewal: Renewal, words: Words) -> list[Text]:
    lines = [] if renewal.error is None else _error_lines(renewal.error, words)
    if renewal.refusal is not None:
        lines += [Text(reason_text(finding, words)) for finding in renewal.refusal.reasons]
        lines += [Text.assemble(("→ ", "bold"), remedy_title(one, words)) for one in renewal.refusal.remedies]
    if renewal.end in (RenewalEnd.RENEWED, RenewalEnd.NOT_DUE):
        return lines
    if renewal.next_at is not None:
        lines.append(Text(words.say("renew.looked_at_again", at=renewal.next_at)))
    until = renewal.standing.plan.signs_in_until
    if until is not None:
        lines.append(Text(words.say("renew.last_possible", date=words.date(until)), style="bold"))
    return lines


def _hook_line(hook: Deployment, words: Words) -> Text:
    said = words.say(f"hook.{hook.state.value}", hook=hook.hook, code=hook.exit_code)
    if hook.given_up:
        return Text(f"{said} {words.say('hook.given_up')}")
    at = hook.next_run()
    return Text(said if at is None else f"{said} {words.say('hook.again', at=at)}")


def _error_lines(error: KlucznikError, words: Words, *, before: str = "") -> list[Text]:
    text = error_text(error, words)
    lines = [Text(f"{before} {text.what}".strip())]
    return lines if text.now is None else [*lines, Text.assemble(("→ ", "bold"), text.now)]


def _sum(done: Sequence[Renewed], looked_at: int, words: Words) -> Text:
    number = sum(_end_of(one) is RenewalEnd.RENEWED for one in done)
    wrong = sum(not one.well for one in done)
    said = words.say("renew.sum", renewed=number, wrong=wrong, looked_at=looked_at)
    return Text(said, style="bold green" if not wrong else "bold yellow")

"""The picture of a refusal for a terminal: both limits, why, and each way out with its effect, risk and command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from klucznik.cli.pictures import bullets, meters
from klucznik.domain.identifiers import Context
from klucznik.domain.preflight import Finding, Refusal
from klucznik.domain.reasons import Task
from klucznik.domain.remedies import About, Remedy
from klucznik.messages import Words
from klucznik.messages.refusal import (
    about_text,
    cause_text,
    effect_text,
    reach_text,
    reason_text,
    remedy_text,
    remedy_title,
    risk_text,
)
from klucznik.services.outcomes import WaitingForLimits

_MARGIN = (0, 0, 0, 3)


def refusal(value: Refusal, words: Words, *, again: Sequence[str] = ()) -> RenderableType:
    """A refusal.

    Args:
        again: options that stand in every next command: what to sign in with, and where.
    """
    parts: list[RenderableType] = [
        Text(words.say("refusal.meaning")),
        Text(words.count("refusal.filed", value.filed) if value.filed else words.say("refusal.nothing_spent")),
        Text(),
        Text(reach_text(value.subject, words), style="bold"),
        Text(),
        meters(value.limits, words, needed=value.needed),
        Text(),
        *bullets(_reason(finding, words) for finding in value.reasons),
        Text(),
        Text(words.say("refusal.causes"), style="bold"),
        *bullets(cause_text(cause, value.limits, words) for cause in value.causes),
        Text(),
        Text(words.say("refusal.remedies"), style="bold"),
    ]
    for number, remedy in enumerate(value.remedies, start=1):
        parts += _remedy(number, remedy, value, words)
    panel = Panel(Group(*parts), title=words.say("refusal.title"), border_style="yellow", padding=(1, 2))
    return Group(panel, *_commands(value, words, again))


def _remedy(number: int, remedy: Remedy, value: Refusal, words: Words) -> Iterable[RenderableType]:
    yield Text.assemble((f"{number}. ", "bold"), (remedy_title(remedy, words), "bold green"))
    yield Padding(Text(effect_text(remedy, words), style="cyan"), _MARGIN)
    yield Padding(Text(remedy_text(remedy, value.subject, words)), _MARGIN)
    shown = remedy.suggested_certificates or (remedy.certificates if not remedy.frees_certificates else ())
    yield from (Padding(certificate(about, words), _MARGIN) for about in shown[:_MOST_SHOWN])
    for risk in remedy.risks:
        yield Padding(Text.assemble(("! ", "yellow"), risk_text(risk, words)), _MARGIN)


# A company may hold a hundred.
_MOST_SHOWN = 6


def certificate(about: About, words: Words) -> Text:
    """One certificate, and why it may be missed."""
    return Text(f"– {about_text(about, words)}")


def _commands(value: Refusal, words: Words, again: Sequence[str]) -> Iterable[RenderableType]:
    """The command of each way; outside the panel and unbroken, so that it can be copied."""
    found = [
        (number, line)
        for number, remedy in enumerate(value.remedies, start=1)
        for line in next_commands(remedy, value.context, words, again)
    ]
    if found:
        yield Text(words.say("refusal.commands"), style="bold")
    for number, line in found:
        yield Text.assemble((f"{number}. ", "bold"), line, no_wrap=True, overflow="ignore")


def next_commands(remedy: Remedy, context: Context, words: Words, again: Sequence[str]) -> list[str]:
    """What to type for a way out; nothing where it is not walked here."""
    nip = ("--nip", context.value)
    if remedy.task is Task.CHOOSE_AND_CONFIRM:
        if not remedy.suggested:
            return [_line("certificates", *nip, *again)]
        return [_line("revoke", about.record.serial_number, *nip, *again) for about in remedy.suggested_certificates]
    commands = {
        Task.USE_WHAT_IS_HERE: _line("certificates", *nip, *again),
        Task.ORDER_THE_MISSING_HALF: _line("issue", *nip, *again),
        Task.CONFIRM_THE_GRANT: _line("grant", *nip, *again),
        Task.CONNECT_BY_THE_GRANT: _line("grant", *nip, *again),
        Task.ASK_WHO_MAY_GRANT: _line("grant", *nip, "--by-hand"),
        Task.SET_THE_OPERATOR: words.say("command.operator_set"),
        Task.BRING_KEY_AND_PASSWORD: words.say("command.import"),
        Task.MAKE_A_TOKEN: words.say("command.connect_token", nip=context.value),
        Task.COME_BACK: _line("issue", *nip, *again, "--wait"),
    }
    return [commands[remedy.task]] if remedy.task in commands else []


def _line(*command: str) -> str:
    return shlex.join(("klucznik", *command))


def waiting_for_limits(value: WaitingForLimits, words: Words) -> RenderableType:
    issuance = value.issuance
    waits = words.say(
        "waiting.until",
        issuance=issuance.id[:12],
        until=words.moment(issuance.wait.until if issuance.wait and issuance.wait.until else issuance.created_at),
        end=words.date(issuance.limits_until or issuance.created_at),
    )
    return Group(refusal(value.refusal, words), Panel(Text(waits), title=words.say("waiting.title"), padding=(0, 2)))


def _reason(finding: Finding, words: Words) -> str:
    """At a terminal there may be a command against it."""
    text, against = reason_text(finding, words), f"reason.{finding.code.value}.force"
    return f"{text} {words.say(against)}" if words.has(against) else text

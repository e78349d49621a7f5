"""Pictures of permissions for a terminal: the operator, what is granted to it, whether it is let in. No decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from klucznik.domain.connections import Connection, Health, Method
from klucznik.messages import LANGUAGES, Words
from klucznik.messages.errors import error_text
from klucznik.messages.permissions import client_letter, steps_by_hand
from klucznik.services.by_hand import Expected
from klucznik.services.connection_check import Verified
from klucznik.services.grant import Grant, Granted
from klucznik.services.operator import OperatorStatus
from klucznik.services.verify import Looked
from klucznik.services.withdraw import Withdrawal, Withdrawn

STYLES = {Health.HEALTHY: "green", Health.AWAITING_GRANT: "yellow", Health.UNCHECKED: "yellow"}


def operator(value: OperatorStatus, words: Words) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(words.say("operator.nip"), Text(value.operator.nip, style="bold cyan"))
    grid.add_row(words.say("operator.name"), value.operator.name)
    for one in value.credentials:
        said = words.say(
            f"operator.credential.{one.source.value}", serial=one.serial_number, end=words.date(one.valid_to)
        )
        grid.add_row(words.say("operator.signs_in_with"), said)
    parts: list[RenderableType] = [grid]
    if not value.credentials:
        parts.append(Text(words.say("operator.no_credential"), style="yellow"))
    return Panel(Group(*parts), title=words.say("operator.title"), border_style="cyan", padding=(1, 2))


def grant_warnings(asked: Grant, words: Words) -> Iterator[str]:
    """What the owner agrees to."""
    yield words.say("grant.about", nip=asked.context.value, name=asked.operator.name, operator=asked.operator.nip)
    for permission in asked.permissions:
        yield f"• {words.say(f'permission.{permission.value}')}"
    if asked.delegable:
        yield f"• {words.say('grant.delegable')}"
    yield words.say("grant.until_withdrawn")


def granted(value: Granted, words: Words) -> RenderableType:
    nip = value.context.value
    title = words.say("grant.title" if value.permissions else "grant.title_already", nip=nip)
    parts: list[RenderableType] = [_who(value.operator.nip, value.operator.name, words), Text()]
    parts += _found(value.verified, words)
    if value.delegable:
        parts.append(Text.assemble(("✓ ", "green"), words.say("grant.is_delegable")))
    elif value.delegation_refused:
        parts.append(Text(words.say("grant.not_delegable"), style="yellow"))
    return _panel(title, value.connection, parts)


def withdrawal_warnings(asked: Withdrawal, words: Words) -> Iterator[str]:
    """What the owner takes back."""
    yield words.say("withdraw.about", nip=asked.context.value, name=asked.operator.name, operator=asked.operator.nip)
    for one in asked.permissions:
        yield f"• {_permission(one.permission, words)}"
    yield words.say("withdraw.sessions")


def withdrawn(value: Withdrawn, words: Words) -> RenderableType:
    key = "withdraw.done" if value.permissions else "withdraw.nothing"
    said = words.say(key, nip=value.context.value, operator=value.operator.nip)
    return Text.assemble(("✓ ", "green"), said)


def expected(value: Expected, words: Words) -> RenderableType:
    nip = value.connection.context.value
    if value.connection.health is Health.HEALTHY and value.verified is not None:
        return verified(value.verified, words)
    parts: list[RenderableType] = [Text(words.say("by_hand.meaning", nip=nip)), Text()]
    for number, step in enumerate(steps_by_hand(value.operator, words), start=1):
        parts.append(Text.assemble((f"{number}. ", "bold"), step))
    parts += [Text(), Text(words.say("by_hand.menus_differ"), style="dim"), Text()]
    method = value.connection.method
    if method is Method.PERMISSION:
        parts.append(Text(words.say("by_hand.then", nip=nip)))
    else:
        parts.append(Text(words.say("by_hand.then_instead", method=words.say(f"method.{method.value}"))))
    panels: list[RenderableType] = []
    if value.verified is not None and value.connection.health is not Health.AWAITING_GRANT:
        panels.append(verified(value.verified, words))  # something else is in the way, and no letter helps
    panels.append(
        Panel(Group(*parts), title=words.say("by_hand.title", nip=nip), border_style="yellow", padding=(1, 2))
    )
    for language in LANGUAGES:
        letter = client_letter(value.operator, nip, language)
        panels += [
            Text(words.say(f"by_hand.letter_title.{language}"), style="bold"),
            Padding(Text(letter), (0, 0, 1, 2)),
        ]
    return Group(*panels)


def verified(value: Verified, words: Words) -> RenderableType:
    title = words.say("verify.title", nip=value.connection.context.value)
    return _panel(title, value.connection, _found(value, words))


def looked(value: Looked, words: Words) -> str:
    """One line about one of many."""
    nip = value.connection.context.value
    if value.error is not None:
        return f"{nip}: {error_text(value.error, words).what}"
    return f"{nip}: {words.say(f'health.{value.connection.health.value}')}"


def verified_all(found: Sequence[Looked], words: Words) -> RenderableType:
    if not found:
        return Text(words.say("verify.none"))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for key in ("company", "health", "since"):
        table.add_column(words.say(f"verify.column.{key}"), no_wrap=key != "health", overflow="fold")
    for one in found:
        table.add_row(
            one.connection.context.value, _health(one.connection, words), words.moment(one.connection.health_since)
        )
    undecided = sum(one.error is not None for one in found)
    healthy = sum(one.connection.health is Health.HEALTHY for one in found if one.error is None)
    summary = words.say("verify.summary", healthy=healthy, other=len(found) - healthy - undecided, undecided=undecided)
    return Group(table, Text(), Text(summary))


def _found(value: Verified, words: Words) -> list[RenderableType]:
    connection = value.connection
    parts: list[RenderableType] = [Text.assemble(_health(connection, words), " ", (_since(connection, words), "dim"))]
    for permission in value.permissions or ():
        parts.append(Text.assemble(("✓ ", "green"), _permission(permission, words)))
    for permission in value.missing:
        said = words.say("verify.missing", permission=words.say(f"permission.{permission.value}"))
        parts.append(Text.assemble(("✗ ", "red"), said))
    if value.refused is not None:
        quoted = words.say("ksef.quote", code=value.refused.code, text=value.refused.text)
        parts.append(Text(quoted, style="dim"))
    if connection.health not in (Health.HEALTHY, Health.UNCHECKED):
        parts.append(Text.assemble(("→ ", "bold"), what_now(connection, words)))
    return parts


def what_now(connection: Connection, words: Words) -> str:
    """The way out of a connection that does not work."""
    nip, health = connection.context.value, connection.health.value
    if connection.method is not Method.PERMISSION and words.has(f"health.{health}.own.now"):
        return words.say(f"health.{health}.own.now", nip=nip)
    return words.say(f"health.{health}.now", nip=nip)


def _panel(title: str, connection: Connection, parts: list[RenderableType]) -> RenderableType:
    return Panel(Group(*parts), title=title, border_style=STYLES.get(connection.health, "red"), padding=(1, 2))


def _who(nip: str, name: str, words: Words) -> Text:
    return Text(words.say("grant.operator", operator=nip, name=name))


def _permission(permission: str, words: Words) -> str:
    return words.say(f"permission.{permission}") if words.has(f"permission.{permission}") else permission


def _health(connection: Connection, words: Words) -> Text:
    style = STYLES.get(connection.health, "red")
    return Text(words.say(f"health.{connection.health.value}"), style=style)


def _since(connection: Connection, words: Words) -> str:
    return words.say("health.since", since=words.moment(connection.health_since))

"""Pictures of connections for a terminal: all in a table, one in full, what stays when one is forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from klucznik.cli.permission_pictures import STYLES, what_now
from klucznik.domain.connections import Connection, Dated, Health, Method
from klucznik.domain.token_sunset import TOKEN_SUNSET
from klucznik.messages import Words
from klucznik.messages.refusal import subject_text
from klucznik.services.connect import Connected
from klucznik.services.connections import ConnectionDetail, ConnectionStatus

_LATE = {Dated.CERTIFICATE_ENDS: "yellow", Dated.CERTIFICATE_ENDED: "red"}


def connections(found: Sequence[ConnectionStatus], words: Words) -> RenderableType:
    if not found:
        return Text(words.say("connections.none"))
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for key in ("company", "method", "health", "next"):
        table.add_column(words.say(f"connections.column.{key}"), overflow="fold")
    for one in found:
        connection = one.connection
        company = Text(connection.context.value)
        if connection.name:
            company.append(f"\n{connection.name}", style="dim")
        by = Text(words.say(f"method.short.{connection.method.value}"))
        by.append(f"\n{_who(connection, words)}", style="dim")
        table.add_row(company, by, _health(connection, words), _next(one, words))
    healthy = sum(one.connection.health is Health.HEALTHY for one in found)
    return Group(table, Text(), Text(words.count("connections.summary", len(found), healthy=healthy)))


def one_connection(value: ConnectionDetail, words: Words) -> RenderableType:
    connection = value.status.connection
    return Panel(
        Group(*_detail(value, words)),
        title=words.say("connection.title", nip=connection.context.value),
        border_style=STYLES.get(connection.health, "red"),
        padding=(1, 2),
    )


def connected(value: Connected, words: Words) -> RenderableType:
    connection, parts = value.detail.status.connection, _detail(value.detail, words)
    parts += [Text(), Text.assemble(("✓ ", "green"), words.say("connect.proved", who=_who(connection, words)))]
    before = value.before
    if before is not None and (before.method, before.subject) != (connection.method, connection.subject):
        was = words.say("connect.before", method=words.say(f"method.{before.method.value}"), who=_who(before, words))
        parts.append(Text(was))
    if value.token is not None:
        parts += [Text(), *(Text(f"• {line}") for line in _what_a_token_cannot(words))]
    title = words.say("connect.title", nip=connection.context.value)
    return Panel(Group(*parts), title=title, border_style="green", padding=(1, 2))


def what_stays(value: ConnectionDetail, words: Words) -> Iterator[str]:
    """What forgetting a connection does not do."""
    connection = value.status.connection
    nip, who = connection.context.value, _who(connection, words)
    yield words.say("disconnect.about", nip=nip, method=words.say(f"method.{connection.method.value}"), who=who)
    if connection.method is Method.PERMISSION:
        yield words.say("disconnect.permission", nip=nip)
    elif connection.method is Method.TOKEN:
        yield words.say("disconnect.token", reference=value.token_reference)
    else:
        yield words.say("disconnect.certificates", who=who)
        if value.others:
            others = ", ".join(one.context.value for one in value.others)
            yield words.say("disconnect.others", who=who, others=others)


def disconnected(value: ConnectionDetail, words: Words) -> RenderableType:
    done = words.say("disconnect.done", nip=value.status.connection.context.value)
    _, *rest = what_stays(value, words)
    return Group(Text.assemble(("✓ ", "green"), done), *(Text(f"• {line}") for line in rest))


def _detail(value: ConnectionDetail, words: Words) -> list[RenderableType]:
    status, connection = value.status, value.status.connection
    grid = Table.grid(padding=(0, 2))
    if connection.name:
        grid.add_row(words.say("connection.name"), connection.name)
    grid.add_row(words.say("connection.method"), words.say(f"method.{connection.method.value}"))
    grid.add_row(words.say("connection.who"), _who(connection, words))
    grid.add_row(words.say("connection.health"), _health(connection, words))
    if connection.checked_at is not None:
        grid.add_row(words.say("connection.checked"), words.moment(connection.checked_at))
    grid.add_row(words.say("connection.next"), _next(status, words))
    parts: list[RenderableType] = [grid]
    if connection.health not in (Health.HEALTHY, Health.UNCHECKED):
        parts += [Text(), Text.assemble(("→ ", "bold"), what_now(connection, words))]
    if value.held:
        parts += [Text(), _certificates(value, words)]
    if value.token_reference is not None:
        parts += [Text(), Text(words.say("connection.token", reference=value.token_reference))]
    if value.others:
        others = ", ".join(one.context.value for one in value.others)
        parts += [Text(), Text(words.say("connection.others", who=_who(connection, words), others=others))]
    return parts


def _certificates(value: ConnectionDetail, words: Words) -> RenderableType:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for key in ("serial", "type", "until"):
        table.add_column(words.say(f"column.{key}"), no_wrap=True)
    table.add_column(words.say("connection.programs"), overflow="fold")
    for one in value.held:
        held = one.certificate
        kind = words.say(f"type.short.{held.type.value}")
        programs = ", ".join(one.programs) or "–"
        table.add_row(held.serial_number, kind, words.date(held.valid_to), programs)
    return table


def _what_a_token_cannot(words: Words) -> Iterator[str]:
    yield words.say("token.no_certificates")
    yield words.say("token.no_offline")
    yield words.say("token.sunset", day=TOKEN_SUNSET.last_day.strftime("%d.%m.%Y"), source=TOKEN_SUNSET.source)


def _who(connection: Connection, words: Words) -> str:
    return words.say("connection.operator") if connection.subject is None else subject_text(connection.subject, words)


def _health(connection: Connection, words: Words) -> Text:
    text = Text(words.say(f"health.{connection.health.value}"), style=STYLES.get(connection.health, "red"))
    return text.append(f"\n{words.say('health.since', since=words.date(connection.health_since))}", style="dim")


def _next(value: ConnectionStatus, words: Words) -> Text:
    following = value.next_date
    if following is None:
        return Text("–")
    if following.about is Dated.TOKENS_END:
        return Text(words.say("next.tokens_end", day=TOKEN_SUNSET.last_day.strftime("%d.%m.%Y")))
    said = words.say(f"next.{following.about.value}", day=words.date(following.at))
    return Text(said, style=_LATE.get(following.about, ""))

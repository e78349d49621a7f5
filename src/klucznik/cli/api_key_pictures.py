"""Pictures of keys of the API for a terminal. No decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from klucznik.domain.api_keys import ApiKey, KeyState
from klucznik.messages import Words

_STYLES = {KeyState.GOOD: "green", KeyState.EXPIRED: "yellow", KeyState.REVOKED: "dim"}


def made(secret: str, key: ApiKey, words: Words) -> RenderableType:
    return _shown_once(secret, words, words.say("api_key.made", name=key.name, end=words.date(key.expires_at)))


def rotated(secret: str, key: ApiKey, words: Words, *, now: datetime) -> RenderableType:
    said = words.say("api_key.rotated", name=key.name, end=words.date(key.expires_at))
    return _shown_once(secret, words, said, former(key, words, now))


def former(key: ApiKey, words: Words, now: datetime) -> str:
    """What becomes of the secrets before the newest one."""
    over = key.former_until is None or not key.overlaps(now)
    return words.say("api_key.former_over") if over else words.say("api_key.former", until=key.former_until)


def _shown_once(secret: str, words: Words, *said: str) -> RenderableType:
    first, *further = said
    return Group(
        Text.assemble(("✓ ", "green"), first),
        *(Text(f"  {one}") for one in further),
        Text(),
        # Alone on its line, and never broken: it is copied.
        Text(secret, style="bold", no_wrap=True, overflow="ignore"),
        Text(),
        Text(words.say("api_key.shown_once"), style="yellow"),
    )


def listed(keys: Sequence[ApiKey], words: Words, *, now: datetime) -> RenderableType:
    if not keys:
        return Text(words.say("api_key.none"))
    return Group(*(_one(key, words, now) for key in keys))


def _one(key: ApiKey, words: Words, now: datetime) -> RenderableType:
    state = key.state(now)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_row(
        Text(words.say(f"api_key.state.{state.value}"), style=_STYLES[state]),
        Text.assemble((key.name, "bold"), f"  {key.shown}…"),
    )
    grid.add_row("", Text(f"{words.say('api_key.id')} {key.id}", style="dim"))
    reach = words.say("api_key.all_companies") if key.nip is None else f"NIP {key.nip}"
    grid.add_row("", f"{', '.join(sorted(scope.value for scope in key.scopes))} · {reach}")
    used = words.say("api_key.never_used") if key.last_used_at is None else words.moment(key.last_used_at)
    grid.add_row("", words.say("api_key.times", end=words.date(key.expires_at), used=used))
    if key.overlaps(now):
        grid.add_row("", former(key, words, now))
    return grid

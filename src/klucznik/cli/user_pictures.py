"""Pictures of users for a terminal. No decisions."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from klucznik.domain.accounts import User
from klucznik.messages import Words
from klucznik.services.accounts.users import Listed


def listed(found: Sequence[Listed], words: Words) -> RenderableType:
    if not found:
        return Text(words.say("user.none"))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for one in found:
        factor = words.say("user.second_factor") if one.second_factor else ""
        table.add_row(
            one.user.email, one.user.name, words.say(f"user.role.{one.user.role.value}"), factor, _state(one, words)
        )
    return table


def link_made(user: User, address: str, words: Words) -> RenderableType:
    return Group(
        Text.assemble(("✓ ", "green"), words.say("user.link_made", email=user.email)),
        Text(),
        # Alone on its line, and never broken: it is copied.
        Text(address, style="bold", no_wrap=True, overflow="ignore"),
    )


def _state(one: Listed, words: Words) -> Text:
    if one.user.disabled_at is not None:
        return Text(words.say("user.disabled"), style="red")
    return Text(words.say("user.invited"), style="yellow") if one.user.password_hash is None else Text()

"""What an entry of the audit log says to a person: a sentence for each event, from its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from klucznik.domain.audit import Event, Fact
from klucznik.messages.catalogue import Words

# Facts whose values are names of ours: where their words are.
_FAMILIES = {
    "type": "type.short",
    "missing": "type.short",
    "method": "method.short",
    "before": "method.short",
    "health": "board.health",
    "from": "board.health",
    "to": "board.health",
    "state": "issuance_state",
    "permissions": "permission",
}


def timeline_text(event: str, facts: Mapping[str, Fact], words: Words) -> str:
    """One sentence; of an event of a later release its name."""
    key = f"timeline.{event}"
    if not words.has(key):
        return words.say("timeline.other", event=event)
    return words.say(_special(event, facts) or key, **{_name(name): _said(name, facts[name], words) for name in facts})


def _special(event: str, facts: Mapping[str, Fact]) -> str | None:
    """Some events have two faces."""
    if event == Event.ISSUANCE_ORDERED and facts.get("replaces"):
        return "timeline.issuance_ordered.renewal"
    if event == Event.CONNECTION_CHANGED and "name" in facts:
        return "timeline.connection_changed.name"
    return None


def _name(fact: str) -> str:
    return {"from": "health_before", "to": "health_after"}.get(fact, fact)


def _said(name: str, value: Fact, words: Words) -> object:
    if isinstance(value, Mapping):
        return None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(_said(name, one, words)) for one in value)
    family = _FAMILIES.get(name)
    key = f"{family}.{str(value).partition(' ')[0]}"
    return words.say(key) if family is not None and words.has(key) else value

"""What an error says to a person: what happened, why, what now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from klucznik.errors import Datum, KlucznikError, KsefRefused
from klucznik.messages.catalogue import Words

Said: TypeAlias = "dict[str, Datum]"

_MOMENTS = frozenset({"until", "valid_from", "valid_to"})  # ISO 8601; people read them on the Polish clock
# Where in the catalogue the words for a datum are.
_FAMILIES = {
    "looks_like": ("looks_like",),
    "cause": ("network",),
    "subject": ("subject",),
    "given": ("subject",),
    "wanted": ("subject",),
    "state": ("issuance_state",),
    "expected": ("type", "subject"),
    "found": ("type", "subject"),
}
# Codes of a status, which mean something else in an answer.
_STATUSES = {"sign_in_refused": "sign_in", "permission_refused": "permission_operation"}


@dataclass(frozen=True)
class ErrorText:
    """One clear sentence, and what to do."""

    what: str
    now: str | None = None


def error_text(error: KlucznikError, words: Words) -> ErrorText:
    """The words for any error of Klucznik."""
    data = {name: _said(name, value, words) for name, value in error.data.items()}
    if isinstance(error, KsefRefused) and error.code is not None:
        return _ksef_text(error, data, words)
    key = f"error.{error.reason}"
    what = words.say(key if words.has(key) else "error.other", reason=error.reason, **data)
    return ErrorText(what, _now(key, data, words))


def _ksef_text(error: KsefRefused, data: Said, words: Words) -> ErrorText:
    """KSeF's own words always stand beside ours: they are what the Ministry's help desk knows."""
    family = _STATUSES.get(error.reason, "ksef") if error.status is None else "ksef"
    key = f"{family}.{error.code}"
    if not words.has(key):
        key = f"{family}.other"
    text = ": ".join((error.text.rstrip("."), " ".join(error.details))) if error.details else error.text
    quoted = words.say("ksef.quote", code=error.code, text=text)
    return ErrorText(f"{words.say(key, **data)} {quoted}", _now(key, data, words))


def _now(key: str, data: Said, words: Words) -> str | None:
    return words.say(f"{key}.now", **data) if words.has(f"{key}.now") else None


def _said(name: str, value: Datum, words: Words) -> Datum:
    """Data that are words, names of KSeF or moments, as a person of this language says them."""
    if not isinstance(value, str):
        return value
    if name in _MOMENTS:
        return words.moment(datetime.fromisoformat(value))
    kind, _, rest = value.partition(" ")
    for key in _FAMILIES.get(name, ()):
        if words.has(f"{key}.{kind}"):
            return words.say(f"{key}.{kind}", value=rest)
    return value

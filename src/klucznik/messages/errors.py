"""What an error says to a person: what happened, why, what now."""

from __future__ import annotations

from dataclasses import dataclass

from klucznik.errors import KlucznikError, KsefRefused
from klucznik.messages.catalogue import Words


@dataclass(frozen=True)
class ErrorText:
    """One clear sentence, and what to do."""

    what: str
    now: str | None = None


def error_text(error: KlucznikError, words: Words) -> ErrorText:
    """The words for any error of Klucznik."""
    if isinstance(error, KsefRefused) and error.code is not None:
        return _ksef_text(error, words)
    key, data = f"error.{error.reason}", dict(error.data)
    # Data that are words themselves are said in the language of the sentence.
    for name, family in (("looks_like", "looks_like"), ("cause", "network")):
        if words.has(f"{family}.{data.get(name)}"):
            data[name] = words.say(f"{family}.{data[name]}")
    what = words.say(key if words.has(key) else "error.other", reason=error.reason, **data)
    return ErrorText(what, _now(key, error, words))


def _ksef_text(error: KsefRefused, words: Words) -> ErrorText:
    """KSeF's own words always stand beside ours: they are what the Ministry's help desk knows."""
    family = "sign_in" if error.status is None and error.reason == "sign_in_refused" else "ksef"
    key = f"{family}.{error.code}"
    if not words.has(key):
        key = f"{family}.other"
    quoted = words.say("ksef.quote", code=error.code, text=f"{error.text} {' '.join(error.details)}".strip())
    return ErrorText(f"{words.say(key, **error.data)} {quoted}", _now(key, error, words))


def _now(key: str, error: KlucznikError, words: Words) -> str | None:
    return words.say(f"{key}.now", **error.data) if words.has(f"{key}.now") else None

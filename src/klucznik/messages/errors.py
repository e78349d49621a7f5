"""What an error says to a person: what happened, why, who can change it, what now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from klucznik.domain.issuance import Failure
from klucznik.errors import Datum, KlucznikError, KsefRefused
from klucznik.messages.catalogue import Words
from klucznik.messages.codes import CODES, Who, key_of, key_of_login, quoted_number

Said: TypeAlias = "dict[str, Datum]"

_MOMENTS = frozenset({"until", "valid_from", "valid_to"})  # ISO 8601; people read them on the Polish clock
# Where in the catalogue the words for a datum are.
_FAMILIES = {
    "looks_like": ("looks_like",),
    "cause": ("network",),
    "subject": ("subject",),
    "given": ("subject",),
    "wanted": ("subject",),
    "found_context": ("subject",),
    "our_context": ("subject",),
    "state": ("issuance_state",),
    "expected": ("type", "subject"),
    "found": ("type", "subject"),
}
# A command or an option of one.
_TYPED = re.compile(r"\bklucznik [a-z]|--[a-z]")
_LISTS = frozenset({"required_permissions", "present_permissions"})


@dataclass(frozen=True)
class ErrorText:
    """One clear sentence, who can change what it says, and what to do.

    Attributes:
        who: a sentence; None where the first one leaves no doubt.
        changed_by: the same for machines.
    """

    what: str
    now: str | None = None
    who: str | None = None
    changed_by: Who | None = None


def error_text(error: KlucznikError, words: Words, *, in_api: bool = False) -> ErrorText:
    """The words for any error of Klucznik.

    Args:
        in_api: for whoever sends requests: what to do names routes, never what is typed at a terminal.
    """
    data = {name: _said(name, value, words) for name, value in error.data.items()}
    ksef_key = key_of(error)
    if ksef_key is not None:
        return _ksef_text(error, ksef_key, data, words, in_api)
    key = f"error.{error.reason}"
    what = words.say(key if words.has(key) else "error.other", reason=error.reason, **data)
    if error.reason == "login_refused":
        return _login_text(error, what, data, words, in_api)
    return ErrorText(what, _now(key, data, words, in_api))


def rejection_text(failure: Failure, words: Words) -> str:
    """Why a request was rejected, in one sentence."""
    if failure.reason is not None:
        return error_text(KsefRefused(failure.reason), words).what
    details = (failure.details,) if failure.details else ()
    return error_text(
        KsefRefused("enrollment_rejected", code=failure.code, text=failure.text, details=details), words
    ).what


def _ksef_text(error: KlucznikError, key: str, data: Said, words: Words, in_api: bool) -> ErrorText:
    """KSeF's own words always stand beside ours: they are what the Ministry's help desk knows."""
    what, changed_by = words.say(key, **data), CODES[key]
    if isinstance(error, KsefRefused) and error.text:
        text = ": ".join((error.text.rstrip("."), " ".join(error.details))) if error.details else error.text
        what = f"{what} {words.say('ksef.quote', code=quoted_number(error), text=text)}"
    return ErrorText(what, _now(key, data, words, in_api), who_text(changed_by, words), changed_by)


def _login_text(error: KlucznikError, what: str, data: Said, words: Words, in_api: bool) -> ErrorText:
    """A person with another certificate helps against some of KSeF's reasons, and not against the others."""
    key = key_of_login(error.data.get("code"))
    own = CODES[key] is Who.YOU
    return ErrorText(
        what, _now("error.login_refused" if own else key, data, words, in_api), who_text(CODES[key], words), CODES[key]
    )


def who_text(who: Who, words: Words) -> str:
    """Who can change it, as a sentence."""
    return words.say("error.who", who=words.say(f"who.{who.value}"))


def _now(key: str, data: Said, words: Words, in_api: bool) -> str | None:
    """What to do. Where that names a command, the catalogue of the pages says what to do in a browser or by the API."""
    names = (f"{key}.in_api", f"{key}.now", f"{key}.in_browser") if in_api else (f"{key}.in_browser", f"{key}.now")
    said = (words.say(name, **data) for name in names if words.has(name))
    return next((text for text in said if not in_api or _TYPED.search(text) is None), None)


def _said(name: str, value: Datum, words: Words) -> Datum:
    """Data that are words, names of KSeF or moments, as a person of this language says them."""
    if not isinstance(value, str):
        return value
    if name in _MOMENTS:
        return words.moment(datetime.fromisoformat(value))
    if name in _LISTS:
        return ", ".join(_permission(one, words) for one in value.split(", "))
    kind, _, rest = value.partition(" ")
    for key in _FAMILIES.get(name, ()):
        if words.has(f"{key}.{kind}"):
            return words.say(f"{key}.{kind}", value=rest)
    return value


def _permission(name: str, words: Words) -> str:
    """What a permission allows, beside KSeF's name; the name alone where it is a new one."""
    return words.say(f"permission.{name}") if words.has(f"permission.{name}") else name

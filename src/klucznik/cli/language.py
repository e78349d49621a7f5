"""The language of this run, known before anything is parsed: help texts need it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar

from klucznik.messages import LANGUAGES, Words, words_in

_CURRENT: ContextVar[str] = ContextVar("language", default=LANGUAGES[0])


def choose(arguments: Sequence[str], environment: Mapping[str, str]) -> Words:
    """The catalogue for ``--lang`` or ``KLUCZNIK_LANG``; Polish when neither says otherwise."""
    chosen = environment.get("KLUCZNIK_LANG", LANGUAGES[0])
    for position, argument in enumerate(arguments):
        if argument == "--lang" and position + 1 < len(arguments):
            chosen = arguments[position + 1]
        elif argument.startswith("--lang="):
            chosen = argument.removeprefix("--lang=")
    _CURRENT.set(chosen)
    return words_in(chosen)


def help_for(name: str) -> str:
    """The help text of an option or command, in the language of this run."""
    return words_in(_CURRENT.get()).say(f"help.{name}")

"""The language of this run, known before anything is parsed: help texts need it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from klucznik.errors import InputError
from klucznik.messages import LANGUAGES, Words, words_in


def choose(arguments: Sequence[str], environment: Mapping[str, str]) -> Words:
    """The catalogue for ``--lang`` or ``KLUCZNIK_LANG``; Polish when neither says otherwise."""
    chosen = environment.get("KLUCZNIK_LANG", LANGUAGES[0])
    for position, argument in enumerate(arguments):
        if argument == "--lang" and position + 1 < len(arguments):
            chosen = arguments[position + 1]
        elif argument.startswith("--lang="):
            chosen = argument.removeprefix("--lang=")
    return words_in(chosen)


def check(language: str) -> None:
    """Raise InputError ``language_unknown`` (``value``, ``known``) for a language that there is no catalogue of."""
    if language not in LANGUAGES:
        raise InputError("language_unknown", value=language[:20], known=", ".join(LANGUAGES))

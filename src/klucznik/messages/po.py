"""Reads a catalogue file: gettext's ``.po``, as far as our two files use it. The words are filled in by `catalogue`.

A reader of our own, because the general one cost every start of the command more than a sign-in does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from gettext import c2py


@dataclass(frozen=True)
class Catalogue:
    """The messages of one language.

    Attributes:
        forms: key → its sentence, or its sentences for different numbers in the order of the language.
        form_for: a number → which of the forms it takes.
    """

    forms: Mapping[str, list[str]]
    form_for: Callable[[int], int]


def read(lines: Iterable[str]) -> Catalogue:
    """Read a file line by line.

    Raises:
        ValueError: a line is no message id, no message string, no quoted text and no comment.
    """
    forms: dict[str, list[str]] = {}
    current: list[str] = []
    for line in filter(None, map(str.strip, lines)):
        if line.startswith("#"):
            continue
        keyword, _, quoted = ("", "", line) if line.startswith('"') else line.partition(" ")
        text: str = json.loads(quoted)  # the same quotes and escapes
        if keyword == "msgid":
            current = forms.setdefault(text, [])
        elif keyword == "":
            current[-1] += text
        elif keyword.startswith("msgstr"):
            current.append(text)
        elif keyword != "msgid_plural":
            raise ValueError(line)
    header = forms.pop("")[0]
    return Catalogue(forms, c2py(header.partition(" plural=")[2].partition(";")[0]))

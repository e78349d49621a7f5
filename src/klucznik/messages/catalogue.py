"""Reads the catalogue (`pl.po`, `en.po` beside this file) and fills its sentences.

What only pages and e-mails say stands in `pages/`, a file for each area and language: a command need not read it.

A message is named by a key, never by its English text, so that both languages stand equal.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from klucznik.domain.languages import Language

LANGUAGES = tuple(one.value for one in Language)

_HERE = Path(__file__).parent
# The moment that matters to a Polish company is told on the Polish clock (rule 9 of the design).
_WARSAW = ZoneInfo("Europe/Warsaw")


class Words:
    """The catalogue of one language."""

    def __init__(self, language: str, translations: gettext.GNUTranslations) -> None:
        self.language = language
        self._translations = translations

    def has(self, key: str) -> bool:
        return self._translations.gettext(key) != key

    def say(self, key: str, /, **data: object) -> str:
        """The sentence behind `key`, with `data` put in; what the data lacks is shown as a dash."""
        return self._fill(self._translations.gettext(key), data)

    def count(self, key: str, number: int, /, **data: object) -> str:
        """The form of `key` that fits a number (``{n}`` in the sentence)."""
        return self._fill(self._translations.ngettext(key, key, number), {"n": number, **data})

    def date(self, moment: datetime) -> str:
        """A day on the Polish calendar, for example ``23.11.2026``."""
        return moment.astimezone(_WARSAW).strftime("%d.%m.%Y")

    def moment(self, moment: datetime) -> str:
        """A moment on the Polish clock, for example ``23.11.2026, 14:05``."""
        return moment.astimezone(_WARSAW).strftime("%d.%m.%Y, %H:%M")

    def time_of_day(self, moment: datetime) -> str:
        """A moment of today on the Polish clock, for example ``14:05:30``."""
        return moment.astimezone(_WARSAW).strftime("%H:%M:%S")

    def _fill(self, text: str, data: Mapping[str, object]) -> str:
        shown = {name: self._shown(value) for name, value in data.items()}
        return text.format_map(_Dashes(shown))

    def _shown(self, value: object) -> str:
        if value is None or value == "":
            return "–"
        return self.moment(value) if isinstance(value, datetime) else str(value)


class _Dashes(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "–"


@lru_cache(maxsize=len(LANGUAGES))
def words_in(language: str) -> Words:
    """The catalogue of a language; anything that is not a known language is Polish."""
    chosen = _known(language)
    return _words(chosen, _HERE / f"{chosen}.po")


@lru_cache(maxsize=len(LANGUAGES))
def words_for_pages(language: str) -> Words:
    """As `words_in`, with what only pages and e-mails say."""
    chosen = _known(language)
    return _words(chosen, _HERE / f"{chosen}.po", *sorted((_HERE / "pages").glob(f"*.{chosen}.po")))


def _known(language: str) -> str:
    return language if language in LANGUAGES else LANGUAGES[0]


def _words(language: str, *files: Path) -> Words:
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with files[0].open("rb") as first:
        catalogue = read_po(first, locale=language)
    for further in files[1:]:
        with further.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id:
                    catalogue[message.id] = message
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Words(language, gettext.GNUTranslations(compiled))

"""Languages in which people are spoken to. What is said in them is the catalogue. Pure."""

from __future__ import annotations

from enum import StrEnum

from klucznik.domain.values import InvalidValue


class Language(StrEnum):
    """By its code. Names are kept: rows have them."""

    POLISH = "pl"
    ENGLISH = "en"


def parse_language(text: str) -> Language:
    """A language by its code.

    Raises:
        InvalidValue: ``language_unknown``.
    """
    try:
        return Language(text)
    except ValueError:
        raise InvalidValue("language_unknown", value=text[:20], known=", ".join(Language)) from None

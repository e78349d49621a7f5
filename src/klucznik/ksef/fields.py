"""Reading JSON with suspicion: every field is checked for presence and kind, nothing unknown is looked at.

Which answer has which fields is `wire`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

Choice = TypeVar("Choice", bound=StrEnum)
Value = TypeVar("Value")

# A C0/C1 control character in a text of KSeF could drive a terminal or break a log line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


class Unreadable(Exception):
    """An answer is not what the specification says; the text names the field, never its value."""


def parse_json(body: bytes) -> object:
    """The JSON document in ``body``.

    Raises:
        Unreadable: empty, truncated, not UTF-8, not JSON or nested beyond reason.
    """
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        # Raised below: an exception that remembers the body must not travel with ours.
        pass
    else:
        return document
    raise Unreadable("body")


def plain(text: str, *, longest: int = 500) -> str:
    """A text of KSeF made safe to show: one line, no control or direction characters, bounded."""
    return _CONTROL.sub(" ", text).strip()[:longest]


class Fields:
    """One JSON object."""

    def __init__(self, value: object, name: str = "body") -> None:
        if not isinstance(value, dict):
            raise Unreadable(name)
        self._values: dict[str, object] = value

    @classmethod
    def read(cls, body: bytes) -> Fields:
        """The JSON object in ``body``."""
        return cls(parse_json(body))

    @classmethod
    def read_each(cls, body: bytes) -> list[Fields]:
        """The JSON objects of an array that is the whole document."""
        document = parse_json(body)
        if not isinstance(document, list):
            raise Unreadable("body")
        return [cls(item) for item in document]

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str) or not value:
            raise Unreadable(name)
        return value

    def maybe_text(self, name: str) -> str | None:
        """None when absent, null or empty: KSeF leaves unused fields out in all three ways."""
        return self._maybe(name, self.text) if self._values.get(name) != "" else None

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        """A text that matches ``pattern`` as a whole."""
        value = self.text(name)
        if not pattern.fullmatch(value):
            raise Unreadable(name)
        return value

    def integer(self, name: str) -> int:
        value = self._values.get(name)
        # bool is an int to Python, never to KSeF.
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**63:
            raise Unreadable(name)
        return value

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if not isinstance(value, bool):
            raise Unreadable(name)
        return value

    def maybe_flag(self, name: str) -> bool | None:
        return self._maybe(name, self.flag)

    def moment(self, name: str) -> datetime:
        """An instant in UTC. KSeF writes up to seven fractional digits; the seventh is dropped (facts.md §1.2)."""
        text = self.text(name)
        try:
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise Unreadable(name) from None

    def maybe_moment(self, name: str) -> datetime | None:
        return self._maybe(name, self.moment)

    def choice(self, name: str, kind: type[Choice]) -> Choice:
        """A member of ``kind`` in any letter case: early answers had lower case (facts.md §1.2)."""
        wanted = self.text(name).casefold()
        for member in kind:
            if member.value.casefold() == wanted:
                return member
        raise Unreadable(name)

    def inner(self, name: str) -> Fields:
        return Fields(self._values.get(name), name)

    def maybe_inner(self, name: str) -> Fields | None:
        return self._maybe(name, self.inner)

    def each(self, name: str) -> list[Fields]:
        """The objects of an array."""
        value = self._values.get(name)
        if not isinstance(value, list):
            raise Unreadable(name)
        return [Fields(item, name) for item in value]

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of an array made safe to show, at most 20; they explain, so whatever is not a text is left out."""
        value = self._values.get(name)
        return tuple(plain(text) for text in value[:20] if isinstance(text, str)) if isinstance(value, list) else ()

    def has(self, name: str) -> bool:
        """Whether there is anything but null under ``name``."""
        return self._values.get(name) is not None

    def named(self, name: str, shape: re.Pattern[str]) -> tuple[str, ...] | None:
        """A text, or the texts of an array, that are of this shape, at most 20; None: there is neither.

        They explain, so whatever is of another shape is left out.
        """
        value = self._values.get(name)
        if not isinstance(value, str | list):
            return None
        texts = [value] if isinstance(value, str) else value[:20]
        return tuple(text for text in texts if isinstance(text, str) and shape.fullmatch(text))

    def _maybe(self, name: str, read: Callable[[str], Value]) -> Value | None:
        return None if self._values.get(name) is None else read(name)

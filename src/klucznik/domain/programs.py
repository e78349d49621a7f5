"""Programs that certificates are exported for, by the names that people give them."""

from __future__ import annotations

from klucznik.domain.values import InvalidValue

LONGEST = 64


def parse_program(text: str) -> str:
    """A name of up to 64 printable characters; white space is brought down to single spaces.

    Raises:
        InvalidValue: ``program_name_malformed`` (``limit``).
    """
    name = " ".join(text.split())
    if not name or len(name) > LONGEST or not name.isprintable():
        raise InvalidValue("program_name_malformed", limit=LONGEST)
    return name

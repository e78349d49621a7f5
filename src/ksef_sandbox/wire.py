"""How values look on the wire: JSON text and dates as KSeF writes them (facts.md §1.2).
Shapes of particular answers are made where they belong, in the modules of `routes/`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


def json_bytes(value: JsonValue) -> bytes:
    """Compact UTF-8 JSON; Polish letters stay letters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with offset: seven fractional digits as .NET has, none when the moment is a whole second.

    >>> timestamp(datetime(2025, 7, 11, 12, 23, 56, 15430, tzinfo=UTC))
    '2025-07-11T12:23:56.0154300+00:00'
    """
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    fraction = f".{moment.microsecond:06d}0" if moment.microsecond else ""
    return f"{moment.isoformat(timespec='seconds')}{fraction}+00:00"


def optional_timestamp(moment: datetime | None) -> str | None:
    """The same for a date that may be missing."""
    return None if moment is None else timestamp(moment)

"""The calls we make, and what each allows when its answer does not come. Sending them is `transport`.

The route is what messages and counters name: it never holds an identifier.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import TypeAlias
from urllib.parse import quote


class Care(Enum):
    """What may be done when the answer to a call does not come or cannot be read."""

    REPEATABLE = auto()  # asking again changes nothing: a few attempts
    ONCE = auto()  # asking again is harmless but would be answered differently: one attempt, `KsefUnavailable`
    SPENDS = auto()  # it may have been applied and must not be applied twice: one attempt, `AnswerLost`


@dataclass(frozen=True)
class Call:
    """One request to KSeF, without who sends it.

    Attributes:
        route: path template of the specification, for example ``/certificates/enrollments/{referenceNumber}``.
        path: the path with its values, percent-encoded, relative to the API base.
        content: body, already encoded.
        send_by: the last moment at which it may leave (UTC); None: any.
        in_turn: its turn has been waited for already (`Transport.turn`).
    """

    method: str
    route: str
    care: Care
    path: str
    content: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"
    parameters: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    send_by: datetime | None = None
    in_turn: bool = False


def call(
    method: str,
    route: str,
    care: Care = Care.REPEATABLE,
    *,
    content: bytes = b"",
    content_type: str = "application/json",
    parameters: tuple[tuple[str, str], ...] = (),
    headers: tuple[tuple[str, str], ...] = (),
    send_by: datetime | None = None,
    in_turn: bool = False,
    **values: str,
) -> Call:
    """A call to ``route`` with its ``{placeholders}`` filled from ``values``."""
    path = route.format(**{name: quote(value, safe="") for name, value in values.items()})
    return Call(method, route, care, path, content, content_type, parameters, headers, send_by, in_turn)


def json_content(body: object) -> bytes:
    """A body as KSeF reads it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Exchange:
    """One attempt at a call, for whoever counts and measures.

    Attributes:
        status: HTTP status of the answer; None: none came.
        seconds: from the first byte of the connection to the last one of the answer, or to the failure.
    """

    method: str
    route: str
    status: int | None
    seconds: float


Watcher: TypeAlias = Callable[[Exchange], None]


def unwatched(_: Exchange) -> None:
    """For clients whose calls nobody counts."""

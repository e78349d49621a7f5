"""Lists in pages by key: an opaque cursor names the last one of the page before, and `Link` says where to go on."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import Annotated

from fastapi import Query, Request
from starlette.datastructures import URL

from klucznik.errors import InputError
from klucznik.views.parts import Json

MOST = 200
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most", examples=[50])]
Cursor = Annotated[
    str | None,
    Query(
        max_length=400,
        description="`next` of the page before, as it came",
        examples=["WyI1MjY1ODc3NjM1Il0"],
    ),
]
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SERIAL = re.compile(r"[0-9A-F]{16,40}", re.ASCII)  # KSeF documents 16 and checks nothing


def cursor_of(*key: str) -> str:
    """What leads to whatever comes after this key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def key_in(cursor: str, parts: int) -> list[str]:
    """The key again.

    Raises:
        InputError: ``cursor_malformed``.
    """
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError, ValueError, RecursionError):
        raise InputError("cursor_malformed") from None
    found = [one for one in key if isinstance(one, str) and one.isprintable()] if isinstance(key, list) else []
    if found != key or len(found) != parts:
        raise InputError("cursor_malformed")
    return found


def id_in(cursor: str) -> str:
    """The id of what a page ended with; raises InputError ``cursor_malformed``."""
    return _one(cursor, _ID)


def serial_in(cursor: str) -> str:
    """The serial number of the certificate that a page ended with; raises InputError ``cursor_malformed``."""
    return _one(cursor, _SERIAL)


def _one(cursor: str, form: re.Pattern[str]) -> str:
    (name,) = key_in(cursor, 1)
    if not form.fullmatch(name):
        raise InputError("cursor_malformed")
    return name


def link(request: Request, cursor: str | None) -> dict[str, str]:
    """The `Link` header of a page, where there is a further one."""
    if cursor is None:
        return {}
    here = URL(request.url.path).replace(query=request.url.query)
    return {"link": f'<{here.include_query_params(after=cursor)}>; rel="next"'}


def page_of(items: Iterable[Json], cursor: str | None) -> Json:
    """What a page looks like."""
    return {"items": [*items], "next": cursor}

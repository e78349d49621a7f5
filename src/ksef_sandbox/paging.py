"""Pages of lists: by number (`pageOffset`, `hasMore`) and by continuation token (`x-continuation-token`).
Which lists there are, and in what order, is decided by their routes.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TypeVar

from ksef_sandbox import bodies
from ksef_sandbox.errors import BadRequest
from ksef_sandbox.pipeline import Call

T = TypeVar("T")


def numbered_page(call: Call, found: Sequence[T], *, low: int = 10, high: int = 100) -> tuple[Sequence[T], bool]:
    """The page the request asks for, and whether more follow; raises InvalidInput."""
    number = bodies.query_integer(call.request, "pageOffset", low=0, high=None, default=0)
    size = _size(call, low=low, high=high)
    start = number * size
    return found[start : start + size], len(found) > start + size


def continued_page(call: Call, found: Sequence[T]) -> tuple[Sequence[T], str | None]:
    """The next page and the token for the one after it; raises InvalidInput, BadRequest 21418 for a strange token."""
    size = _size(call, low=10, high=100)
    start = _start(call.request.headers.get("x-continuation-token"))
    end = start + size
    return found[start:end], _token(end) if len(found) > end else None


def _size(call: Call, *, low: int, high: int) -> int:
    """As asked for, unless a fault makes pages smaller."""
    size = bodies.query_integer(call.request, "pageSize", low=low, high=high, default=low)
    return size if call.page_limit is None else min(size, call.page_limit)


def _token(start: int) -> str:
    return base64.b64encode(json.dumps({"skip": start}).encode()).decode()


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        start = json.loads(base64.b64decode(token, validate=True))["skip"]
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise BadRequest(21418) from error
    if not isinstance(start, int) or start < 0:
        raise BadRequest(21418)
    return start

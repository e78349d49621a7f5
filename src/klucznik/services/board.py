"""The board: connections searched, filtered, sorted and paged, with what each rests on. Asks KSeF for nothing."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection as Transaction

from klucznik.domain.board import Order, Wanted, folded, order_of
from klucznik.domain.connections import WORST_FIRST
from klucznik.domain.identifiers import ContextType
from klucznik.errors import InputError
from klucznik.services.connections import ConnectionStatus, statuses
from klucznik.services.installation import Installation
from klucznik.storage import board
from klucznik.storage.board import Place

PAGE = 50
# No page shows a larger number than this, and none counts further.
MOST_COUNTED = 10_000
_EXPORTED_AT_ONCE = 500


@dataclass(frozen=True)
class Board:
    """A page of the board.

    Attributes:
        following: the cursor of the next page; None: this is the last.
    """

    rows: tuple[ConnectionStatus, ...]
    following: str | None


@dataclass(frozen=True)
class Counts:
    """How many connections there are, and how many somebody should look at; no more than `MOST_COUNTED` each."""

    all: int
    attention: int


async def board_page(
    installation: Installation, wanted: Wanted, order: Order, *, cursor: str | None = None, size: int = PAGE
) -> Board:
    """A page of the board, in two queries however many connections there are.

    Args:
        cursor: `Board.following` of the page before, with the same order.

    Raises:
        InputError: ``list_place_malformed``.
    """
    order, now = order_of(wanted, order), installation.clock.now()
    after = None if cursor is None else _place(cursor, order)

    def read(transaction: Transaction) -> Board:
        found = board.page(transaction, installation.environment, wanted, order, after=after, size=size + 1, now=now)
        shown = found[:size]
        following = _cursor(shown[-1].place, order) if len(found) > size else None
        return Board(tuple(statuses(transaction, [one.connection for one in shown], now)), following)

    return await installation.database.read(read)


async def everything(installation: Installation, wanted: Wanted, order: Order) -> AsyncIterator[Board]:
    """All pages, one after the other, for files."""
    cursor: str | None = None
    while True:
        page = await board_page(installation, wanted, order, cursor=cursor, size=_EXPORTED_AT_ONCE)
        yield page
        if page.following is None:
            return
        cursor = page.following


async def counts(installation: Installation) -> Counts:
    """How many there are, counted in indexes and no further than a page shows."""
    environment, now = installation.environment, installation.clock.now()

    def read(transaction: Transaction) -> Counts:
        return Counts(
            board.count(transaction, environment, Wanted(), most=MOST_COUNTED, now=now),
            board.count(transaction, environment, Wanted(attention=True), most=MOST_COUNTED, now=now),
        )

    return await installation.database.read(read)


def _cursor(place: Place, order: Order) -> str:
    key = place.key.isoformat() if isinstance(place.key, datetime) else place.key
    told = json.dumps([order.value, key, place.context_type, place.context_value], separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _place(cursor: str, order: Order) -> Place:
    """Whoever makes up a cursor gets the page that begins where it says, or is told that it is none."""
    try:
        told = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        said, key, kind, value = told
        place = Place(_KEYS[order](key), ContextType(kind).value, str(value))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise InputError("list_place_malformed") from None
    if said != order.value or not _VALUE.fullmatch(place.context_value):
        raise InputError("list_place_malformed")
    return place


def _moment(key: str) -> datetime:
    return datetime.fromisoformat(key).astimezone(UTC)


_KEYS: dict[Order, Callable[[Any], str | int | datetime | None]] = {
    Order.NIP: lambda _: None,
    Order.URGENT: _moment,
    Order.NEXT: _moment,
    Order.NAME: folded,
    Order.HEALTH: lambda key: min(max(int(key), 0), len(WORST_FIRST)),
}
_VALUE = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)

"""The board: all connections in a table, and the same as files for a spreadsheet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from klucznik.access.gate import Requires, Visitor
from klucznik.domain.board import ENDS_WITHIN_DAYS, LONGEST_SEARCH, Order, Wanted, looked_for
from klucznik.domain.connections import WORST_FIRST, Health, Method
from klucznik.domain.roles import Action
from klucznik.errors import InputError
from klucznik.services import board
from klucznik.services.board import MOST_COUNTED
from klucznik.services.onboarding import unfinished
from klucznik.web.pages import render, words_of
from klucznik.web.spreadsheets import CSV, XLSX, csv_lines, xlsx_file

router = APIRouter()

Chosen = TypeVar("Chosen", bound=StrEnum)
Seeing = Annotated[Visitor, Depends(Requires(Action.SEE))]
_FILE = "klucznik-firmy"
_BEGUN = 5


@dataclass(frozen=True)
class Filters:
    """What stands in the address of the board; empty: all."""

    q: Annotated[str, Query(max_length=LONGEST_SEARCH)] = ""
    method: str = ""
    health: str = ""
    attention: str = ""
    days: str = ""
    order: str = Order.URGENT.value

    @property
    def in_use(self) -> bool:
        return bool(self.q or self.method or self.health or self.attention or self.days)

    def wanted(self, visitor: Visitor) -> Wanted:
        """Raise ``form_malformed`` where a filter is none of ours."""
        nip_begins, name_has = looked_for(self.q)
        if self.days and self.days not in map(str, ENDS_WITHIN_DAYS):
            raise InputError("form_malformed")
        return Wanted(
            nip_begins=nip_begins,
            name_has=name_has,
            method=_chosen(Method, self.method),
            health=_chosen(Health, self.health),
            attention=bool(self.attention),
            ends_within=timedelta(days=int(self.days)) if self.days else None,
            nip=visitor.principal.nip,
        )

    def sorted_by(self) -> Order:
        return _chosen(Order, self.order) or Order.URGENT

    def address(self, path: str = "/", **changes: str) -> str:
        """The same choice at another address, or with changes."""
        said = {**vars(self), **changes}
        if said["order"] == Order.URGENT:
            said["order"] = ""
        query = urlencode({name: value for name, value in said.items() if value})
        return f"{path}?{query}" if query else path


Filtered = Annotated[Filters, Depends()]


def _chosen(kind: type[Chosen], text: str) -> Chosen | None:
    try:
        return kind(text) if text else None
    except ValueError:
        raise InputError("form_malformed") from None


@router.get("/")
async def show(request: Request, visitor: Seeing, filters: Filtered, after: str | None = None) -> HTMLResponse:
    page = await board.board_page(visitor.klucznik, filters.wanted(visitor), filters.sorted_by(), cursor=after)
    begun = (
        await unfinished(visitor.klucznik, visitor.principal, size=_BEGUN + 1) if visitor.may(Action.CONNECT) else []
    )
    return render(
        request,
        "board.html",
        page=page,
        counts=await board.counts(visitor.klucznik),
        most=MOST_COUNTED,
        filters=filters,
        begun=begun[:_BEGUN],
        more_begun=len(begun) > _BEGUN,
        methods=list(Method),
        healths=WORST_FIRST,
        orders=list(Order),
        days=ENDS_WITHIN_DAYS,
    )


@router.get("/companies.csv")
async def as_csv(request: Request, visitor: Seeing, filters: Filtered) -> StreamingResponse:
    pages = board.everything(visitor.klucznik, filters.wanted(visitor), filters.sorted_by())
    lines = csv_lines(pages, words_of(request), visitor.klucznik.clock.now())
    return StreamingResponse(lines, media_type=CSV, headers=_attached("csv"))


@router.get("/companies.xlsx")
async def as_xlsx(request: Request, visitor: Seeing, filters: Filtered) -> StreamingResponse:
    pages = board.everything(visitor.klucznik, filters.wanted(visitor), filters.sorted_by())
    content = await xlsx_file(pages, words_of(request), visitor.klucznik.clock.now())
    return StreamingResponse(content, media_type=XLSX, headers=_attached("xlsx"))


def _attached(ending: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{_FILE}.{ending}"'}

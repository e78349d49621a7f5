"""The board as files for a spreadsheet, written page by page: no more than one page is in memory.

No cell is a formula: what a company is called may be anything, and a spreadsheet would carry out what begins with "=".
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO
from zoneinfo import ZoneInfo

from klucznik.domain.certificates import CertificateType
from klucznik.messages import Words
from klucznik.messages.refusal import subject_text
from klucznik.services.board import Board
from klucznik.services.connections import ConnectionStatus

CSV = "text/csv; charset=utf-8"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_COLUMNS = ("nip", "name", "method", "who", "health", "since", "authentication", "offline", "next", "about", "checked")
_WIDTHS = (12, 40, 28, 24, 24, 12, 14, 14, 14, 28, 18)
_WARSAW = ZoneInfo("Europe/Warsaw")
# Spreadsheets of Polish Windows take a semicolon between the cells, and know UTF-8 by this mark.
_MARK = "\ufeff"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
_CHUNK = 1 << 16

Cell = str | datetime | None


async def csv_lines(pages: AsyncIterator[Board], words: Words, now: datetime) -> AsyncIterator[bytes]:
    """The board as CSV."""
    yield _MARK.encode() + _csv([[words.say(f"board.export.{name}") for name in _COLUMNS]], words)
    async for page in pages:
        yield _csv((_row(one, words, now) for one in page.rows), words)


def _csv(rows: Iterator[Sequence[Cell]] | Sequence[Sequence[Cell]], words: Words) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows([_harmless(cell, words) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: Cell, words: Words) -> str:
    if isinstance(cell, datetime):
        return words.date(cell)
    text = cell or ""
    return f"'{text}" if text.startswith(_FORMULAS) else text


async def xlsx_file(pages: AsyncIterator[Board], words: Words, now: datetime) -> AsyncIterator[bytes]:
    """The board as a workbook for Excel; it is finished, in a temporary file, when this returns."""
    from xlsxwriter import Workbook  # type: ignore[import-untyped]  # who wants no file does not wait for it

    target = TemporaryFile()  # noqa: SIM115  closed by whoever has read it
    book = Workbook(target, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet(words.say("board.export.sheet"))
    bold, day = book.add_format({"bold": True}), book.add_format({"num_format": "dd.mm.yyyy"})
    for column, (name, width) in enumerate(zip(_COLUMNS, _WIDTHS, strict=True)):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, words.say(f"board.export.{name}"), bold)
    sheet.freeze_panes(1, 0)
    number = 0

    def write(page: Board, first: int) -> None:
        for row, one in enumerate(page.rows, first):
            for column, cell in enumerate(_row(one, words, now)):
                if isinstance(cell, datetime):
                    sheet.write_datetime(row, column, cell.astimezone(_WARSAW).replace(tzinfo=None), day)
                elif cell:
                    sheet.write_string(row, column, cell)

    async for page in pages:
        await asyncio.to_thread(write, page, number + 1)
        number += len(page.rows)
    sheet.autofilter(0, 0, number, len(_COLUMNS) - 1)
    await asyncio.to_thread(book.close)
    target.seek(0)
    return _chunks(target)


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


def _row(one: ConnectionStatus, words: Words, now: datetime) -> list[Cell]:
    connection, following = one.connection, one.next_date
    ends = {held.type: held.valid_to for held in one.certificates}
    who = connection.subject
    return [
        connection.context.value,
        connection.name,
        words.say(f"method.{connection.method.value}"),
        words.say("connection.operator") if who is None else subject_text(who, words),
        words.say(f"board.health.{connection.health.value}"),
        connection.health_since,
        ends.get(CertificateType.AUTHENTICATION),
        ends.get(CertificateType.OFFLINE),
        None if following is None else following.at,
        None if following is None else words.say(f"board.about.{following.about.value}"),
        connection.checked_at,
    ]

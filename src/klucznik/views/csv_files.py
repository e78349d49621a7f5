"""Tables as CSV for a spreadsheet. No cell is a formula: a spreadsheet would carry out what begins with "="."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

MEDIA_TYPE = "text/csv; charset=utf-8"
# Spreadsheets of Polish Windows know UTF-8 by this mark, and take a semicolon between the cells.
_MARK = "\ufeff"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_file(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(_MARK, newline="")
    text.seek(0, io.SEEK_END)
    csv.writer(text, delimiter=";").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell

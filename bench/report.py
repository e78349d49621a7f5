"""A table with a heading and notes, as aligned text or as JSON. It knows nothing of what the figures mean."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Cell: TypeAlias = str | int | float | None
JsonTable: TypeAlias = list[dict[str, Cell]]


def _machine() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores"


@dataclass(frozen=True)
class Table:
    """Rows under named columns; numbers stand to the right, None is a dash."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_json(self) -> JsonTable:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def as_text(self) -> str:
        shown = [self.columns, *([_shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in shown) for column in range(len(self.columns))]
        right = [any(isinstance(row[column], int | float) for row in self.rows) for column in range(len(self.columns))]
        return "\n".join(_line(row, widths, right) for row in shown)


@dataclass(frozen=True)
class Report:
    """What one benchmark found. `tables` maps a name to a table; `notes` say how to read them."""

    title: str
    tables: dict[str, Table]
    notes: tuple[str, ...] = ()
    machine: str = field(default_factory=_machine)

    def as_json(self) -> dict[str, str | list[str] | dict[str, JsonTable]]:
        return {
            "title": self.title,
            "machine": self.machine,
            "tables": {name: table.as_json() for name, table in self.tables.items()},
            "notes": list(self.notes),
        }

    def as_text(self) -> str:
        tables = "\n\n".join(f"{name}\n{table.as_text()}" for name, table in self.tables.items())
        return "\n\n".join([f"{self.title}   ({self.machine})", tables, *self.notes])


def ratio(ours: float, theirs: float) -> float | None:
    """Ours as a multiple of theirs: below 1 is less of it."""
    return round(ours / theirs, 2) if theirs else None


def _shown(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(row, widths, right, strict=True)
    )
    return "  ".join(cells).rstrip()

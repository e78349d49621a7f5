"""Reads the project's pages: their tables, headings, links and console blocks. No judgement here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def headings(text: str) -> list[int]:
    """The levels of the headings, in order."""
    return [len(mark) for mark in re.findall(r"(?m)^(#+) ", _without_blocks(text))]


def _without_blocks(text: str) -> str:
    return re.sub(r"(?ms)^```.*?^```$", "", text)


def rows(text: str, *header: str) -> list[list[str]]:
    """The cells of the tables whose first header cells are `header`."""
    found: list[list[str]] = []
    wanted = False
    for line in text.splitlines():
        if not line.startswith("|"):
            wanted = False
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if tuple(cells[: len(header)]) == header:
            wanted = True
        elif wanted and not set(line) <= set("|-: "):
            found.append(cells)
    return found


def codes(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def links(text: str) -> list[str]:
    """Where the links lead that stay in the repository, without their anchors."""
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    return [target for target in targets if "://" not in target]


@dataclass(frozen=True)
class Command:
    """A line after ``$`` and the lines that the page shows below it."""

    line: str
    shown: tuple[str, ...]


def console(text: str) -> list[Command]:
    """The commands of all ``console`` blocks, in order."""
    found: list[Command] = []
    for block in re.findall(r"(?ms)^```console\n(.*?)^```$", text):
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            line, *shown = part.rstrip("\n").split("\n")
            found.append(Command(line, tuple(shown)))
    return found

"""Lists of companies that were brought, and how far each of their lines has come. Pure; reading one is `csv_import`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from klucznik.domain.csv_import import Line
from klucznik.domain.environments import Environment


class ImportState(StrEnum):
    """Names are kept: rows have them."""

    PREVIEW = "preview"  # to be looked at; nothing was done
    CARRIED_OUT = "carried_out"


class LineOutcome(StrEnum):
    """What has become of a line. Names are kept: rows have them."""

    BAD = "bad"  # never carried out
    INVITED = "invited"
    AWAITED = "awaited"  # connected by a permission that the company is to grant
    SKIPPED = "skipped"  # good when it was looked at; meanwhile the company was connected or invited


@dataclass(frozen=True)
class BulkImport:
    """One list.

    Attributes:
        file_name: as the browser said, shortened.
        created_by: the `Principal.id` of who brought it.
    """

    id: str
    environment: Environment
    file_name: str
    state: ImportState
    created_by: str
    created_at: datetime
    carried_out_at: datetime | None = None


@dataclass(frozen=True)
class ImportLine:
    """A line as it is kept."""

    line: Line
    outcome: LineOutcome | None


@dataclass(frozen=True)
class Tally:
    """How many lines of a list there are of each kind."""

    good: int = 0  # still to be carried out
    bad: int = 0
    invited: int = 0
    awaited: int = 0
    skipped: int = 0

    @property
    def lines(self) -> int:
        return self.good + self.bad + self.invited + self.awaited + self.skipped


def id_from(import_id: str, number: int) -> str:
    """The id of what a line makes: the same however often the list is carried out."""
    return hashlib.sha256(f"{import_id} {number}".encode()).hexdigest()[:32]

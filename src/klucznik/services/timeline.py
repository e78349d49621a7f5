"""What has happened to a company, from the audit log: the latest first, page by page, and who did it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Fact, Place, Record, Wanted, company_of
from klucznik.domain.identifiers import Context
from klucznik.errors import InputError
from klucznik.services.installation import Installation
from klucznik.storage import audit, users

PAGE = 50
_AT = re.compile(r"[0-9T:.Z-]{10,27}", re.ASCII)
_CHAIN = re.compile(r"[0-9A-Za-z:]{1,100}", re.ASCII)


class By(StrEnum):
    """Who has done something."""

    USER = "user"
    KEY = "key"  # a program, by its API key
    INVITATION = "invitation"  # a client, by the link that was sent to them
    KLUCZNIK = "klucznik"  # by itself, or somebody at its terminal


@dataclass(frozen=True)
class Happened:
    """One line of the timeline.

    Attributes:
        event: an `Event`, or one of a later release.
        name: of the user; None where nobody is known by that id any more.
    """

    at: datetime
    event: str
    facts: Mapping[str, Fact]
    by: By
    name: str | None


@dataclass(frozen=True)
class Timeline:
    """A page; `following` is the cursor of the next, older one."""

    lines: tuple[Happened, ...]
    following: str | None


async def timeline(
    installation: Installation, context: Context, *, cursor: str | None = None, size: int = PAGE
) -> Timeline:
    """A page of what has happened to a company, in two queries.

    Raises:
        InputError: ``list_place_malformed``.
    """
    before = None if cursor is None else _place(cursor)
    wanted = Wanted(company_of(installation.environment, context.value))

    def read(transaction: Transaction) -> Timeline:
        found = audit.newest(transaction, wanted, limit=size + 1, before=before)
        shown = found[:size]
        actors = [one.actor.partition(":") for one in shown]
        names = users.names(transaction, {name for kind, _, name in actors if kind == By.USER})
        lines = tuple(_line(one, names) for one in shown)
        return Timeline(lines, _cursor(shown[-1]) if len(found) > size else None)

    return await installation.database.read(read)


async def named(installation: Installation, records: Sequence[Record]) -> list[tuple[By, str | None]]:
    """Who has done each of them, as in `Happened`, in one query."""
    ids = {id for kind, _, id in (one.actor.partition(":") for one in records) if kind == By.USER}
    names = await installation.database.read(lambda transaction: users.names(transaction, ids))
    return [_by(one, names) for one in records]


def _by(record: Record, names: Mapping[str, str]) -> tuple[By, str | None]:
    kind, _, actor = record.actor.partition(":")
    by = By(kind) if kind in (By.USER, By.KEY, By.INVITATION) else By.KLUCZNIK
    return by, names.get(actor) if by is By.USER else None


def _line(record: Record, names: Mapping[str, str]) -> Happened:
    return Happened(datetime.fromisoformat(record.at), record.event, json.loads(record.facts), *_by(record, names))


def _cursor(record: Record) -> str:
    told = json.dumps([record.at, record.chain, record.number], separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        told = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        at, chain, number = told
        place = Place(str(at), str(chain), int(number))
    except (ValueError, TypeError, OverflowError):
        raise InputError("list_place_malformed") from None
    # Whatever could stand there, whoever says so.
    if not (_AT.fullmatch(place.at) and _CHAIN.fullmatch(place.chain) and 0 <= place.number < 1 << 31):
        raise InputError("list_place_malformed")
    return place

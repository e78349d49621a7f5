"""The settings: what there is to set for whoever looks, and the audit log."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from klucznik.access.gate import Requires, Visitor
from klucznik.domain.audit import Record
from klucznik.domain.roles import Action
from klucznik.messages import Words
from klucznik.messages.timeline import timeline_text
from klucznik.services import audit
from klucznik.services.audit import Verified
from klucznik.services.timeline import named
from klucznik.web.pages import render, words_of
from klucznik.web.second_step import Person

router = APIRouter()

# How many rows stand below what a look through the whole log has found.
_FEW = 10
_PESEL = re.compile(r"(?<!\d)(\d)\d{7}(\d{3})(?!\d)")
Administering = Annotated[Visitor, Depends(Requires(Action.ADMINISTER))]
Auditing = Annotated[Visitor, Depends(Requires(Action.AUDIT))]


@router.get("/settings")
async def overview(request: Request, _: Person) -> HTMLResponse:
    return render(request, "settings/overview.html")


@dataclass(frozen=True)
class Line:
    """A row of the log as a person reads it; PESELs are masked, for others may look over the shoulder."""

    at: str
    event: str
    who: str
    facts: str
    actor: str
    place: str


@router.get("/audit")
async def log(request: Request, visitor: Auditing, after: Annotated[str, Query(max_length=120)] = "") -> HTMLResponse:
    rows = await audit.newest(visitor.klucznik, after=after)
    more = f"/audit?after={rows[-1].chain}/{rows[-1].number}" if len(rows) == audit.PAGE else None
    return await _log(request, visitor, rows, more, None)


@router.post("/audit/verify")
async def verify(request: Request, visitor: Auditing) -> HTMLResponse:
    verified = await audit.verify(visitor.klucznik)
    rows = await audit.newest(visitor.klucznik)
    return await _log(request, visitor, rows[:_FEW], "/audit", verified)


async def _log(
    request: Request, visitor: Visitor, rows: Sequence[Record], more: str | None, verified: Verified | None
) -> HTMLResponse:
    words = words_of(request)
    names = await named(visitor.klucznik, rows)
    lines = [
        _line(row, name or words.say(f"timeline.by.{by.value}"), words)
        for row, (by, name) in zip(rows, names, strict=True)
    ]
    return render(request, "settings/audit.html", lines=lines, more=more, verified=verified)


def _line(row: Record, who: str, words: Words) -> Line:
    facts = json.loads(row.facts)
    return Line(
        at=words.moment(datetime.fromisoformat(row.at)),
        event=_masked(timeline_text(row.event, facts, words)),
        who=who,
        facts=_masked(", ".join(f"{name}: {_said(value)}" for name, value in facts.items() if value is not None)),
        actor=row.actor,
        place=_masked(f"{row.chain} / {row.number}"),
    )


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _masked(text: str) -> str:
    return _PESEL.sub(r"\1•••••••\2", text)

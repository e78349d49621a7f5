"""The commands about the audit log: prove that it is whole, and take a copy of it elsewhere."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from klucznik.cli.exit_codes import Exit
from klucznik.cli.options import AsJson
from klucznik.cli.running import start, with_installation
from klucznik.errors import InputError


def verify(
    ctx: typer.Context,
    heads: Annotated[Path | None, typer.Option("--heads", metavar="FILE", help="help.heads")] = None,
    as_json: AsJson = False,
) -> int:
    from klucznik.cli import audit_pictures
    from klucznik.services import audit, audit_files
    from klucznik.views import keeping as views

    settings, output = start(ctx, as_json)
    known = () if heads is None else audit_files.heads_in(heads)
    found = with_installation(settings, lambda klucznik: audit.verify(klucznik, known))
    output.result(views.audit_verified(found), audit_pictures.verified(found, settings.words))
    return Exit.FAILED if found.broken else Exit.DONE


def export(
    ctx: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="help.audit_out")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="WHEN", help="help.since")] = None,
    as_json: AsJson = False,
) -> None:
    from klucznik.services import audit_files

    settings, output = start(ctx, as_json)
    begin = None if since is None else _moment(since)
    if out is None:
        if as_json:
            raise InputError("audit_export_needs_out")
        with_installation(settings, lambda klucznik: audit_files.tell(klucznik, output.line, since=begin))
        return
    target = out
    rows = with_installation(settings, lambda klucznik: audit_files.write(klucznik, target, since=begin))
    output.result(
        {"outcome": "audit_exported", "file": str(target), "rows": rows},
        settings.words.count("audit.exported", rows, file=target),
    )


def _moment(text: str) -> datetime:
    """A day or a moment in ISO 8601; without a zone it is on the Polish clock."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError("moment_malformed", value=text[:40]) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo("Europe/Warsaw"))

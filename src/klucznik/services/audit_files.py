"""The audit log as lines of JSON: written for keeping elsewhere, and its heads read back for comparing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from klucznik.domain.audit import Head, Record
from klucznik.errors import InputError
from klucznik.keys.safe_files import new_file
from klucznik.services import audit
from klucznik.services.installation import Installation

_LONGEST_LINE = 1 << 20


async def tell(installation: Installation, line: Callable[[str], None], *, since: datetime | None = None) -> int:
    """Each row as a line, then the head of each chain; how many rows there were."""
    return await audit.export(installation, lambda one: line(_line(one)), since=since)


async def write(installation: Installation, target: Path, *, since: datetime | None = None) -> int:
    """The same into a file that is not there yet (0600), whole or not at all; raises as `keys.safe_files`."""
    with new_file(target) as file:

        def line(text: str) -> None:
            file.write(text.encode() + b"\n")

        return await tell(installation, line, since=since)


def _line(one: Record | Head) -> str:
    shown: dict[str, object]
    if isinstance(one, Head):
        shown = {"head": one.chain, "number": one.number, "key": one.key_id, "mac": one.mac.hex()}
    else:
        shown = {
            "chain": one.chain,
            "number": one.number,
            "at": one.at,
            "actor": one.actor,
            "event": one.event,
            "issuance": one.issuance_id,
            "facts": json.loads(one.facts),
            "key": one.key_id,
            "previous": one.previous.hex(),
            "mac": one.mac.hex(),
        }
    return json.dumps(shown, ensure_ascii=False)


def heads_in(file: Path) -> Iterator[Head]:
    """The heads in an exported file, line by line.

    Raises:
        InputError: ``audit_heads_unreadable``, ``audit_heads_malformed`` (``line``), ``audit_heads_none``.
    """
    found = False
    try:
        with file.open("rb") as lines:
            number = 0
            while line := lines.readline(_LONGEST_LINE):
                number += 1
                try:
                    read = json.loads(line)
                    if "head" not in read:
                        continue
                    head = Head(str(read["head"]), int(read["number"]), str(read["key"]), bytes.fromhex(read["mac"]))
                except (ValueError, TypeError, KeyError):
                    raise InputError("audit_heads_malformed", file=str(file), line=number) from None
                found = True
                yield head
    except OSError:
        raise InputError("audit_heads_unreadable", file=str(file)) from None
    if not found:
        raise InputError("audit_heads_none", file=str(file))

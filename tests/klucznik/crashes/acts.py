"""What a process does that others can see, named by what it is: commits of its database, requests sent, answers got.

The names come from the run itself, so a new step of the road is a new act with a name, without anybody listing it.
"""

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import httpx
from sqlalchemy import Connection
from tests.klucznik.mishaps import Mishap, Network

from klucznik.storage.database import Database
from klucznik.storage.tables import metadata

T = TypeVar("T")

# Hears of each act right before and right after it: "before commit: …", "after commit: …".
Announce = Callable[[str], None]
_Row: TypeAlias = dict[str, Any]
_Rows: TypeAlias = dict[str, dict[tuple[Any, ...], _Row]]

_TABLES = [
    (table.name, [column.name for column in table.columns], [column.name for column in table.primary_key])
    for table in metadata.sorted_tables
]
_SENT = "http11.send_request_body.complete"
_ANSWERED = "http11.receive_response_headers.complete"


class AnnouncingDatabase(Database):
    """An open database that tells of each commit, named by what it changes."""

    def __init__(self, opened: Database, announce: Announce) -> None:
        self._opened = opened
        self._announce = announce
        self._last: _Rows | None = None  # as our last commit left them: nobody else works on them meanwhile

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._opened.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        name, after = "", self._last

        def told(connection: Connection) -> T:
            nonlocal name, after
            before = self._last or _rows(connection)
            result = work(connection)
            after = _rows(connection)
            name = f"commit: {_change(before, after)}"
            self._announce(f"before {name}")
            return result

        result = await self._opened.write(told)
        self._last = after
        self._announce(f"after {name}")
        return result

    def close(self) -> None:
        self._opened.close()


class AnnouncingNetwork(Network):
    """A network, with mishaps, that tells of each request and each answer, named by method, route and what is asked."""

    def __init__(self, announce: Announce, *mishaps: Mishap) -> None:
        super().__init__(*mishaps)
        self._announce = announce

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name, listening = _request_name(request), request.extensions.get("trace")

        async def trace(event: str, info: dict[str, object]) -> None:
            if event == _ANSWERED:
                self._announce(f"before receive: {name}")
            if listening is not None:
                await listening(event, info)
            if event == _SENT:
                self._announce(f"after send: {name}")

        self._announce(f"before send: {name}")
        request.extensions["trace"] = trace
        response = await super().handle_async_request(request)
        content = await response.aread()
        await response.aclose()
        self._announce(f"after receive: {name}")
        return httpx.Response(response.status_code, headers=response.headers, content=content)


def _request_name(request: httpx.Request) -> str:
    parts = request.url.path.removeprefix("/v2").split("/")
    route = "/".join("{…}" if re.search(r"\d{4}", part) else part for part in parts)
    asked = ""
    if request.content and request.headers.get("Content-Type") == "application/json":
        kind = json.loads(request.content).get("certificateType")
        asked = f" ({kind})" if kind else ""
    return f"{request.method} {route}{asked}"


def _rows(connection: Connection) -> _Rows:
    """Every row of every table by its key, as the driver gives it: they are only compared, at every commit."""
    found: _Rows = {}
    cursor = connection.connection.cursor()
    for table, columns, keys in _TABLES:
        cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - our own names
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        found[table] = {tuple(row[key] for key in keys): row for row in rows}
    cursor.close()
    return found


def _change(before: _Rows, after: _Rows) -> str:
    """In words: what was added, what was removed, what has another state."""
    told = []
    for table, rows in after.items():
        was = before[table]
        changed = {key: row for key, row in rows.items() if row != was.get(key)}
        told += [_told(table, was.get(key), row) for key, row in changed.items()]
        told += [f"{table.removesuffix('s')} removed" for key in was if key not in rows]
    named = sorted({words for words in told if words})
    # What goes into the audit log, and what the world is told of it, goes there with what it tells of.
    steps = [words for words in named if not words.startswith(("audit_", "event "))]
    return ", ".join(steps or named) or "the lease alone"


def _told(table: str, was: _Row | None, row: _Row) -> str:
    if table == "leases":
        return _told_of_lease(was, row)
    what = " ".join([*([row["type"]] if "type" in row else []), table.removesuffix("s")])
    if was is None:
        return f"{what} new"
    if row.get("state") != was.get("state"):
        return f"{what} {was['state']} → {row['state']}"
    changed = {name for name in row if row[name] != was[name]}
    if changed & {"wait_since", "wait_looks"} and row["wait_kind"] is not None:
        again = "" if "wait_since" in changed else "still "
        return f"{what} {again}waits: {row['wait_kind']}"
    facts = sorted(name for name in changed if name.endswith("_at") and name not in ("updated_at", "wake_at"))
    return f"{what} {', '.join(facts)}" if facts else ""


def _told_of_lease(was: _Row | None, row: _Row) -> str:
    """Every commit of the road renews it; that is no act of its own."""
    if was is None or was["token"] != row["token"]:
        return "lease taken"
    return "lease given back" if row["expires_at"] < was["expires_at"] else ""

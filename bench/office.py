"""The web app over an office of so many companies, in this process, with somebody signed in; and what a visit costs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, event

from bench.portfolio import fill
from bench.wizard import steps
from klucznik.access.settings import WebSettings
from klucznik.domain.accounts import User
from klucznik.domain.roles import ACTIONS, Action, Principal, Role
from klucznik.server.app import create_app
from klucznik.services import calendar
from klucznik.services.accounts.api_keys import make_key
from klucznik.services.accounts.browser_sessions import open_session
from klucznik.services.calendar import Month
from klucznik.services.installation import Installation
from klucznik.storage import users
from ksef_sandbox import Sandbox

URL = "https://klucznik.example"


@dataclass(frozen=True)
class Visit:
    """One page as it was answered; `cpu_s`: user and system time of this process."""

    seconds: float
    cpu_s: float
    statements: int
    size: int


@dataclass(frozen=True)
class Office:
    """A browser before the application, and the addresses that are visited, by what they are called."""

    client: httpx.AsyncClient
    addresses: dict[str, str]

    async def visit(self, name: str) -> Visit:
        """Raises RuntimeError where the page is none: a figure of an error would be a lie."""
        with counted() as statements:
            began, cpu = time.perf_counter(), time.process_time()
            answer = await self.client.get(self.addresses[name])
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
        if answer.status_code != 200:
            raise RuntimeError(f"{self.addresses[name]}: {answer.status_code}")
        return Visit(took, cpu, len(statements), len(answer.content))


@contextmanager
def counted() -> Iterator[list[str]]:
    """The SQL statements that run meanwhile, those that begin and end transactions left out."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@asynccontextmanager
async def office(home: Path, count: int, *, database_url: str | None = None) -> AsyncIterator[Office]:
    """Made anew, beside a local KSeF in this process, which answers at once."""
    with Sandbox() as ksef:
        ksef.set(auth_delay_ms=0, enroll_delay_ms=0, rate_profile="off")
        async with await Installation.open(home, ksef_url=ksef.base_url, database_url=database_url) as klucznik:
            nips = await fill(klucznik, count)
            transport = httpx.ASGITransport(app=create_app(klucznik, WebSettings(public_url=URL)))
            async with httpx.AsyncClient(transport=transport, base_url=URL, timeout=60) as client:
                anna = await _signed_in(klucznik, client)
                pages = await _pages(klucznik, client, nips)
                yield Office(client, pages | await steps(klucznik, ksef, anna))


async def _signed_in(klucznik: Installation, client: httpx.AsyncClient) -> Principal:
    now = klucznik.clock.now()
    anna = User(id="a" * 32, email="anna@biuro.example", name="Anna", role=Role.ADMINISTRATOR, created_at=now)
    await klucznik.database.write(lambda transaction: users.add(transaction, anna, now=now))
    token, _ = await open_session(klucznik, user_id=anna.id)
    client.cookies.set("__Host-klucznik", token, domain="klucznik.example")
    key, _ = await make_key(klucznik, "bench", [Action.SEE], days=1)
    client.headers["Authorization"] = f"Bearer {key}"
    return Principal(f"user:{anna.id}", anna.name, anna.role, ACTIONS[anna.role])


async def _pages(klucznik: Installation, client: httpx.AsyncClient, nips: list[str]) -> dict[str, str]:
    dates = await calendar.feed(klucznik)
    month = Month.of(dates[len(dates) // 2].at)
    one = nips[len(nips) // 2]
    return {
        "board": "/",
        "board, next page": await _following(client, "/"),
        "board, a name": "/?q=wojcik",
        "board, a name that is nowhere": "/?q=nikt+taki",
        "board, a NIP": f"/?q={one}",
        "board, attention by name": "/?attention=1&order=name",
        "board, one method by name": "/?method=certificates&order=name",
        "board, one health by date": "/?health=healthy&order=next",
        "company": f"/companies/{one}",
        "company, timeline": f"/companies/{one}/timeline",
        "calendar": f"/calendar?month={month}",
        "API: connections": "/api/v1/connections",
        "wizard: NIP": "/connect",
    }


async def _following(client: httpx.AsyncClient, address: str) -> str:
    page = (await client.get(address)).text
    _, found, rest = page.partition('<nav class="pages"')
    return rest.partition('href="')[2].partition('"')[0].replace("&amp;", "&") if found else address

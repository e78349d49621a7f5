"""Asks every route as everybody, and writes down who was let in: the table that `matrix.txt` holds.

Only the gate is looked at: a page that is not there, or a form that lacks a field, was let in all the same. That nobody
reaches another's company behind the gate is held by the tests of onboardings and invitations.

To write the table anew after a look at every line that changes:  python -m tests.klucznik.web.matrix
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount
from tests.klucznik.web.worlds import SETTINGS, hashing_quickly, some_user
from tests.klucznik.world import QUICK, installed, some_nip

from klucznik.access.gate import CSRF_HEADER, Requires, anybody, half_signed_in
from klucznik.access.keys import RequiresKey
from klucznik.access.proof import RequiresProof
from klucznik.api.app import PREFIX
from klucznik.domain.accounts import BrowserSession
from klucznik.domain.roles import SCOPES, Role
from klucznik.messages import words_for_pages
from klucznik.server.app import create_app
from klucznik.services.accounts.api_keys import make_key
from klucznik.services.accounts.browser_sessions import open_session
from klucznik.services.installation import Installation
from klucznik.services.invitations import invite
from ksef_sandbox import Sandbox

TABLE = Path(__file__).with_name("matrix.txt")
PEOPLE = ("nobody", "half", "client", "auditor", "staff", "administrator")
KEYS = ("no key", "a browser", "without it", "with it")
SAFE = ("GET", "HEAD", "OPTIONS")
_UNKNOWN = "f" * 32
_WORDS = words_for_pages("pl")


@dataclass(frozen=True)
class Route:
    """One method of one route, and what stands at its gate.

    Attributes:
        needs: the action's name; ``anybody`` or ``half`` (between password and second factor); None: nothing at all.
        proof: whether the password is asked for once more.
    """

    method: str
    path: str
    needs: str | None
    proof: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def of_api(self) -> bool:
        return self.path.startswith(PREFIX)

    @property
    def address(self) -> str:
        """With something for each part of it that is nobody's."""
        return re.sub(r"\{(\w+)(?::\w+)?\}", lambda part: "5265877635" if part[1] == "nip" else _UNKNOWN, self.path)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def said(self, reason: str) -> bool:
        """Whether it is the page, or the problem, of that error."""
        if self.headers.get("content-type", "").startswith("application/problem+json"):
            return bool(json.loads(self.body)["reason"] == reason)
        start = _WORDS.say(f"error.{reason}").partition("(")[0].strip()
        return start in self.body.decode()


def routes_of(app: FastAPI) -> list[Route]:
    """Every route but static files, by its address."""
    found = set(_routes(app, ""))
    for mount in app.routes:
        if isinstance(mount, Mount) and isinstance(mount.app, FastAPI):
            found |= set(_routes(mount.app, mount.path))
    return sorted(found, key=lambda route: (route.of_api, route.path, route.method))


def _routes(app: FastAPI, prefix: str) -> Iterator[Route]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute):
            continue
        gates = list(_gates(context.dependant if context.dependant is not None else route.dependant))
        needs = next((name for name, _ in gates), None)
        for method in context.methods or ():
            yield Route(method, prefix + (context.path or ""), needs, any(proof for _, proof in gates))


def _gates(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for one in dependant.dependencies:
        if isinstance(one.call, Requires | RequiresKey):
            yield one.call.action.value, isinstance(one.call, RequiresProof)
        elif one.call is anybody:
            yield "anybody", False
        elif one.call is half_signed_in:
            yield "half", False
        yield from _gates(one)


async def ask(app: FastAPI, method: str, address: str, headers: dict[str, str]) -> Answer:
    """What the application answers; a stream of events is not waited for."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": address,
        "raw_path": address.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"klucznik.test"), *((k.lower().encode(), v.encode()) for k, v in headers.items())],
        "client": ("192.0.2.1", 50000),
        "server": ("klucznik.test", 443),
    }
    started, sent = asyncio.Event(), list[bytes]()
    start: dict[str, Any] = {}
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            started.set()
        else:
            sent.append(message.get("body", b""))

    running = asyncio.create_task(app(scope, receive, send))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    given = {name.decode(): value.decode() for name, value in start.get("headers", [])}
    if given.get("content-type", "").startswith("text/event-stream"):
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    else:
        await running
    return Answer(start["status"], given, b"".join(sent))


@dataclass
class World:
    """An installation with somebody of every role; each form is sent in a session of its own, for it may end it."""

    klucznik: Installation
    app: FastAPI
    users: dict[str, str]
    invitation: str
    keys: dict[str, str]
    sessions: dict[str, tuple[str, BrowserSession]] = field(default_factory=dict)

    @classmethod
    async def make(cls, klucznik: Installation) -> World:
        made = {role: await some_user(klucznik, role) for role in (Role.AUDITOR, Role.STAFF, Role.ADMINISTRATOR)}
        invited = await invite(klucznik, made[Role.STAFF].principal, some_nip(), name="Piekarnia Ślimak")
        keys = {}
        for scope in SCOPES:
            others = [one.value for one in SCOPES if one is not scope]
            keys[f"with {scope.value}"] = (await make_key(klucznik, scope.value, [scope.value], days=1))[0]
            keys[f"without {scope.value}"] = (await make_key(klucznik, scope.value, others, days=1))[0]
        users = {role.value: user.id for role, user in made.items()}
        return cls(klucznik, create_app(klucznik, SETTINGS), users, invited.invitation.id, keys)

    async def as_person(self, who: str, route: Route, *, with_token: bool = True) -> Answer:
        if who == "nobody":
            return await ask(self.app, route.method, route.address, {})
        if route.method not in SAFE or who not in self.sessions:
            self.sessions[who] = await self._session(who)
        token, session = self.sessions[who]
        headers = {"cookie": f"{SETTINGS.cookie}={token}"}
        if with_token:
            headers[CSRF_HEADER] = session.csrf
        answer = await ask(self.app, route.method, route.address, headers)
        if route.method not in SAFE:
            del self.sessions[who]
        return answer

    async def _session(self, who: str) -> tuple[str, BrowserSession]:
        if who == "client":
            return await open_session(self.klucznik, invitation_id=self.invitation)
        user = self.users["administrator" if who == "half" else who]
        return await open_session(self.klucznik, user_id=user, complete=who != "half")

    async def with_key(self, key: str, route: Route) -> Answer:
        headers = {"authorization": f"Bearer {self.keys[key]}"}
        return await ask(self.app, route.method, route.address, headers)

    async def row(self, route: Route) -> list[str]:
        """What each of `PEOPLE`, or of `KEYS`, gets to hear at the gate."""
        if not route.of_api:
            return [let_in(await self.as_person(who, route)) for who in PEOPLE]
        row = [let_in(await self.as_person(who, route)) for who in ("nobody", "administrator")]
        if route.needs not in {scope.value for scope in SCOPES}:
            return [*row, *[let_in(await self.with_key("with see", route))] * 2]
        for key in (f"without {route.needs}", f"with {route.needs}"):
            row.append(let_in(await self.with_key(key, route)))
        return row


def let_in(answer: Answer) -> str:
    if answer.status == 303 and answer.headers["location"].startswith(("/sign-in?", "/sign-in/second?")):
        return "second" if answer.headers["location"].startswith("/sign-in/second") else "sign in"
    if answer.status == 303 and answer.headers["location"] == "/invited":
        return "no"  # a client who looks for the board is led to the page that is theirs
    if answer.status == 401 and "www-authenticate" in answer.headers:
        return "key"  # of a feed, for programs that can only be given a name and a password
    for reason, name in (
        ("not_signed_in", "sign in"),
        ("second_factor_needed", "second"),
        ("not_allowed", "no"),
        ("key_missing", "key"),
        ("scope_missing", "no"),
    ):
        if answer.status in (401, 403) and answer.said(reason):
            return name
    assert answer.status < 500, answer
    return "yes"


async def table(world: World) -> str:
    """Every route, one a line."""
    lines = [
        "# Who is let in where; written by tests/klucznik/web/matrix.py, which says what is asked, and held by",
        "# test_matrix.py. yes: let in; no: refused; sign in, second: led to the sign-in or the second factor;",
        "# key: a key of the API is asked for. +: the password is asked for once more where it is not fresh.",
    ]
    routes = routes_of(world.app)
    width = max(len(route.name) for route in routes)
    for of_api, who in ((False, PEOPLE), (True, KEYS)):
        lines += ["", _line("# API" if of_api else "# page", width, "needs", who)]
        for route in routes:
            if route.of_api is of_api:
                needs = "nothing" if route.needs is None else route.needs + ("+" if route.proof else "")
                lines.append(_line(route.name, width, needs, await world.row(route)))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _line(name: str, width: int, needs: str, cells: list[str] | tuple[str, ...]) -> str:
    return f"{name:{width}}  {needs:13}" + "".join(f"{cell:15}" for cell in cells)


async def _write(home: Path) -> None:
    with Sandbox(switches=QUICK) as ksef:
        async with installed(home, ksef) as klucznik:
            TABLE.write_text(await table(await World.make(hashing_quickly(klucznik))), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(_write(Path(place)))
    sys.stdout.write(f"{TABLE}\n")

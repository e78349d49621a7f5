"""Customer A gets nowhere near company B, by any route, although B has let the operator in and is connected here.

The routes are those that the application lists: a new one is walked without a line here. Where its address has a part
that nobody has named in `Theirs.parts`, the test says so.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic import BaseModel
from sqlalchemy import Connection as Transaction
from sqlalchemy import select
from starlette.routing import Mount
from tests.klucznik.offices import connection_of, let_in, office
from tests.klucznik.onboardings import STAFF, begun, client, signed
from tests.klucznik.receivers import happened, receiver
from tests.klucznik.web.worlds import PUBLIC_URL, SETTINGS, hashing_quickly
from tests.klucznik.world import QUICK, company, context_of, owner, some_nip

from klucznik.domain.api_keys import parse_scopes
from klucznik.domain.connections import Method
from klucznik.domain.roles import SCOPES, Action
from klucznik.domain.values import InvalidValue
from klucznik.server.app import create_app
from klucznik.services import imports, invitations
from klucznik.services import onboarding as onboardings
from klucznik.services.accounts.api_keys import make_key
from klucznik.services.accounts.browser_sessions import open_session
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue
from klucznik.services.operator import load_operator
from klucznik.services.status import all_issuances
from klucznik.services.telling import webhooks
from klucznik.services.telling.rounds import Outlets, tell_until_idle
from klucznik.storage.tables import metadata
from ksef_sandbox import Sandbox

OURS = Outlets(private_webhooks=True)
NAME = "Tajemnica Bąk sp. z o.o."
# Nobody's: a part of these addresses opens something by itself, and A has none that is B's.
_TOKENS = {"token": "x" * 43, "user_id": "0" * 32, "key_id": "0" * 32, "passkey_id": "AAAA", "month": "2026-12"}
# What a form or a body says where no company is meant.
_FORM = {
    "days": "7", "otherwise": "permission", "method": "permission", "signer": "seal", "to": "method",
    "reason": "Superseded", "back": "/", "next": "/", "password": "x" * 16, "again": "x" * 16, "answer": "{}",
    "scopes": "see", "role": "administrator", "format": "pem", "end_sessions": "", "forget": "", "delegable": "",
}  # fmt: skip
_FILES = ("file", "signed", "certificate", "key", "offline_certificate", "offline_key")


@dataclass(frozen=True)
class Theirs:
    """Company B, and all that is here of it.

    Attributes:
        parts: what stands for each part of an address.
        marks: what tells of B where nobody has said it.
    """

    nip: str
    parts: dict[str, str]
    marks: frozenset[str]


@dataclass(frozen=True)
class Asked:
    """One request about B."""

    route: RouteContext
    method: str
    path: str
    request: httpx.Request

    @property
    def about_b(self) -> bool:
        """Whether its address names something of B's."""
        return any(part not in _TOKENS for part in re.findall(r"\{(\w+)", self.path))


@dataclass
class Answer:
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def tells(self, mark: str) -> bool:
        return mark.encode() in self.body or any(mark.encode() in value for _, value in self.headers)


@pytest.fixture
def ksef() -> Iterator[Sandbox]:
    with Sandbox(switches=QUICK) as running:
        yield running


async def put_there(klucznik: Installation, ksef: Sandbox) -> Theirs:
    """B has let the operator in, has its pair here, is on its way to more, and is told of by a webhook."""
    nip = some_nip()
    await let_in(klucznik, nip, company(nip, ksef))
    person = owner(nip, ksef)
    issued = await issue(klucznik, context_of(nip), person)
    assert isinstance(issued, Issued)
    (ordered,) = await all_issuances(klucznik, only=context_of(nip))
    resting = await signed(klucznik, nip, person)
    invited = await invitations.invite(klucznik, STAFF, nip, name=NAME)
    waiting = await begun(klucznik, nip, by=await client(klucznik, nip), method=Method.CERTIFICATES)
    listed = await imports.bring(
        klucznik, STAFF, f"nip;nazwa\n{some_nip()};{NAME}\n{nip};{NAME}".encode(), file_name="b.csv"
    )
    async with receiver() as target, OURS.post() as post:
        hook = await webhooks.make(klucznik, post, target.url, nip=nip, created_by=STAFF.id)
        await happened(klucznik, nip)
        await tell_until_idle(klucznik, OURS)
    (delivery, *_) = await webhooks.deliveries(klucznik, hook.webhook)
    parts = {
        "nip": nip,
        "serial": issued.certificates[0].serial_number,
        "issuance": ordered.issuance.id,
        "issuance_id": ordered.issuance.id,
        "onboarding": resting.id,
        "onboarding_id": resting.id,
        "invitation_id": invited.invitation.id,
        "import_id": listed.bulk_import.id,
        "webhook_id": hook.webhook.id,
        "delivery_id": delivery.delivery.id,
    }
    assert resting.subject is not None
    pesels = {person.holder.signs_in_as.value, resting.subject.value}
    others = {issued.certificates[1].serial_number, waiting.id, NAME, hook.webhook.url}
    return Theirs(nip, parts, frozenset({*parts.values(), *pesels, *others}))


def routes_of(app: FastAPI, prefix: str = "") -> Iterator[tuple[str, RouteContext]]:
    """Every route, those of the API too."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount) and isinstance(route.original_route.app, FastAPI):
            yield from routes_of(route.original_route.app, prefix + route.original_route.path)
        elif isinstance(route.original_route, APIRoute):
            yield prefix + (route.path or ""), route


def questions(app: FastAPI, theirs: Theirs) -> Iterator[Asked]:
    """Each route with each of its methods, asked about B in every place that can name a company or something of it."""
    for path, route in routes_of(app):
        address = path
        for part in re.findall(r"\{(\w+)(?::\w+)?\}", path):
            known = theirs.parts | _TOKENS
            assert part in known, f"say in this test what of B's stands for {{{part}}} in {path}"
            address = re.sub(rf"\{{{part}(:\w+)?\}}", known[part], address)
        query = {one.alias: theirs.parts[one.name] for one in route.dependant.query_params if one.name in theirs.parts}
        for method in sorted(route.methods or ()):
            body = _body(route, theirs) if method not in ("GET", "HEAD") else {}
            url = f"{PUBLIC_URL}{address}"
            yield Asked(route, method, path, httpx.Request(method, url, params=query, **body))


def _body(route: RouteContext, theirs: Theirs) -> dict[str, Any]:
    if not route.dependant.body_params:
        return {}
    (first, *_) = route.dependant.body_params
    model = first.field_info.annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {"json": _json(model, theirs)}
    names = {one.name for one in route.dependant.body_params}
    files = {name: (f"{name}.csv", f"nip;nazwa\n{theirs.nip};A\n".encode()) for name in names if name in _FILES}
    data = {name: _said(name, theirs) for name in names - set(files)}
    return {"data": data, "files": files} if files else {"data": data}


def _said(name: str, theirs: Theirs) -> str:
    if name == "sure":
        return theirs.nip
    return theirs.parts.get(name) or _FORM.get(name, "x")


def _json(model: type[BaseModel], theirs: Theirs) -> dict[str, Any]:
    """By the examples of its description, with B in the place of every company."""
    made: dict[str, Any] = {}
    for name, one in model.model_fields.items():
        if name in theirs.parts:
            made[name] = theirs.parts[name]
        elif name == "csv":
            made[name] = f"nip\n{theirs.nip}\n"
        elif name == "serials":
            made[name] = [theirs.parts["serial"]]
        elif one.examples:
            made[name] = one.examples[0]
        elif one.is_required():
            made[name] = _some(model, name)
    return made


def _some(model: type[BaseModel], name: str) -> Any:
    schema = model.model_json_schema()
    shape = schema["properties"][name]
    shape = schema.get("$defs", {}).get(str(shape.get("$ref", "")).rpartition("/")[2], shape)
    if "enum" in shape:
        return shape["enum"][0]
    if "examples" in shape:
        return shape["examples"][0]
    return {"boolean": True, "integer": 1, "string": "x"}[shape["type"]]


async def ask(app: FastAPI, request: httpx.Request, headers: dict[str, str]) -> Answer:
    """The answer; of a stream, what comes first. Whoever asked then goes away."""
    content, answer, gone = request.read(), Answer(), asyncio.Event()
    request.headers.update(headers)
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": content, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message["headers"])
            return
        answer.body += message.get("body", b"")
        if answer.body.count(b"\n\n") > 1 or not message.get("more_body", False):
            gone.set()

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": "https", "path": request.url.path, "raw_path": request.url.raw_path, "root_path": "",
        "query_string": request.url.query, "server": ("klucznik.test", 443), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await app(scope, receive, send)  # type: ignore[arg-type]
    return answer


async def rows_about(klucznik: Installation, theirs: Theirs) -> frozenset[str]:
    """Every row of the database that tells of B."""

    def read(transaction: Transaction) -> frozenset[str]:
        found = (
            f"{table.name} {row!r}" for table in metadata.sorted_tables for row in transaction.execute(select(table))
        )
        return frozenset(row for row in found if any(mark in row for mark in theirs.marks))

    return await klucznik.database.read(read)


def asked_of_ksef(ksef: Sandbox, theirs: Theirs) -> list[str]:
    """What was asked of KSeF in B's context; a sign-in has no context yet and counts too."""
    return [
        f"{one.method} {one.path}"
        for one in ksef.requests()
        if one.context is None or one.context.value == theirs.nip
        if "/security/" not in one.path
    ]


@asynccontextmanager
async def world(tmp_path: Path, ksef: Sandbox) -> AsyncIterator[tuple[Installation, Theirs, str]]:
    """An office, B in it, and A."""
    async with office(tmp_path, ksef, some_nip()) as klucznik:
        theirs = await put_there(klucznik, ksef)
        operator = await load_operator(klucznik)
        theirs.parts["operator"] = operator.nip
        yield hashing_quickly(klucznik), theirs, some_nip()


def scopes_of_one_company(nip: str) -> list[str]:
    """All that a key of one company may be given."""

    def may(scope: Action) -> bool:
        try:
            parse_scopes([scope.value], nip=nip)
        except InvalidValue:
            return False
        return True

    return [scope.value for scope in SCOPES if may(scope)]


async def walk(klucznik: Installation, ksef: Sandbox, theirs: Theirs, headers: Any) -> int:
    """Ask everything about B as somebody; how many questions there were."""
    app, number = create_app(klucznik, SETTINGS, OURS), 0
    before = await rows_about(klucznik, theirs)
    ksef.clear_requests()
    for asked in questions(app, theirs):
        number += 1
        where = f"{asked.method} {asked.path}"
        said = f"{asked.request.url} {asked.request.read().decode(errors='replace')}"
        answer = await ask(app, asked.request, await headers())
        assert 200 <= answer.status < 500, where
        told = [mark for mark in theirs.marks if mark not in said and answer.tells(mark)]
        assert told == [], where
        # Looking may lead elsewhere, and that address is asked about too.
        elsewhere = answer.status == 303 and (asked.method == "GET" or answer.tells("/sign-in"))
        if asked.about_b and not elsewhere:
            assert answer.status >= 400, (where, answer.status)
        assert asked_of_ksef(ksef, theirs) == [], where
    assert await rows_about(klucznik, theirs) == before
    return number


async def test_a_client_by_invitation_gets_nowhere_near_another_company(ksef: Sandbox, tmp_path: Path) -> None:
    async with world(tmp_path, ksef) as (klucznik, theirs, mine):
        invited = await invitations.invite(klucznik, STAFF, mine)

        async def as_client() -> dict[str, str]:
            # A new one each time: some routes sign out.
            token, session = await open_session(klucznik, invitation_id=invited.invitation.id)
            return {"cookie": f"{SETTINGS.cookie}={token}", "x-csrf-token": session.csrf}

        assert await walk(klucznik, ksef, theirs, as_client) > 100


async def test_a_key_of_one_company_gets_nowhere_near_another(ksef: Sandbox, tmp_path: Path) -> None:
    async with world(tmp_path, ksef) as (klucznik, theirs, mine):
        scopes = scopes_of_one_company(mine)
        assert {"see", "connect", "issue", "revoke", "grant", "invite", "import", "notify"} & set(scopes)
        secret, _ = await make_key(klucznik, "A", scopes, days=1, nip=mine)
        await happened(klucznik, mine)  # what a stream begins with

        async def as_program() -> dict[str, str]:
            return {
                "authorization": f"Bearer {secret}",
                "idempotency-key": secrets.token_hex(8),
                "last-event-id": "0",
            }

        assert await walk(klucznik, ksef, theirs, as_program) > 100


async def test_a_key_of_the_whole_installation_takes_no_company_for_having_let_the_operator_in(
    ksef: Sandbox, tmp_path: Path
) -> None:
    """What a vendor's customer gains who names B to the vendor's program: nothing that is not signed for."""
    async with world(tmp_path, ksef) as (klucznik, theirs, _):
        secret, key = await make_key(klucznik, "vendor", [scope.value for scope in SCOPES], days=1)
        mine = await onboardings.begin(klucznik, theirs.nip, by=key.principal)
        app = create_app(klucznik, SETTINGS, OURS)
        before, connection = await rows_about(klucznik, theirs), await connection_of(klucznik, theirs.nip)
        ksef.clear_requests()
        number = 0
        for onboarding in (mine.id, theirs.parts["onboarding"]):
            about = Theirs(theirs.nip, {**theirs.parts, "onboarding": onboarding}, theirs.marks)
            for asked in questions(app, about):
                if not re.match(r"/api/v1/(onboardings|invitations|imports)\b", asked.path):
                    continue
                number += 1
                headers = {"authorization": f"Bearer {secret}", "idempotency-key": secrets.token_hex(8)}
                answer = await ask(app, asked.request, headers)
                assert answer.status < 500, asked.path
                if asked.about_b and onboarding != mine.id and "onboarding" in asked.path:
                    assert answer.status >= 400, (asked.method, asked.path)
                assert asked_of_ksef(ksef, theirs) == [], (asked.method, asked.path)
        assert number > 30
        after = await rows_about(klucznik, theirs)
        assert before <= after | {row for row in before if mine.id in row}
        assert await connection_of(klucznik, theirs.nip) == connection
        # What is new of B is the key's own onboarding, and the list it has brought, on which B is a bad line.
        new = {row.partition(" ")[0] for row in after - before}
        assert new <= {"onboardings", "audit_log", "import_lines", "events"}, new
        listed = await imports.page_of_imports(klucznik, key.principal)
        assert listed
        for one in listed:
            assert (await imports.carry_out(klucznik, key.principal, one.id)).tally.invited == 0
        with pytest.raises(Exception, match="company_connected"):
            await invitations.invite(klucznik, key.principal, theirs.nip)

"""Builders for tests of the API: the application beside a sandbox, companies that are connected, callers with keys."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from tests.klucznik.web.worlds import PUBLIC_URL, SETTINGS
from tests.klucznik.world import company, context_of, some_nip

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.roles import ACTIONS, SCOPES, Role
from klucznik.server.app import create_app
from klucznik.services.accounts.api_keys import make_key
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue
from klucznik.services.telling.rounds import Outlets
from ksef_sandbox import Sandbox

# In words of either language; `Klucznik A` begins the name of a certificate.
COMMAND = re.compile(r"\bklucznik [a-z]")
BASE = f"{PUBLIC_URL}/api/v1"


@asynccontextmanager
async def program(
    klucznik: Installation, *scopes: str, nip: str | None = None, outlets: Outlets | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A program before the API with a key of these scopes; without any: of all that a key may have. English is told."""
    wanted = scopes or tuple(scope.value for scope in (SCOPES if nip is None else ACTIONS[Role.CLIENT] & SCOPES))
    secret, _ = await make_key(klucznik, "a program", wanted, days=3, nip=nip)
    headers = {"authorization": f"Bearer {secret}", "accept-language": "en"}
    async with stranger(klucznik, outlets) as client:
        client.headers.update(headers)
        yield client


@asynccontextmanager
async def stranger(klucznik: Installation, outlets: Outlets | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a key."""
    transport = httpx.ASGITransport(app=create_app(klucznik, SETTINGS, outlets))
    hooks = {"response": [names_no_command]}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, event_hooks=hooks) as client:
        yield client


async def names_no_command(answer: httpx.Response) -> None:
    """No answer sends a program to a terminal; only the description says where keys come from."""
    if "json" in answer.headers.get("content-type", "") and not answer.url.path.endswith("/openapi.json"):
        await answer.aread()
        assert COMMAND.search(answer.text) is None, answer.text


async def connected(klucznik: Installation, ksef: Sandbox, nip: str | None = None) -> str:
    """The NIP of a company that is connected by its own certificates."""
    nip = nip or some_nip()
    assert isinstance(await issue(klucznik, context_of(nip), company(nip, ksef)), Issued)
    return nip


def subject_of(nip: str) -> Subject:
    return Subject(SubjectType.NIP, nip)


def reason(answer: httpx.Response) -> str:
    """Why it was not carried out; every error is a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    return str(problem["reason"])

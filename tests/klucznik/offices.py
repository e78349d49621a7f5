"""Builders for tests of permissions: an office that is the operator, its companies, and who may do what there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from sqlalchemy import Connection as Transaction
from tests.klucznik.mishaps import Mishap, Network
from tests.klucznik.world import company, context_of, installed, person, some_pesel

from klucznik.domain.connections import Connection
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.keys.credential import Credential
from klucznik.services.grant import Grant, Granted, grant
from klucznik.services.installation import Installation
from klucznik.services.operator import set_operator
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import SignedIn, sign_in, sign_out, signer_with_key
from klucznik.storage import audit, connections
from ksef_sandbox import Sandbox

GRANT = "POST /v2/permissions/entities/grants"
WITHDRAW = "DELETE /v2/permissions/common/grants/.*"
OPERATION = "GET /v2/permissions/operations/.*"
LIST = "POST /v2/permissions/query/persons/grants"
SIGNED_IN = "GET /v2/auth/20.*"
NAME = "Biuro Rachunkowe Żółw sp. z o.o."


@asynccontextmanager
async def office(home: Path, ksef: Sandbox, nip: str, *mishaps: Mishap) -> AsyncIterator[Installation]:
    """An installation whose operator is set; mishaps begin after that."""
    async with installed(home, ksef) as klucznik:
        await set_operator(klucznik, nip, NAME, company(nip, ksef))
    ksef.clear_requests()
    async with installed(home, ksef, transport=Network(*mishaps)) as klucznik:
        yield klucznik


@asynccontextmanager
async def signed_in_as(klucznik: Installation, nip: str, credential: Credential) -> AsyncIterator[SignedIn]:
    signer = signer_with_key(
        credential.certificate, credential.private_key, credential.holder.signs_in_as, klucznik.clock
    )
    signed_in = await sign_in(klucznik, context_of(nip), signer)
    yield signed_in
    await sign_out(signed_in)


async def let_in(
    klucznik: Installation,
    nip: str,
    credential: Credential,
    *,
    delegable: bool = False,
    asked: list[Grant] | None = None,
    listener: Listener = unheard,
) -> Granted:
    """The owner signs in and grants."""

    def agreed(what: Grant) -> bool:
        if asked is not None:
            asked.append(what)
        return True

    async with signed_in_as(klucznik, nip, credential) as signed_in:
        return await grant(klucznik, signed_in, delegable=delegable, confirm=agreed, listener=listener)


def employee(nip: str, ksef: Sandbox, *permissions: str) -> Credential:
    """A person whom the company has given some permissions, and nothing else."""
    pesel = some_pesel()
    set_permissions(ksef, nip, "Pesel", pesel, *permissions)
    return person(pesel, ksef)


def set_permissions(ksef: Sandbox, nip: str, kind: str, value: str, *permissions: str) -> None:
    """Permissions that were granted without us."""
    body = {
        "contextIdentifier": {"type": "Nip", "value": nip},
        "authorizedIdentifier": {"type": kind, "value": value},
        "permissions": [{"permissionType": name, "description": "granted in a test"} for name in permissions],
    }
    httpx.post(f"{ksef.base_url}/testdata/permissions", json=body).raise_for_status()


def take_permissions(ksef: Sandbox, nip: str, kind: str, value: str) -> None:
    body = {
        "contextIdentifier": {"type": "Nip", "value": nip},
        "authorizedIdentifier": {"type": kind, "value": value},
    }
    httpx.post(f"{ksef.base_url}/testdata/permissions/revoke", json=body).raise_for_status()


async def connection_of(klucznik: Installation, nip: str) -> Connection | None:
    return await klucznik.database.read(
        lambda transaction: connections.of_context(transaction, klucznik.environment, context_of(nip))
    )


async def told(klucznik: Installation, subject: Subject) -> list[str]:
    """What the audit log tells in a subject's chain."""

    def read(transaction: Transaction) -> list[str]:
        return [row.event for row in audit.rows_of(transaction, f"sandbox:{subject.type.value}:{subject.value}")]

    return await klucznik.database.read(read)


def of_nip(nip: str) -> Subject:
    return Subject(SubjectType.NIP, nip)


def grants_sent(ksef: Sandbox) -> int:
    """The grants that KSeF has taken on."""
    return sum(call.status == 202 for call in ksef.requests(method="POST", path="/permissions/entities/grants"))

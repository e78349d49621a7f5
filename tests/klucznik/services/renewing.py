"""Pairs that are due, connections and hooks: what tests of renewal start from."""

import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection as Transaction
from tests.klucznik.world import assert_whole_pair, company, context_of, some_nip

from klucznik.domain.connections import Connection, Health, Method
from klucznik.domain.identifiers import Subject
from klucznik.domain.keytype import KeyType
from klucznik.domain.renewal import due_at
from klucznik.keys.credential import Credential
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue
from klucznik.services.renewal.hooks import DIRECTORY
from klucznik.storage import connections
from ksef_sandbox import Sandbox


async def issued(klucznik: Installation, nip: str, credential: Credential, *, key_type: KeyType = KeyType.EC) -> Issued:
    outcome = await issue(klucznik, context_of(nip), credential, key_type=key_type)
    await assert_whole_pair(klucznik, outcome)
    assert isinstance(outcome, Issued)
    return outcome


def make_due(ksef: Sandbox, *pairs: Issued) -> None:
    ksef.set_now(max(due_at(one) for pair in pairs for one in pair.certificates) + timedelta(minutes=1))


async def due_pair(klucznik: Installation, ksef: Sandbox) -> Issued:
    """The pair of a company, on the day it is due."""
    nip = some_nip()
    pair = await issued(klucznik, nip, company(nip, ksef))
    make_due(ksef, pair)
    return pair


async def connect(
    klucznik: Installation, nip: str, subject: Subject, *, hook: Path | None = None, revokes: bool = False
) -> None:
    """A connection with its own hook; the one that an issuance has made, where there is one."""
    now, path = klucznik.clock.now(), None if hook is None else str(hook)
    fresh = Connection(
        id=secrets.token_hex(16),
        environment=klucznik.environment,
        context=context_of(nip),
        method=Method.CERTIFICATES,
        subject=subject,
        health=Health.HEALTHY,
        health_since=now,
        created_at=now,
        deploy_hook=path,
        revokes_superseded=revokes,
    )

    def commit(transaction: Transaction) -> None:
        there = connections.of_context(transaction, klucznik.environment, fresh.context)
        if there is None:
            connections.add(transaction, fresh, now=now)
        else:
            own = replace(there, subject=subject, deploy_hook=path, revokes_superseded=revokes)
            connections.save(transaction, own, now=now)

    await klucznik.database.write(commit)


def put_hook(home: Path, name: str, body: str, *, mode: int = 0o700) -> Path:
    """A program in the directory of hooks; it runs in `home`, where its words go to the file `ran`."""
    return program(home / DIRECTORY / name, f'cd "{home}"\n{body}', mode=mode)


def program(path: Path, body: str, *, mode: int = 0o700) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(mode)
    return path

"""Connections as people see them: listed, looked at closely, forgotten. Making one is `connect`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.certificates import PAIR, CertificateType, HeldCertificate
from klucznik.domain.connections import Connection, Health, Method, NextDate, as_it_stands, looked_at, takes_over
from klucznik.domain.dates import dates_of, next_date
from klucznik.domain.identifiers import Context, Subject
from klucznik.errors import InputError
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.storage import certificates, connections, ksef_tokens, program_uses
from klucznik.storage.races import alone

PAGE = 500


@dataclass(frozen=True)
class ConnectionStatus:
    """A connection and what it rests on.

    Attributes:
        certificates: the subject's newest usable certificate of each type; the Authentication one signs in.
        next_date: None where nothing that is known here will happen to it by itself.
    """

    connection: Connection
    certificates: tuple[HeldCertificate, ...]
    next_date: NextDate | None


@dataclass(frozen=True)
class Programs:
    """One certificate, and the programs that it was exported for."""

    certificate: HeldCertificate
    programs: tuple[str, ...]


@dataclass(frozen=True)
class ConnectionDetail:
    """One connection in full.

    Attributes:
        held: all of the subject's certificates in the vault that have not been revoked and have not expired.
        others: further companies for which the same subject signs in.
        token_reference: KSeF's name of the token.
    """

    status: ConnectionStatus
    held: tuple[Programs, ...]
    others: tuple[Connection, ...]
    token_reference: str | None


async def page_of_connections(
    installation: Installation,
    *,
    size: int = PAGE,
    after: Context | None = None,
    method: Method | None = None,
) -> list[ConnectionStatus]:
    """Connections by their companies' numbers, in two queries however many there are.

    Args:
        after: the company of the last one of the page before.
    """
    environment, now = installation.environment, installation.clock.now()

    def read(transaction: Transaction) -> list[ConnectionStatus]:
        found = connections.page(transaction, environment, size=size, after=after, method=method)
        return statuses(transaction, found, now)

    return await installation.database.read(read)


def statuses(transaction: Transaction, found: Sequence[Connection], now: datetime) -> list[ConnectionStatus]:
    """Each of these connections of one environment with what it rests on, in one query."""
    subjects = {one.subject for one in found if one.subject is not None and one.method.is_by_certificate}
    held = certificates.of_subjects(transaction, found[0].environment, subjects) if subjects else {}
    return [_status(one, [] if one.subject is None else held.get(one.subject, []), now) for one in found]


async def all_connections(
    installation: Installation, *, method: Method | None = None
) -> AsyncIterator[ConnectionStatus]:
    """Every connection, page by page."""
    after: Context | None = None
    while found := await page_of_connections(installation, after=after, method=method):
        for one in found:
            yield one
        after = found[-1].connection.context


async def find_connection(installation: Installation, context: Context) -> Connection:
    """The connection of a company.

    Raises:
        InputError: ``not_connected``.
    """
    found = await installation.database.read(
        lambda transaction: connections.of_context(transaction, installation.environment, context)
    )
    if found is None:
        raise InputError("not_connected", nip=context.value)
    return found


async def one_connection(installation: Installation, context: Context) -> ConnectionDetail:
    """A connection in full; raises as `find_connection`."""
    connection = await find_connection(installation, context)
    environment, now = installation.environment, installation.clock.now()

    def read(transaction: Transaction) -> ConnectionDetail:
        subject = connection.subject if connection.method.is_by_certificate else None
        held = [] if subject is None else certificates.of_subject(transaction, environment, subject)
        alive = [one for one in held if one.revoked_at is None and now < one.valid_to]
        programs = program_uses.of_certificates(transaction, environment, [one.serial_number for one in alive])
        others = [] if subject is None else connections.of_subject(transaction, environment, subject)
        token = ksef_tokens.load(transaction, connection.id)
        return ConnectionDetail(
            _status(connection, held, now),
            tuple(Programs(one, programs.get(one.serial_number, ())) for one in alive),
            tuple(one for one in others if one.id != connection.id),
            None if token is None else token.reference_number,
        )

    return await installation.database.read(read)


async def change(
    installation: Installation, seen: Connection, *, name: str | None = None, revokes_superseded: bool | None = None
) -> Connection:
    """Change what is given of a connection as it was seen, and leave the rest.

    Args:
        name: see `parse_connection_name`.

    Raises:
        StorageError: ``state_moved_on``: somebody else has changed it since.
    """
    changed = replace(
        seen,
        name=seen.name if name is None else name,
        revokes_superseded=seen.revokes_superseded if revokes_superseded is None else revokes_superseded,
    )
    if changed == seen:
        return seen

    def commit(transaction: Transaction) -> Connection:
        saved = connections.save(transaction, changed, now=installation.clock.now())
        facts: dict[str, Fact] = {"name": saved.name, "revokes_superseded": saved.revokes_superseded}
        record(installation, transaction, Event.CONNECTION_CHANGED, saved, **facts)
        return saved

    return await installation.database.write(commit)


async def disconnect(installation: Installation, context: Context) -> ConnectionDetail:
    """Forget a connection and its token. KSeF is told nothing: certificates and grants stay there as they are.

    Raises:
        InputError: ``not_connected``.
    """
    detail = await one_connection(installation, context)
    connection = detail.status.connection

    def commit(transaction: Transaction) -> None:
        ksef_tokens.forget(transaction, connection.id)
        connections.remove(transaction, connection)
        record(installation, transaction, Event.CONNECTION_REMOVED, connection)

    await installation.database.write(commit)
    return detail


def record_issued(
    installation: Installation,
    transaction: Transaction,
    context: Context,
    subject: Subject,
    *,
    renewed: bool,
    replaced: frozenset[str] = frozenset(),
) -> None:
    """Part of the transaction in which a new Authentication certificate is proved by a sign-in for `context`.

    Args:
        renewed: then the company was connected before, or somebody has disconnected it, and it stays so.
        replaced: connections of others of which this takes the place, `domain.connections.as_it_stands`.
    """
    now = installation.clock.now()
    alone(transaction, f"connection {installation.environment} {context}")
    there = connections.of_context(transaction, installation.environment, context)
    if there is None:
        if not renewed:
            new = new_connection(installation, context, Method.CERTIFICATES, subject)
            made = looked_at(new, Health.HEALTHY, None, now)
            connections.add(transaction, made, now=now)
            record(installation, transaction, Event.CONNECTION_MADE, made)
        return
    if not takes_over(there, subject) and as_it_stands(there) not in replaced:
        return
    proved = replace(looked_at(there, Health.HEALTHY, None, now), method=Method.CERTIFICATES, subject=subject)
    connections.save(transaction, proved, now=now)
    if there.method is Method.TOKEN:
        ksef_tokens.forget(transaction, there.id)
    if (there.health, there.method, there.subject) != (proved.health, proved.method, proved.subject):
        record(installation, transaction, Event.CONNECTION_CHANGED, proved, before=there.method.value)


def new_connection(
    installation: Installation, context: Context, method: Method, subject: Subject | None, *, name: str | None = None
) -> Connection:
    now = installation.clock.now()
    return Connection(
        id=secrets.token_hex(16),
        environment=installation.environment,
        context=context,
        method=method,
        subject=subject,
        health=Health.UNCHECKED,
        health_since=now,
        created_at=now,
        name=name,
    )


def record(
    installation: Installation, transaction: Transaction, event: Event, connection: Connection, **facts: Fact
) -> None:
    """Tell of a connection in the chain of who signs in for it."""
    said: dict[str, Fact] = {
        "connection": connection.id,
        "context": connection.context.value,
        "method": connection.method.value,
        "health": connection.health.value,
        "code": connection.health_code,
    }
    audit.record(installation, transaction, connection.subject, Entry(event, {**said, **facts}))


def _status(connection: Connection, held: Sequence[HeldCertificate], now: datetime) -> ConnectionStatus:
    newest: dict[CertificateType, HeldCertificate] = {}
    for one in held:
        if one.usable(now):
            newest.setdefault(one.type, one)
    usable = tuple(newest[kind] for kind in PAIR if kind in newest)
    return ConnectionStatus(connection, usable, next_date(connection.method, dates_of(connection.method, held), now))

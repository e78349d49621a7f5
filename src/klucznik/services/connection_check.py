"""What a look at a connection has found and how it is remembered; and the look at one by certificate or by token.

That look is a real sign-in which stops at KSeF's yes, so no session is opened. By permission it is `verify`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.connections import Connection, Health, health_told_by, looked_at
from klucznik.domain.identifiers import Subject
from klucznik.domain.permissions import INVOICING, Permission
from klucznik.errors import SignInRefused
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.ways import way_of
from klucznik.storage import connections
from klucznik.storage.races import alone


@dataclass(frozen=True)
class Verified:
    """What a look at a connection has found.

    Attributes:
        connection: as it is now.
        before: its health before the look.
        permissions: what KSeF lists for the operator in the company; None: it was not let in, or acts by other means.
        refused: KSeF's refusal of the sign-in.
    """

    connection: Connection
    before: Health
    permissions: tuple[str, ...] | None = None
    refused: SignInRefused | None = None

    @property
    def missing(self) -> tuple[Permission, ...]:
        """Which of `INVOICING` the company has not granted, although it lets the operator in.

        None where KSeF lists nothing at all: an empty list does not mean that nothing is granted (§5.4).
        """
        there = self.permissions
        return tuple(one for one in INVOICING if one not in there) if there else ()


async def prove_own(installation: Installation, connection: Connection, *, listener: Listener = unheard) -> Verified:
    """Whoever signs in for the company with a certificate or a token here does so now.

    Raises:
        SignInRefused: for a reason that says nothing about the connection.
        KsefUnavailable: nothing was found out, nothing is changed.
    """
    listener(Progress(Stage.SIGNING_IN))
    before, subject = connection.health, connection.subject
    way = await way_of(installation, connection)
    if way is None:  # there is nothing in the vault any more that could sign in
        gone = await remember(installation, connection, subject, Health.CERTIFICATE_INVALID, None, {})
        return Verified(gone, before)
    try:
        reference = await way.prove(installation.ksef, connection.context)
    except SignInRefused as error:
        health = health_told_by(error.code, connection.method)
        # 450 also tells of a challenge that has run out on the way, which is nobody's token.
        if health is None or any("wyzwanie" in detail.lower() for detail in error.details):
            raise
        said: dict[str, Fact] = {"code": error.code, "text": error.text, "details": list(error.details)}
        return Verified(
            await remember(installation, connection, subject, health, error.code, said), before, refused=error
        )
    listener(Progress(Stage.SIGNED_IN))
    saved = await remember(installation, connection, subject, Health.HEALTHY, None, {"login": reference})
    return Verified(saved, before)


async def remember(
    installation: Installation,
    connection: Connection,
    subject: Subject | None,
    health: Health,
    code: int | None,
    evidence: Mapping[str, Fact],
) -> Connection:
    """Remember what was found; what others have changed meanwhile stays changed.

    Args:
        subject: who has signed in, in whose chain of the audit log a change is told.
    """
    now = installation.clock.now()

    def commit(transaction: Transaction) -> Connection:
        alone(transaction, f"connection {installation.environment} {connection.context}")
        there = connections.of_context(transaction, installation.environment, connection.context)
        seen = (connection.id, connection.method, connection.subject)
        if there is None or (there.id, there.method, there.subject) != seen:
            return looked_at(connection, health, code, now)  # disconnected, or connected otherwise, in the meantime
        saved = connections.save(transaction, looked_at(there, health, code, now), now=now)
        if saved.health is not there.health:
            facts = {"context": connection.context.value, "from": there.health.value, "to": saved.health.value}
            entry = Entry(Event.CONNECTION_HEALTH_CHANGED, {**facts, **evidence})
            audit.record(installation, transaction, subject, entry)
        return saved

    return await installation.database.write(commit)

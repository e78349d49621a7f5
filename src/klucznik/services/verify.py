"""Whether a connection still works: proved by a real sign-in, and noticed where it no longer does.

Trouble of the network changes nothing: it says nothing about the connection.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.connections import Connection, Health, Method, Operator, health_told_by
from klucznik.domain.identifiers import Context
from klucznik.domain.permissions import OwnPermission
from klucznik.errors import InputError, KlucznikError, KsefUnavailable, Paced, RateLimited, SignInRefused
from klucznik.services import audit
from klucznik.services.connection_check import Verified, prove_own, remember
from klucznik.services.connections import find_connection
from klucznik.services.installation import Installation
from klucznik.services.operator import load_operator, sign_in_as_operator
from klucznik.services.patience import in_turn
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.sign_in import sign_out
from klucznik.storage import connections, ksef_tokens, operators
from klucznik.storage.races import alone

_NOT_LET_IN = 415
# From the end of the operation to the first sign-in; observed seconds, official tests wait up to a minute.
_LET_IN_WITHIN = timedelta(seconds=60)
_FIRST_PAUSE_S = 1.0
_LOOKED_AT_EVERY = timedelta(days=1)
_AWAITED_EVERY = timedelta(minutes=15)
_PAGE = 500
_UNAVAILABLE_TOO_OFTEN = 3  # in a row: then KSeF is down, and the next round finds out

_log = logging.getLogger("klucznik.connections")


async def verify(installation: Installation, context: Context, *, listener: Listener = unheard) -> Verified:
    """Prove one connection by a real sign-in, and remember what was found.

    Raises:
        InputError: ``not_connected``; of a permission ``operator_not_set``, ``operator_without_credential``.
        KsefUnavailable: nothing was found out, nothing is changed.
    """
    return await _prove(installation, await find_connection(installation, context), listener)


async def _prove(installation: Installation, connection: Connection, listener: Listener) -> Verified:
    if connection.method is Method.PERMISSION:
        return await prove_grant(installation, connection, await load_operator(installation), listener=listener)
    return await prove_own(installation, connection, listener=listener)


@dataclass(frozen=True)
class Looked:
    """How the look at one of many came out.

    Attributes:
        verified: None: nothing was found out, because of `error`.
    """

    connection: Connection
    verified: Verified | None = None
    error: KlucznikError | None = None


async def verify_all(installation: Installation, *, listener: Listener = unheard) -> AsyncIterator[Looked]:
    """Prove every connection, one after the other; trouble with one does not keep from the next."""
    last: Connection | None = None
    while page := await _page(installation, last):
        for connection in page:
            yield await _look_at(installation, connection, listener)
        last = page[-1]


async def verify_due(installation: Installation) -> int:
    """One round: prove every connection that nobody has looked at for a day, one that awaits its grant for a quarter of
    an hour. How many were proved. Harmless at any time, also by several workers."""
    environment, last, done, unavailable = installation.environment, None, 0, 0
    operator = await installation.database.read(lambda transaction: operators.load(transaction, environment))
    # Nobody can look at a grant where nobody has said who the operator is.
    methods = [one for one in Method if operator is not None or one is not Method.PERMISSION]
    while unavailable < _UNAVAILABLE_TOO_OFTEN:
        now = installation.clock.now()
        last = await installation.database.read(
            lambda transaction: connections.next_to_be_checked(
                transaction,
                environment,
                methods,
                looked_at_before=now - _LOOKED_AT_EVERY,  # noqa: B023
                awaited_before=now - _AWAITED_EVERY,  # noqa: B023
                after=last,  # noqa: B023
            )
        )
        if last is None:
            break
        looked = await _look_at(installation, last, unheard)
        done += looked.verified is not None
        _tell(looked)
        if isinstance(looked.error, InputError) and last.method is Method.PERMISSION:
            methods.remove(Method.PERMISSION)  # the operator has nothing to sign in with: it has not for any company
        # A pause is one company's own, so it says nothing about KSeF as a whole.
        down = isinstance(looked.error, KsefUnavailable) and not isinstance(looked.error, RateLimited | Paced)
        unavailable = unavailable + 1 if down else 0
    return done


def _tell(looked: Looked) -> None:
    verified, nip = looked.verified, looked.connection.context.value
    if verified is None:
        _log.warning("connection of NIP %s: nothing was found out: %s", nip, looked.error)
    elif verified.connection.health is not verified.before:
        _log.warning("connection of NIP %s: %s, was %s", nip, verified.connection.health.value, verified.before.value)


async def _look_at(installation: Installation, connection: Connection, listener: Listener) -> Looked:
    try:
        verified = await _prove(installation, connection, listener)
    except KlucznikError as error:
        return Looked(connection, error=error)
    return Looked(verified.connection, verified)


async def _page(installation: Installation, last: Connection | None) -> list[Connection]:
    after = None if last is None else last.context
    return await installation.database.read(
        lambda transaction: connections.page(transaction, installation.environment, size=_PAGE, after=after)
    )


async def connect_by_permission(
    installation: Installation, context: Context, operator: Operator, evidence: Mapping[str, Fact]
) -> Connection:
    """The connection of a company by a permission to the operator, which is still to be proved.

    Args:
        evidence: of the control that whoever asks has over the company (`services.control`).
    """
    now = installation.clock.now()
    fresh = Connection(
        id=secrets.token_hex(16),
        environment=installation.environment,
        context=context,
        method=Method.PERMISSION,
        subject=None,
        health=Health.AWAITING_GRANT,
        health_since=now,
        created_at=now,
    )

    def commit(transaction: Transaction) -> Connection:
        alone(transaction, f"connection {installation.environment} {context}")
        there = connections.of_context(transaction, installation.environment, context)
        facts = {"context": context.value, "operator": operator.nip, **evidence}
        if there is not None and there.method is Method.PERMISSION:
            return there
        if there is None:
            connections.add(transaction, fresh, now=now)
            kept = fresh
        else:
            other = replace(there, method=Method.PERMISSION, subject=None, health=fresh.health, health_since=now)
            kept = connections.save(transaction, replace(other, health_code=None, checked_at=None), now=now)
            ksef_tokens.forget(transaction, there.id)
            facts["before"] = there.method.value
        audit.record(installation, transaction, operator.subject, Entry(Event.CONNECTION_BY_PERMISSION, facts))
        return kept

    return await installation.database.write(commit)


async def prove_grant(
    installation: Installation,
    connection: Connection,
    operator: Operator,
    *,
    just_granted: bool = False,
    listener: Listener = unheard,
) -> Verified:
    """The operator signs in to the company, and sees what it may do there.

    Args:
        just_granted: KSeF may take a while until it lets the operator in: being refused is not believed at once.

    Raises:
        InputError: ``operator_without_credential``.
        SignInRefused: for a reason that says nothing about the connection.
        KsefUnavailable: nothing was found out, nothing is changed.
    """
    listener(Progress(Stage.PROVING))
    until = installation.clock.now() + (_LET_IN_WITHIN if just_granted else timedelta())
    pause = _FIRST_PAUSE_S
    while True:
        try:
            own = await _look(installation, connection, operator, listener)
        except SignInRefused as error:
            if error.code == _NOT_LET_IN and installation.clock.now() < until:
                listener(Progress(Stage.NOT_YET_LET_IN, seconds=pause))
                await installation.clock.sleep(pause)
                pause = min(2 * pause, 10.0)
                continue
            health = health_told_by(error.code, connection.method)
            if health is None:
                raise
            said: dict[str, Fact] = {"code": error.code, "text": error.text, "details": list(error.details)}
            saved = await remember(installation, connection, operator.subject, health, error.code, said)
            return Verified(saved, connection.health, refused=error)
        listed: dict[str, Fact] = {"permissions": [f"{one.permission} {one.id}" for one in own]}
        saved = await remember(installation, connection, operator.subject, Health.HEALTHY, None, listed)
        return Verified(saved, connection.health, tuple(sorted({one.permission for one in own})))


async def _look(
    installation: Installation, connection: Connection, operator: Operator, listener: Listener
) -> list[OwnPermission]:
    signed_in = await sign_in_as_operator(installation, operator, connection.context, listener=listener)
    try:

        async def ask() -> list[OwnPermission]:
            return [one async for one in signed_in.session.permissions.own() if one.active and not one.of_company]

        return await in_turn(installation, ask, listener)
    finally:
        await sign_out(signed_in)

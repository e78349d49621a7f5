"""Takes one issuance as far as it can go now. Waking it early, late, twice or after a crash is harmless.

Whoever calls holds nothing afterwards: what it waits for, and until when, is in the row that comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from klucznik.clock import by_the_machine
from klucznik.domain.audit import Entry, Event, Fact
from klucznik.domain.identifiers import Subject
from klucznik.domain.issuance import Issuance
from klucznik.domain.waits import WaitKind
from klucznik.errors import (
    InputError,
    KlucznikError,
    KsefRefused,
    Paced,
    Pkcs11Error,
    RateLimited,
    SignatureNeeded,
    StorageError,
    SubjectBusy,
)
from klucznik.services import audit, login
from klucznik.services.installation import Installation
from klucznik.services.login import Login
from klucznik.services.progress import Listener, Progress, Stage, unheard
from klucznik.services.road import LEASE_LASTS, Road
from klucznik.services.road.waiting import park, park_until_it_answers
from klucznik.services.road.walk import walk
from klucznik.services.sign_in import SignedIn, Signer
from klucznik.storage import issuances, leases


async def advance(
    installation: Installation,
    issuance_id: str,
    *,
    listener: Listener = unheard,
    stopping: Callable[[], bool] = lambda: False,
) -> Issuance:
    """Take an issuance on until it ends or has to wait, with the logins that the vault holds.

    Args:
        stopping: asked between two steps; True ends the work there.

    Returns:
        the issuance as it stands in its row.

    Raises:
        InputError: ``issuance_unknown``.
        SubjectBusy: somebody else is at it, or at another issuance of the same subject.
        KlucznikError: what stopped it; the row then says when it should be tried again.
    """
    issuance = await load(installation, issuance_id)
    if issuance.state.ended or not _may_look(issuance, installation):
        return issuance
    lease = await take_lease(installation, issuance.subject)
    async with held(installation, lease):
        issuance = await load(installation, issuance_id)  # under the lease, look again
        walk = Walk.of(installation, issuance, lease, listener=listener, stopping=stopping)
        return await walk.go(issuance)


@dataclass
class Walk:
    """One go at an issuance under the lease of its subject.

    Attributes:
        stays_signed_in: leave the session open at the end, for whoever has more to do with it.
    """

    login: Login
    road: Road
    stays_signed_in: bool = False

    @classmethod
    def of(
        cls,
        installation: Installation,
        issuance: Issuance,
        lease: leases.Lease,
        *,
        signed_in: SignedIn | None = None,
        signer: Signer | None = None,
        listener: Listener = unheard,
        stopping: Callable[[], bool] = lambda: False,
        stays_signed_in: bool = False,
    ) -> Walk:
        login = Login(installation, issuance, signed_in, signer, listener)
        return cls(login, Road(installation, login, lease, listener, stopping), stays_signed_in)

    async def go(self, issuance: Issuance) -> Issuance:
        """Until it ends or waits. An error is told after the row has been told when to try again."""
        self.road.listener(Progress(Stage.TAKEN_ON, issuance=issuance, taken_over=self.road.lease.taken_over))
        try:
            issuance = await self._with_every_login(issuance)
        except SubjectBusy:
            raise  # the row is somebody else's by now
        except KlucznikError as error:
            await self._park(error)
            raise
        if issuance.state.ended and not self.stays_signed_in and not self.login.is_left_open(issuance):
            await self.login.end()
        return issuance

    async def _with_every_login(self, issuance: Issuance) -> Issuance:
        while True:
            try:
                return await walk(self.road, issuance)
            except SignatureNeeded:
                if self.login.signed_in is None:
                    raise  # there is no other login
                self.login.lost()
                issuance = replace(await load(self.login.installation, issuance.id), wait=issuance.wait)

    async def _park(self, error: KlucznikError) -> None:
        issuance = await load(self.login.installation, self.login.issuance.id)
        if issuance.state.ended:
            return
        if isinstance(error, RateLimited | Paced):
            await park(self.road, issuance, WaitKind.PACED, error.until, error.reason)
        elif isinstance(error, SignatureNeeded) or (isinstance(error, KsefRefused) and not error.passing):
            # Whoever is signed in may not do this: somebody has to sign in who may.
            await park(self.road, issuance, WaitKind.NEEDS_SIGNATURE, None, error.reason)
        elif isinstance(error, Pkcs11Error) and not error.passing:
            # Cards lock after a few wrong PINs: nothing but a person tries again.
            await park(self.road, issuance, WaitKind.PKCS11_REFUSES, None, error.reason)
        else:
            kind = WaitKind.PKCS11_AWAY if isinstance(error, Pkcs11Error) else WaitKind.KSEF_UNAVAILABLE
            await park_until_it_answers(self.road, issuance, error.reason, kind)


def _may_look(issuance: Issuance, installation: Installation) -> bool:
    """A pace is kept to the second; every other wait may be looked at early."""
    wait = issuance.wait
    if wait is None or wait.kind is not WaitKind.PACED or wait.until is None:
        return True
    return installation.clock.now() >= wait.until


async def load(installation: Installation, issuance_id: str) -> Issuance:
    """The issuance of that id; raises InputError ``issuance_unknown``."""
    found = await installation.database.read(lambda connection: issuances.load(connection, issuance_id))
    if found is None or found.environment is not installation.environment:
        raise InputError("issuance_unknown", issuance=issuance_id)
    return found


async def take_lease(installation: Installation, subject: Subject) -> leases.Lease:
    """The subject's lease; raises SubjectBusy where somebody holds it."""

    def take(connection: Connection) -> leases.Lease:
        now = installation.clock.now()
        taken = leases.take(
            connection, installation.environment, subject, owner=installation.owner, now=now, lasts=LEASE_LASTS
        )
        if taken.taken_from is not None:
            facts: dict[str, Fact] = {"from": taken.taken_from, "token": taken.token}
            audit.record(installation, connection, subject, Entry(Event.LEASE_TAKEN_OVER, facts))
        return taken

    return await installation.database.write(take)


async def take_over(
    installation: Installation,
    issuance: Issuance,
    signed_in: SignedIn,
    lease: leases.Lease,
    *,
    recorded: Callable[[Connection, Issuance], None] = lambda _, __: None,
) -> Issuance:
    """An issuance that is taken on again goes on with this login, here or elsewhere.

    Args:
        recorded: part of the same transaction.
    """
    sealed = login.seal(installation, issuance, signed_in)
    now = installation.clock.now()

    def commit(connection: Connection) -> Issuance:
        leases.confirm(connection, lease, now=now, lasts=LEASE_LASTS)
        recorded(connection, issuance)
        if sealed is not None:
            login.keep(connection, sealed, signed_in)
            replaced = Entry(Event.LOGIN_REPLACED, {"context": signed_in.context.value}, issuance.id)
            audit.record(installation, connection, issuance.subject, replaced)
        if issuance.wait is None or issuance.wait.until is not None:
            return issuance
        # Only a person could end that wait, and here somebody has come.
        return issuances.save(connection, replace(issuance, wait=None), now=now)

    return await installation.database.write(commit)


@asynccontextmanager
async def held(installation: Installation, lease: leases.Lease) -> AsyncIterator[None]:
    """Keep a lease alive while the body runs, and give it back."""
    beating = asyncio.create_task(_beat(installation, lease))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait({beating})  # a beat under way must not renew what is given back
        with suppress(StorageError):  # it ends by itself
            await installation.database.write(
                lambda connection: leases.give_back(connection, lease, now=installation.clock.now())
            )


async def _beat(installation: Installation, lease: leases.Lease) -> None:
    """Renew the lease while a slow answer is waited for; every commit of the road renews it too."""
    while True:
        await by_the_machine(LEASE_LASTS.total_seconds() / 3)
        try:
            await installation.database.write(
                lambda connection: leases.confirm(connection, lease, now=installation.clock.now(), lasts=LEASE_LASTS)
            )
        except SubjectBusy:
            return  # it was taken over: the next commit finds out
        except StorageError:
            continue  # the database is away: it may be back before the lease ends

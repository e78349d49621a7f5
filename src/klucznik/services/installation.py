"""One installation: its home directory, database, vault and the KSeF environment it talks to. No rules live here."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from klucznik.clock import Clock, SystemClock
from klucznik.domain.audit import INSTALLATION, Entry, Event, Head
from klucznik.domain.environments import Endpoint, Environment, endpoint
from klucznik.domain.sealed import WrappedDataKey
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError, Pkcs11Error, StorageError
from klucznik.keys.master_key import MasterKey, master_key_file, master_key_from_environment
from klucznik.keys.safe_files import make_directory
from klucznik.keys.vault import Vault
from klucznik.ksef.calls import Watcher, unwatched
from klucznik.ksef.client import KsefClient
from klucznik.services import audit
from klucznik.services.accounts.hashing import Hashing
from klucznik.services.background import Background
from klucznik.storage import private_keys
from klucznik.storage.database import Database
from klucznik.storage.paces import SqlitePacer
from klucznik.storage.races import alone

if TYPE_CHECKING:
    import httpx
    from sqlalchemy import Connection

    from klucznik.keys.key_token import KeyToken
    from klucznik.storage.paces_postgresql import PostgresqlPacer

DATABASE_FILE = "klucznik.db"
PACE_FILE = "pace.db"
MASTER_KEY_FILE = "vault.key"
# Shorter than the lease under which requests are sent (`services.road`): when a lease has run out, no request of its
# holder is on its way any more.
ANSWER_WITHIN_S = 12.0

_log = logging.getLogger("klucznik.installation")


@dataclass(frozen=True)
class Installation:
    """What every service works with.

    Attributes:
        home: directory (0700) with the database and the vault's master key, unless they are elsewhere.
        pacer: counts the calls to KSeF, together with all other processes of the installation.
        owner: names this process in leases, and in the audit log where nobody is named.
        actor: on whose behalf this copy works (`acting`), for the audit log.
        heads: see `audit.Pen`.
        server: URL of the database where it is on a server, which several workers may share.
        key_token: the card or HSM with the keys of those rows of the vault that have none.
        hashing: hashes the passwords of users, a few at a time.
        background: what goes on after whoever asked was answered.
    """

    home: Path
    endpoint: Endpoint
    database: Database
    vault: Vault = field(repr=False)
    ksef: KsefClient
    pacer: SqlitePacer | PostgresqlPacer
    clock: Clock
    owner: str
    heads: dict[str, Head] = field(default_factory=dict, repr=False)
    server: str | None = field(default=None, repr=False)
    key_token: KeyToken | None = None
    actor: str | None = None
    hashing: Hashing = field(default_factory=Hashing, repr=False)
    background: Background = field(default_factory=Background, repr=False)

    def acting(self, actor: str) -> Self:
        """The same installation, on behalf of somebody: what is recorded names them, for example ``user:3f2a…``."""
        return replace(self, actor=actor)

    @property
    def environment(self) -> Environment:
        return self.endpoint.environment

    @property
    def token_of_keys(self) -> KeyToken:
        """The token, where a key on it is asked for; raises Pkcs11Error ``pkcs11_token_not_set``."""
        if self.key_token is None:
            raise Pkcs11Error("pkcs11_token_not_set")
        return self.key_token

    @classmethod
    async def open(
        cls,
        home: Path,
        *,
        environment: Environment = Environment.SANDBOX,
        database_url: str | None = None,
        ksef_url: str | None = None,
        master_key: str | None = None,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        watcher: Watcher = unwatched,
        key_token: KeyToken | None = None,
    ) -> Self:
        """Open the installation in `home`, made at first use.

        Args:
            database_url: ``postgresql://…``. Without it the database is the file ``klucznik.db`` in `home`.
            ksef_url: another address of the API, for a sandbox or a proxy.
            master_key: the vault's master key in base64 (32 bytes). Without it the file ``vault.key`` in `home` is
                used, and made where there is neither a key nor anything sealed with one.
            watcher: told of every call to KSeF, when it is over.
            key_token: where keys may be made and kept instead of the vault.

        Raises:
            InputError: an address or the master key cannot be used.
            StorageError: the home, the database or the vault cannot be used.
        """
        try:
            where = endpoint(environment, ksef_url)
        except InvalidValue as error:
            raise InputError(error.reason, **error.data) from None
        time, owner = clock or SystemClock(), _name_of_this_process()
        database = await _open_database(home, database_url)
        try:
            vault = await _open_vault(home, database, master_key, time, owner)
        except BaseException:
            database.close()
            raise
        pacer = _pacer(home, database_url)
        ksef = KsefClient(
            where, clock=time, transport=transport, timeout_s=ANSWER_WITHIN_S, pacer=pacer, watcher=watcher
        )
        return cls(home, where, database, vault, ksef, pacer, time, owner, server=database_url, key_token=key_token)

    async def wake(self, issuance_id: str) -> None:
        """Tell the workers that an issuance is due. A hint and no more: a worker who misses it finds the row."""
        if self.server is None:
            return  # the embedded engine looks at the rows
        from klucznik.storage.queue import Queue

        try:
            await Queue(self.database, self.server, self.environment).wake(issuance_id)
        except StorageError as error:
            _log.warning("no worker was told of issuance %s: %s", issuance_id, error)

    async def aclose(self) -> None:
        await self.background.stop()
        await self.ksef.aclose()
        await self.pacer.aclose()
        self.database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _name_of_this_process() -> str:
    """So that a person can see who holds a lease; unique, as a process id may come again."""
    return f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(8)}"


async def _open_database(home: Path, url: str | None) -> Database:
    if url is None:
        return Database(home / DATABASE_FILE)
    return await asyncio.to_thread(Database, url)


def _pacer(home: Path, url: str | None) -> SqlitePacer | PostgresqlPacer:
    if url is None:
        return SqlitePacer(home / PACE_FILE)
    from klucznik.storage.paces_postgresql import PostgresqlPacer  # its driver costs those with a file nothing

    return PostgresqlPacer(url)


async def _open_vault(home: Path, database: Database, master_key: str | None, clock: Clock, owner: str) -> Vault:
    data_keys = await database.read(private_keys.load_data_keys)
    master = _master_key(home, master_key, needed=bool(data_keys))
    vault = Vault.open(master, data_keys)
    if data_keys:
        return vault
    first = vault.new_data_key()

    def add(connection: Connection) -> list[WrappedDataKey]:
        # Another process may have been faster: whoever seals with a key that the others lack, seals for himself alone.
        alone(connection, "first data key")
        if not private_keys.load_data_keys(connection):
            private_keys.add_data_key(connection, first, now=clock.now())
            made = Entry(Event.DATA_KEY_MADE, {"key": first.data_key_id, "master_key": first.master_key_id})
            audit.Pen(vault, owner).write(connection, INSTALLATION, [made], now=clock.now())
        return private_keys.load_data_keys(connection)

    return Vault.open(master, await database.write(add))


def _master_key(home: Path, text: str | None, *, needed: bool) -> MasterKey:
    """The master key. A lost key file is never replaced by a new one while keys are sealed with the old."""
    if text is not None:
        return master_key_from_environment(text)
    make_directory(home)
    return master_key_file(home / MASTER_KEY_FILE, create=not needed)

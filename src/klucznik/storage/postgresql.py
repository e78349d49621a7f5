"""PostgreSQL 14 or newer, reached by psycopg: a bounded pool, work on threads, so that the event loop is free.

Imported only where a URL was given. Writes are READ COMMITTED, their commits synchronous whatever the server's default;
reads see one snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from klucznik.errors import InputError, StorageError

T = TypeVar("T")

OLDEST = 14
_SCHEMES = ("postgresql://", "postgres://")
# As many threads as connections: whoever waits, waits for a thread and holds neither.
_CONNECTIONS = 8
# Where the URL says nothing else. A network that swallows packets is noticed in half a minute, not in two hours.
_SETTINGS: dict[str, Any] = {
    "application_name": "klucznik",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class Postgresql:
    """A database on a server."""

    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    # A process that was frozen in the middle of a transaction must not hold its locks for as long as it sleeps.
    begin_write = (
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on;"
        " SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '10s'"
    )

    def __init__(self, url: str) -> None:
        """Reads the URL, connects nowhere.

        Raises:
            InputError: ``database_url_malformed``. The URL, which may hold a password, is not quoted.
        """
        try:
            if not url.startswith(_SCHEMES):
                raise InputError("database_url_malformed")
            self.shown = _shown(conninfo_to_dict(url))
            self._parameters = connection_parameters(url)
        except psycopg.Error:
            raise InputError("database_url_malformed") from None
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="klucznik-database")
        self.engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            pool_use_lifo=True,  # what is not needed stays unused, and a server or proxy may close it
            isolation_level="AUTOCOMMIT",  # the transactions are begun and ended in `database`
            use_native_hstore=False,  # else each new connection asks for a type that no table has
            hide_parameters=True,
        )

    def __repr__(self) -> str:
        return f"<Postgresql {self.shown}>"

    def opening(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(**self._parameters)

    def revision(self, connection: Connection) -> str | None:
        """The revision of the tables, of a server that can be used.

        Raises:
            StorageError: ``database_too_old``, ``database_replica``, ``database_not_utf8``, ``database_not_durable``.
        """
        # Asked of the catalogue as a table: `to_regclass` would answer from a cache, which waiting for another process
        # does not renew.
        row = connection.exec_driver_sql(
            "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,"
            " pg_is_in_recovery() AS replica, current_setting('server_encoding') AS encoding,"
            " current_setting('fsync') AS fsync, EXISTS (SELECT FROM pg_catalog.pg_tables"
            " WHERE tablename = 'alembic_version' AND schemaname = current_schema()) AS known"
        ).one()
        if row.number < OLDEST * 10_000:
            raise StorageError("database_too_old", file=self.shown, version=row.version, needed=OLDEST)
        if row.replica:
            raise StorageError("database_replica", file=self.shown)
        if row.encoding != "UTF8":
            raise StorageError("database_not_utf8", file=self.shown, encoding=row.encoding)
        if row.fsync != "on":
            raise StorageError("database_not_durable", file=self.shown)
        if not row.known:
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()

    def migrating(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def run(self, call: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # A transaction under way comes to its end before anybody goes on as if it had not been.
            await asyncio.wait([running])
            running.exception()  # nobody is there any more to be told of it
            raise

    async def run_apart(self, call: Callable[[Engine], T]) -> T:
        return await self.run(lambda: call(self.engine))

    def again(self, error: SQLAlchemyError) -> bool:
        """Whether the transaction was undone only to let another pass."""
        return _sqlstate(error) in {"40001", "40P01"}

    def reason(self, error: SQLAlchemyError) -> str:
        state = _sqlstate(error)
        if state is None:
            return self._reason_without_state(error)
        return _REASONS.get(state) or _CLASSES.get(state[:2], "database_failed")

    def _reason_without_state(self, error: SQLAlchemyError) -> str:
        """libpq reports a failed connection in words alone, in the language of the server."""
        if isinstance(error, DBAPIError) and type(error.orig) is psycopg.DataError and "NUL" in str(error.orig):
            return "text_with_nul"  # found before anything was sent
        if not isinstance(error, DBAPIError) or not isinstance(error.orig, psycopg.OperationalError):
            return "database_failed"
        said = str(error.orig).lower()
        found = next((reason for words, reason in _WORDS if all(word in said for word in words)), None)
        return found or ("database_connection_lost" if error.connection_invalidated else "database_not_reached")

    def close(self) -> None:
        self._threads.shutdown()
        self.engine.dispose()


def connection_parameters(url: str) -> dict[str, Any]:
    """What psycopg connects with; may hold a password."""
    return {**_SETTINGS, **conninfo_to_dict(url), "client_encoding": "UTF8"}


def _shown(parameters: dict[str, Any]) -> str:
    """The address for messages and logs: who, where and which; never a password."""
    user, hosts = parameters.get("user"), parameters.get("host") or parameters.get("hostaddr") or ""
    port = f":{parameters['port']}" if parameters.get("port") else ""
    return f"postgresql://{f'{user}@' if user else ''}{hosts}{port}/{parameters.get('dbname') or ''}"


def _sqlstate(error: SQLAlchemyError) -> str | None:
    return error.orig.sqlstate if isinstance(error, DBAPIError) and isinstance(error.orig, psycopg.Error) else None


_REASONS = {
    "22021": "text_with_nul",
    "22P05": "text_with_nul",
    "25006": "database_replica",
    "28000": "database_login_refused",
    "28P01": "database_login_refused",
    "3D000": "database_missing",
    "40001": "database_busy",
    "40P01": "database_busy",
    "42501": "database_not_permitted",
    "42P01": "database_damaged",
    "42703": "database_damaged",
    "42P07": "database_occupied",
    "53100": "database_disk_full",
    "53300": "database_connections_used_up",
    "55P03": "database_busy",
    "57P01": "database_connection_lost",
    "57P02": "database_connection_lost",
    "57P03": "database_not_reached",
    "57P05": "database_connection_lost",
    "58030": "database_disk_failing",
    "25P03": "database_connection_lost",
    "3F000": "database_not_permitted",  # no schema to make tables in
}
_CLASSES = {"08": "database_connection_lost", "XX": "database_damaged"}

# English and Polish, as PostgreSQL's own translations have them.
_WORDS = (
    (("password authentication failed",), "database_login_refused"),
    (("no password supplied",), "database_login_refused"),
    (("pg_hba.conf",), "database_login_refused"),
    (("role ", "does not exist"), "database_login_refused"),
    (("autoryzacja hasłem nie powiodła się",), "database_login_refused"),
    (("peer authentication failed",), "database_login_refused"),
    (("database ", "does not exist"), "database_missing"),
    (("baza danych", "nie istnieje"), "database_missing"),
    (("too many clients",), "database_connections_used_up"),
    (("too many connections",), "database_connections_used_up"),
    (("remaining connection slots",), "database_connections_used_up"),
    (("session is read-only",), "database_replica"),
)

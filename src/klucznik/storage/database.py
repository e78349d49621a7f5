"""One way to read and one way to write. Which tables there are is in `schema`.

What SQLite and PostgreSQL do differently is in `sqlite` and `postgresql`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from klucznik.errors import StorageError
from klucznik.storage.races import alone
from klucznik.storage.tables import HEAD, metadata

T = TypeVar("T")

_ATTEMPTS = 3


class Dialect(Protocol):
    """What differs. Everything else is written once.

    Attributes:
        shown: the database for messages and logs: a file, or an address without its password.
        begin_read: begins a transaction that sees one state throughout.
        begin_write: begins a transaction whose commit is on disk when it returns.
    """

    shown: str
    engine: Engine
    begin_read: str
    begin_write: str

    def opening(self) -> AbstractContextManager[None]:
        """Around the first look at the database."""

    def revision(self, connection: Connection) -> str | None:
        """Which migration made the tables; None where there are none."""

    def migrating(self) -> AbstractContextManager[None]:
        """Around a migration, outside its transaction."""

    async def run(self, call: Callable[[], T]) -> T:
        """`call`, on whichever thread is right."""

    async def run_apart(self, call: Callable[[Engine], T]) -> T:
        """`call`, where it may last without anybody waiting for it."""

    def again(self, error: SQLAlchemyError) -> bool:
        """Whether the same transaction may well succeed when it is done once more."""

    def reason(self, error: SQLAlchemyError) -> str:
        """What a person is told."""

    def close(self) -> None:
        """Let go of every connection."""


class Database:
    """The database of one installation.

    Work is a function that takes a connection; it runs in one transaction, which is committed when it returns and
    rolled back when it raises. It does nothing but SQL: on PostgreSQL it runs on another thread, and once more where
    the server undid it for the sake of another transaction.
    """

    def __init__(self, where: Path | str) -> None:
        """Opens the database, made and brought up to date where needed. With a URL it waits for the server.

        Args:
            where: a file for SQLite (0600), or a URL ``postgresql://…``.

        Raises:
            InputError: ``database_url_malformed``.
            StorageError: ``database_unreachable``, ``database_damaged``, ``database_read_only``, ``disk_full``,
                ``database_newer``, ``database_login_refused`` …
        """
        self._dialect = _dialect(where)
        try:
            with self._dialect.opening():
                self._bring_up_to_date()
        except BaseException:
            self.close()
            raise

    @property
    def shown(self) -> str:
        """The database for messages and logs: a file, or an address without its password."""
        return self._dialect.shown

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` against one consistent view. It must not write."""
        return await self._dialect.run(lambda: self._run(work, writing=False))

    async def survey(self, work: Callable[[Connection], T]) -> T:
        """As `read`, for work that goes through a great many rows: others read and write meanwhile."""
        return await self._dialect.run_apart(lambda engine: self._run(work, writing=False, engine=engine))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction. When this returns, it is on disk."""
        return await self._dialect.run(lambda: self._run(work, writing=True))

    async def remake(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which makes tables anew, in one transaction."""

        def run() -> T:
            with self._dialect.migrating():
                return self._run(work, writing=True)

        return await self._dialect.run(run)

    def close(self) -> None:
        self._dialect.close()

    def _run(self, work: Callable[[Connection], T], *, writing: bool, engine: Engine | None = None) -> T:
        begin = self._dialect.begin_write if writing else self._dialect.begin_read
        attempt = 1
        while True:
            try:
                return self._once(work, begin, engine or self._dialect.engine)
            except SQLAlchemyError as error:
                if attempt == _ATTEMPTS or not self._dialect.again(error):
                    # SQLAlchemy's own text shows statement and parameters; neither may reach a log or a screen.
                    raise StorageError(self._dialect.reason(error), file=self.shown) from None
            attempt += 1

    def _once(self, work: Callable[[Connection], T], begin: str, engine: Engine) -> T:
        with engine.connect() as connection:
            # Also a read begins its transaction by hand: two SELECTs of one `work` must see the same state.
            connection.exec_driver_sql(begin)
            try:
                result = work(connection)
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                with suppress(SQLAlchemyError):  # where the database or the connection has already undone it
                    connection.exec_driver_sql("ROLLBACK")
                raise
            return result

    def _bring_up_to_date(self) -> None:
        if self._run(self._dialect.revision, writing=False) == HEAD:
            return
        with self._dialect.migrating():
            self._run(self._make_or_migrate, writing=True)

    def _make_or_migrate(self, connection: Connection) -> None:
        alone(connection, "tables")
        revision = self._dialect.revision(connection)
        if revision is None:
            make_tables(connection)
        elif revision != HEAD:  # otherwise another process was faster
            from klucznik.storage.migrate import upgrade  # alembic is heavy and seldom needed

            upgrade(connection, from_revision=revision, file=self.shown)


def _dialect(where: Path | str) -> Dialect:
    # One of the two is imported: neither driver shall cost a user of the other anything.
    if isinstance(where, Path):
        from klucznik.storage.sqlite import Sqlite

        return Sqlite(where)
    from klucznik.storage.postgresql import Postgresql

    return Postgresql(where)


def make_tables(connection: Connection) -> None:
    """All tables as they are now, marked with their revision."""
    # Tables of the same name that are there already are another program's: nothing is mixed with them.
    metadata.create_all(connection, checkfirst=False)
    connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})

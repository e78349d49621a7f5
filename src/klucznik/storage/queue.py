"""The queue that wakes workers on PostgreSQL: Procrastinate's tables, beside ours and without weight.

A job holds the id of an issuance and nothing else. Whatever is lost here is found again in the rows (`Queue.sweep`).
Imported only where somebody orders or works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ProcrastinateException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, column, delete, exists, func, literal_column, select, table, text

from klucznik.domain.environments import Environment
from klucznik.errors import StorageError
from klucznik.storage import issuances
from klucznik.storage.database import Database
from klucznik.storage.postgresql import connection_parameters
from klucznik.storage.races import alone, alone_or_not
from klucznik.storage.schema import issuances as issuance_rows

T = TypeVar("T")

TASK = "advance"
# A dead worker's jobs are cleared away after this. Nobody waits for it: who takes over is decided by leases.
BURIED_AFTER_S = 60.0

_MIGRATIONS = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
HEAD = _MIGRATIONS[-1].name
# What was begun goes before what is new: else a dead worker's issuances would wait behind all orders.
_NEW, _BEGUN = 0, 1
# Which of Procrastinate's migrations its tables have seen: a comment on one of them, so that it goes where they go.
_MARK = "klucznik: "
_manager = JobManager(SyncPsycopgConnector())
_jobs = table("procrastinate_jobs", column("queueing_lock"), column("status"), column("scheduled_at"))
_waiting = _jobs.c.status == literal_column("'todo'")


@dataclass(frozen=True)
class Queue:
    """The jobs of one environment.

    Args:
        url: ``postgresql://…`` of the database.
    """

    database: Database
    url: str = field(repr=False)
    environment: Environment

    @property
    def name(self) -> str:
        return f"klucznik.{self.environment.value}"

    async def make_ready(self) -> None:
        """Make Procrastinate's tables, or bring them to the installed version.

        Raises:
            StorageError: ``database_newer``; ``database_occupied``: another program has such tables here.
        """
        if await self.database.read(_seen) != HEAD:
            while await self._write(self._one_step_nearer):
                pass

    async def wake(self, issuance_id: str) -> None:
        """It is due now, whenever a job for it was to run."""
        await self._put(issuance_id, timedelta(), _NEW)

    async def wake_after(self, issuance_id: str, pause: timedelta) -> None:
        """It is due in a while. Where a job for it waits already, that one stands."""
        await self._put(issuance_id, pause, _BEGUN)

    async def sweep(self, *, now: datetime, most: int) -> int:
        """Make jobs of due issuances that have none: lost ones, and those of dead workers. One worker at a time.

        Args:
            most: of them now; the others come with the next sweep.

        Returns:
            how many there were.
        """
        await self.make_ready()
        has_job = exists().where(_jobs.c.queueing_lock == issuance_rows.c.id, _waiting)

        def put(connection: Connection) -> int:
            if not alone_or_not(connection, "sweep"):
                return 0
            found = issuances.due(connection, self.environment, now=now, most=most, unless=has_job)
            if found:
                self._defer(connection, (issuance_id for issuance_id, _ in found), _BEGUN)
            return len(found)

        try:
            return await self._write(put)
        except AlreadyEnqueued:
            return 0  # somebody ordered between our look and our putting; the next sweep finds the others

    def app(self) -> App:
        """Procrastinate for a worker, with a few connections of its own."""
        parameters = connection_parameters(self.url)
        connector = PsycopgConnector(kwargs=parameters, min_size=1, max_size=4, timeout=10, configure=_in_no_hurry)
        return App(connector=connector)

    async def _put(self, issuance_id: str, pause: timedelta, priority: int) -> None:
        await self.make_ready()
        mine = (_jobs.c.queueing_lock == issuance_id) & _waiting

        def put(connection: Connection) -> None:
            # By the server's clock, which decides when a job may run.
            moment = connection.execute(select(func.clock_timestamp())).scalar_one() + pause if pause else None
            if moment is None:
                connection.execute(delete(_jobs).where(mine, _jobs.c.scheduled_at > func.now()))
            self._defer(connection, (issuance_id,), priority, moment)

        try:
            await self._write(put)
        except AlreadyEnqueued:
            return

    def _defer(
        self, connection: Connection, issuance_ids: Iterable[str], priority: int, moment: datetime | None = None
    ) -> None:
        jobs = [
            Job(
                queue=self.name,
                priority=priority,
                task_name=TASK,
                task_kwargs={"issuance": issuance_id},
                lock=None,  # one subject at a time is the leases' affair
                queueing_lock=issuance_id,
                scheduled_at=moment,
            )
            for issuance_id in issuance_ids
        ]
        _manager.batch_defer_jobs(jobs, connection=_driver(connection))

    async def _write(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self.database.write(work)
        except AlreadyEnqueued:
            raise
        except (ProcrastinateException, psycopg.Error):
            # Their own text may quote anything.
            raise StorageError("database_failed", file=self.database.shown) from None

    def _one_step_nearer(self, connection: Connection) -> bool:
        """One migration a transaction, as a new value of an enumeration cannot be used before it is committed."""
        alone(connection, "queue")
        seen = _seen(connection)
        if seen is None:
            _driver(connection).execute(_CLEAR_AWAY)
            _driver(connection).execute(SchemaManager.get_schema())
            return _saw(connection, HEAD)
        names = [migration.name for migration in _MIGRATIONS]
        if seen not in names:
            # Of two releases the later one decides; no tables without our mark are ever touched.
            reason = "database_newer" if seen else "database_occupied"
            raise StorageError(reason, file=self.database.shown, revision=seen)
        following = _MIGRATIONS[names.index(seen) + 1 :]
        if not following:
            return False  # another process was faster
        _driver(connection).execute(following[0].read_text(encoding="utf-8"))
        return _saw(connection, following[0].name)


def _driver(connection: Connection) -> Any:
    """psycopg's connection, in the transaction that SQLAlchemy's is in."""
    return connection.connection.driver_connection


def _seen(connection: Connection) -> str | None:
    """The newest migration that Procrastinate's tables have seen; "" for tables of somebody else, None for none."""
    row = connection.execute(
        text(
            "SELECT obj_description(tables.oid, 'pg_class') AS mark FROM pg_catalog.pg_class AS tables"
            " JOIN pg_catalog.pg_namespace AS schemas ON schemas.oid = tables.relnamespace"
            " WHERE schemas.nspname = current_schema() AND tables.relname = 'procrastinate_jobs'"
        )
    ).one_or_none()
    if row is None:
        return None
    return str(row.mark).removeprefix(_MARK) if str(row.mark).startswith(_MARK) else ""


def _saw(connection: Connection, migration: str) -> bool:
    """Note it; whether there are more to come."""
    _driver(connection).execute(f"COMMENT ON TABLE procrastinate_jobs IS '{_MARK}{migration}'")
    return migration != HEAD


async def _in_no_hurry(connection: psycopg.AsyncConnection[Any]) -> None:
    """What is lost with the machine is found again in the rows: no commit of the queue waits for the disk."""
    await connection.execute("SET synchronous_commit = off")
    await connection.commit()


# What is left where only the tables are gone: types and functions, which bar the way of new ones.
_CLEAR_AWAY = r"""
DO $$
DECLARE
    leftover record;
BEGIN
    FOR leftover IN
        SELECT 'TABLE' AS kind, oid::regclass::text AS name FROM pg_class
            WHERE relkind = 'r' AND relname LIKE 'procrastinate\_%' AND relnamespace = current_schema()::regnamespace
        UNION ALL
        SELECT 'ROUTINE', oid::regprocedure::text FROM pg_proc
            WHERE proname LIKE 'procrastinate\_%' AND pronamespace = current_schema()::regnamespace
        UNION ALL
        SELECT 'TYPE', pg_type.oid::regtype::text FROM pg_type LEFT JOIN pg_class ON pg_class.oid = typrelid
            WHERE typname LIKE 'procrastinate\_%' AND typnamespace = current_schema()::regnamespace
                AND (typtype = 'e' OR relkind = 'c')
    LOOP
        EXECUTE format('DROP %s IF EXISTS %s CASCADE', leftover.kind, leftover.name);
    END LOOP;
END;
$$
"""

"""Workers on one PostgreSQL, in this process: what the queue may lose, and what it may never decide.

Workers in processes of their own are in `test_workers`.
"""

import asyncio
from pathlib import Path

import pytest
from procrastinate.schema import SchemaManager
from tests.klucznik.databases import look, tell
from tests.klucznik.world import accepted, company, context_of, filed, installed, set_limits, some_nip

from klucznik.clock import SystemClock
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.waits import WaitKind
from klucznik.errors import SignatureNeeded, StorageError
from klucznik.services.advance import advance, load
from klucznik.services.distributed import DistributedEngine
from klucznik.services.engine import Engine
from klucznik.services.engines import engine_for
from klucznik.services.installation import Installation
from klucznik.services.issue import order
from klucznik.services.progress import Progress, Stage
from klucznik.storage.queue import Queue
from ksef_sandbox import Sandbox

pytestmark = pytest.mark.postgresql


async def ordered(klucznik: Installation, ksef: Sandbox) -> Issuance:
    nip = some_nip()
    found = await order(klucznik, context_of(nip), company(nip, ksef))
    assert isinstance(found, Issuance)
    return found


def jobs(home: Path) -> list[tuple[object, ...]]:
    return look(home, "SELECT args, status::text FROM procrastinate_jobs ORDER BY id")


def queue_of(klucznik: Installation) -> Queue:
    assert klucznik.server is not None
    return Queue(klucznik.database, klucznik.server, klucznik.environment)


async def test_an_order_knocks_at_once_and_tells_the_id_alone(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, ksef)
        assert jobs(tmp_path) == [({"issuance": issuance.id}, "todo")]
        engine = engine_for(klucznik)
        assert isinstance(engine, DistributedEngine)
        await engine.run_until_idle()
        assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE
    assert jobs(tmp_path) == []
    assert len(accepted(ksef, issuance.subject)) == 2


async def test_whoever_loses_the_whole_queue_loses_no_order(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        issuances = [await ordered(klucznik, ksef) for _ in range(3)]
        lose_the_queue(tmp_path)
        await engine_for(klucznik).run_until_idle()
        for issuance in issuances:
            assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE
            assert len(filed(ksef, issuance.subject)) == 2


def lose_the_queue(home: Path) -> None:
    tell(
        home,
        "DROP TABLE procrastinate_jobs, procrastinate_workers, procrastinate_events,"
        " procrastinate_periodic_defers CASCADE",
    )


async def test_a_working_worker_makes_the_queue_anew_and_hears_of_new_orders(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef, clock=SystemClock()) as klucznik:
        first = await ordered(klucznik, ksef)
        ended = Ended()
        engine = engine_for(klucznik, listener=ended)
        working = asyncio.create_task(engine.run())
        await ended.wait_for(first)
        lose_the_queue(tmp_path)
        second = await ordered(klucznik, ksef)
        await ended.wait_for(second)
        engine.stop()
        await working


async def test_a_worker_outlives_the_loss_of_all_its_connections(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with installed(tmp_path, ksef, clock=SystemClock()) as klucznik:
        ended = Ended()
        engine = engine_for(klucznik, listener=ended)
        working = asyncio.create_task(engine.run())
        await ended.wait_for(await ordered(klucznik, ksef))
        tell(
            tmp_path,
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE application_name = 'klucznik' AND pid <> pg_backend_pid()",
        )
        await ended.wait_for(await ordered(klucznik, ksef))
        engine.stop()
        await working


class Ended:
    """Hears which issuances have ended."""

    def __init__(self) -> None:
        self._ended: dict[str, asyncio.Event] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.stage is Stage.ENDED and progress.issuance is not None:
            self._event(progress.issuance.id).set()

    async def wait_for(self, issuance: Issuance) -> None:
        await asyncio.wait_for(self._event(issuance.id).wait(), 60)

    def _event(self, issuance_id: str) -> asyncio.Event:
        return self._ended.setdefault(issuance_id, asyncio.Event())


async def test_what_waits_is_knocked_for_at_its_moment_when_that_is_near(ksef: Sandbox, tmp_path: Path) -> None:
    ksef.set(enroll_delay_ms=3_600_000)
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, ksef)
        await engine_for(klucznik).run_until_idle()
        wait = (await load(klucznik, issuance.id)).wait
        assert wait is not None
        assert wait.until is not None
        ((ahead,),) = look(
            tmp_path,
            "SELECT extract(epoch FROM scheduled_at - at)::float FROM procrastinate_jobs AS jobs"
            " JOIN procrastinate_events AS events ON job_id = jobs.id AND type = 'deferred'",
        )
        assert isinstance(ahead, float)
        assert 0 < ahead <= (wait.until - wait.since).total_seconds()


async def test_what_waits_long_waits_in_its_row_alone(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    credential = company(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=0)
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await order(klucznik, context_of(nip), credential, wait_for_limits=True)
        assert isinstance(issuance, Issuance)
        await engine_for(klucznik).run_until_idle()
        wait = (await load(klucznik, issuance.id)).wait
        assert wait is not None
        assert wait.kind is WaitKind.LIMITS
        assert jobs(tmp_path) == []
        set_limits(ksef, credential.holder.signs_in_as, enrollment=12)
        ksef.advance(days=1)
        await engine_for(klucznik).run_until_idle()
        assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE


async def test_a_knock_too_early_asks_ksef_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    ksef.set(enroll_delay_ms=3_600_000)
    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, ksef)
        await engine_for(klucznik).run_until_idle()
        asked = len(ksef.requests())
        await klucznik.wake(issuance.id)
        await engine_for(klucznik).run_until_idle()
        assert len(ksef.requests()) == asked


async def test_whoever_signs_wakes_what_waits_for_a_signature(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        found = await order(klucznik, context_of(nip), company(nip, ksef))
        assert isinstance(found, Issuance)
        ksef.advance(days=8)
        with pytest.raises(SignatureNeeded):
            await advance(klucznik, found.id)
        await engine_for(klucznik).run_until_idle()
        waiting = (await load(klucznik, found.id)).wait
        assert waiting is not None
        assert waiting.kind is WaitKind.NEEDS_SIGNATURE
        await order(klucznik, context_of(nip), company(nip, ksef))
        await engine_for(klucznik).run_until_idle()
        assert (await load(klucznik, found.id)).state is IssuanceState.DONE


async def test_a_surprise_is_met_again_only_after_a_minute(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    surprised: list[Progress] = []

    def surprise(progress: Progress) -> None:
        if progress.limits is not None:
            surprised.append(progress)
            raise ValueError("a text with a secret in it")

    async with installed(tmp_path, ksef) as klucznik:
        issuance = await ordered(klucznik, ksef)
        for _ in range(3):
            await engine_for(klucznik, listener=surprise).run_until_idle()
        assert len(surprised) == 1
        assert "secret" not in caplog.text
        await klucznik.wake(issuance.id)
        await engine_for(klucznik).run_until_idle()
        assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE


async def test_jobs_of_a_dead_worker_are_cleared_away(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        await ordered(klucznik, ksef)
        tell(
            tmp_path,
            """
            INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '5 minutes');
            UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)
        """,
        )
        await engine_for(klucznik).run_until_idle()
    assert jobs(tmp_path) == []
    assert look(tmp_path, "SELECT * FROM procrastinate_workers") == []


async def test_an_engine_that_is_stopped_leaves_the_rest_to_others(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef, clock=SystemClock()) as klucznik:
        issuance = await ordered(klucznik, ksef)

        def stop_after_the_first_request(progress: Progress) -> None:
            if progress.stage is Stage.REQUEST_FILED:
                engine.stop()

        engine = engine_for(klucznik, listener=stop_after_the_first_request)
        await asyncio.wait_for(engine.run(), 20)
        stopped = await load(klucznik, issuance.id)
        assert (stopped.state, stopped.wait) == (IssuanceState.UNDERWAY, None)
        assert len(filed(ksef, issuance.subject)) == 1
        await engine_for(klucznik).run_until_idle()
        assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE
    assert len(accepted(ksef, issuance.subject)) == 2


async def test_an_order_stands_where_no_worker_can_be_told(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        tell(tmp_path, "CREATE TABLE procrastinate_jobs (another_program_s text)")
        issuance = await ordered(klucznik, ksef)
        assert "database_occupied" in caplog.text
        await Engine(klucznik).run_until_idle()
        assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE


# ── Procrastinate's tables ───────────────────────────────────────────────────────────────────────────────────────────


def shape_of(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Columns, indexes, functions, triggers and enumerations of the queue, however they came about."""
    return {
        "columns": look(
            home,
            "SELECT table_name, column_name, data_type, is_nullable, column_default"
            " FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND table_name LIKE 'procrastinate%' ORDER BY 1, 2",
        ),
        "indexes": look(
            home,
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
            " AND tablename LIKE 'procrastinate%' ORDER BY 1",
        ),
        "functions": look(
            home,
            "SELECT proname, pg_get_function_arguments(oid) FROM pg_proc"
            " WHERE proname LIKE 'procrastinate%' AND pronamespace = current_schema()::regnamespace ORDER BY 1, 2",
        ),
        "values": look(
            home,
            "SELECT typname, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid"
            " WHERE typnamespace = current_schema()::regnamespace ORDER BY 1, 2",
        ),
        "mark": look(
            home,
            "SELECT obj_description('procrastinate_jobs'::regclass)",
        ),
    }


async def test_the_queue_of_an_older_release_is_brought_up_to_date(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path / "new", ksef) as klucznik:
        await queue_of(klucznik).make_ready()
    async with installed(tmp_path / "old", ksef) as klucznik:
        older = [file for file in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")) if file.name < "03"]
        for migration in older:
            tell(tmp_path / "old", migration.read_text())
        tell(tmp_path / "old", f"COMMENT ON TABLE procrastinate_jobs IS 'klucznik: {older[-1].name}'")
        await asyncio.gather(*(queue_of(klucznik).make_ready() for _ in range(3)))
        assert shape_of(tmp_path / "old") == shape_of(tmp_path / "new")
        issuance = await ordered(klucznik, ksef)
        await engine_for(klucznik).run_until_idle()
        assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE


@pytest.mark.parametrize(
    ("mark", "reason"), [(None, "database_occupied"), ("klucznik: 99.00.00_01_later.sql", "database_newer")]
)
async def test_a_queue_that_is_not_ours_or_of_a_later_release_is_left_alone(
    mark: str | None, reason: str, ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        tell(tmp_path, "CREATE TABLE procrastinate_jobs (id int)")
        if mark is not None:
            tell(tmp_path, f"COMMENT ON TABLE procrastinate_jobs IS '{mark}'")
        with pytest.raises(StorageError) as caught:
            await engine_for(klucznik).run_until_idle()
        assert caught.value.reason == reason
    assert look(tmp_path, "TABLE procrastinate_jobs") == []

"""The tests' own PostgreSQL: empty databases, no traces, no server left behind."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import needs
from tests.postgresql import Cluster, running

ROOT = Path(__file__).resolve().parents[2]
HOLDS_A_SERVER = """
import sys
from pathlib import Path
from tests.postgresql import running
with running(Path(sys.argv[1])) as cluster:
    print(cluster.directory, flush=True)
    sys.stdin.read()
"""


def test_a_fresh_database_is_empty_and_apart_from_every_other(postgresql: Cluster) -> None:
    with postgresql.fresh_database() as one, postgresql.fresh_database() as other:
        postgresql.sql("CREATE TABLE kept (id int)", address=one)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert postgresql.sql(tables, address=one) == "1"
        assert postgresql.sql(tables, address=other) == "0"


def test_the_database_of_a_failed_test_is_dropped_while_someone_is_connected(postgresql: Cluster) -> None:
    left_open: list[subprocess.Popen[bytes]] = []

    def fail() -> None:
        with postgresql.fresh_database() as address:
            session = subprocess.Popen(
                [postgresql.programs / "psql", "-Xqc", "SELECT pg_sleep(600)", address], stderr=subprocess.DEVNULL
            )
            left_open.append(session)
            while postgresql.sql("SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'fresh_%'") == "0":
                assert session.poll() is None
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert left_open[0].wait(timeout=30) != 0
    assert postgresql.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'fresh_%'") == "0"


def test_the_fixture_gives_a_database(database: str, postgresql: Cluster) -> None:
    assert postgresql.sql("SELECT current_database(), version()", address=database).startswith("fresh_")


def test_the_server_waits_for_the_disk_only_when_asked(postgresql: Cluster) -> None:
    assert postgresql.sql("SHOW fsync") == "off"
    with running(needs.postgresql(), durable=True) as durable:
        assert durable.sql("SHOW fsync") == "on"
    assert not durable.directory.exists()


def test_a_killed_test_process_takes_its_server_along() -> None:
    command: list[str | Path] = [sys.executable, "-c", HOLDS_A_SERVER, needs.postgresql()]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        directory = Path(holder.stdout.readline().strip())
        its_mark = directory / "data" / "postmaster.pid"
        assert its_mark.exists()
        holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while its_mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    shutil.rmtree(directory)

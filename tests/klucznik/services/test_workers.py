"""`klucznik worker` and `klucznik issue` in processes of their own: many at once, killed, frozen, told to stop."""

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from tests.klucznik import workers
from tests.klucznik.databases import look
from tests.klucznik.workers import BUSY, carry_out, order_some, program, until
from tests.klucznik.world import accepted, filed, installed, set_limits, some_nip

from klucznik.clock import SystemClock
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.issuance import IssuanceState
from klucznik.keys.test_credential import write_test_credential
from klucznik.services.advance import load
from ksef_sandbox import Sandbox


@pytest.mark.postgresql
async def test_three_workers_share_thirty_orders_though_one_is_killed_and_one_frozen(tmp_path: Path) -> None:
    with Sandbox(switches=BUSY) as ksef:
        report = await carry_out(tmp_path, ksef, issuances=30, freeze_s=0, at_once=4)
    print(report.table())
    assert (report.done, report.requests, report.doubled) == (30, 60, 0)
    assert all(report.held.values())
    # Somebody took over from the dead one, and from the frozen one while it was still asleep.
    assert set(report.takeover_s) == {"killed", "frozen"}
    assert report.stopped == (0, 0)


async def test_a_worker_that_is_told_to_stop_ends_its_step_and_gives_back_what_it_held(tmp_path: Path) -> None:
    with Sandbox(switches=BUSY) as ksef:
        async with installed(tmp_path, ksef, clock=SystemClock()) as klucznik:
            (issuance,) = await order_some(klucznik, ksef, 1)
        async with workers.workers(tmp_path, ksef.base_url, 1, at_once=1) as (worker,):
            await until(lambda: bool(filed(ksef, issuance.subject)))
            worker.send(signal.SIGTERM)
            assert await worker.process.wait() == 0
        assert look(tmp_path, "SELECT owner FROM leases") == [("",)]
        async with workers.workers(tmp_path, ksef.base_url, 1, at_once=1) as (worker,):
            await until(lambda: workers.ended(tmp_path) == 1)
        async with installed(tmp_path, ksef, clock=SystemClock()) as klucznik:
            assert (await load(klucznik, issuance.id)).state is IssuanceState.DONE
        assert len(accepted(ksef, issuance.subject)) == 2


async def test_a_worker_that_is_told_twice_does_not_wait_for_ksef(tmp_path: Path) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()  # until the client has gone
        gone.set()
        writer.close()

    with Sandbox(switches=BUSY) as ksef:
        async with installed(tmp_path, ksef, clock=SystemClock()) as klucznik:
            (issuance,) = await order_some(klucznik, ksef, 1)
        server = await asyncio.start_server(never_answers, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2"
        async with workers.workers(tmp_path, url, 1, at_once=1) as (worker,):
            await asyncio.wait_for(asked.wait(), 60)
            worker.send(signal.SIGTERM)
            worker.send(signal.SIGINT)
            assert await worker.process.wait() == 0
        server.close()
        async with installed(tmp_path, ksef, clock=SystemClock()) as klucznik:
            # Had it waited, the row would say that KSeF does not answer.
            assert (await load(klucznik, issuance.id)).wait is None
    assert look(tmp_path, "SELECT owner FROM leases") == [("",)]


async def test_four_processes_that_want_the_last_two_requests_make_one_pair(tmp_path: Path) -> None:
    nip = some_nip()
    subject = Subject(SubjectType.NIP, nip)
    with Sandbox(switches=BUSY) as ksef:
        set_limits(ksef, subject, enrollment=2)
        made = write_test_credential(tmp_path / "papers", subject, now=ksef.now())
        line = [
            "issue",
            "--nip",
            nip,
            "--cert",
            str(made.certificate_file),
            "--key",
            str(made.key_file),
            "--json",
            "--another-pair",
        ]
        processes = [await program(tmp_path, ksef.base_url, *line) for _ in range(4)]
        answers = [json.loads((await process.communicate())[0]) for process in processes]
        assert Counter(answer["outcome"] for answer in answers) == {"issued": 1, "refused": 3}
        assert [call.status for call in filed(ksef, subject)] == [202, 202]

"""A real process is killed with SIGKILL at every act of the road; others go on. A sample of `make crash`.

Each time there is a whole pair in the end, KSeF has received two requests, and every key is in the vault.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.klucznik.crashes.runs import Case, Scene, Stage, forking
from tests.klucznik.databases import SERVER, database_url
from tests.klucznik.services import issuing_process
from tests.klucznik.world import QUICK, context_of, filed, installed, some_nip

from klucznik.clock import SystemClock
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.keys.test_credential import write_test_credential
from klucznik.services.issue import AlreadyHeld, issue
from ksef_sandbox import Sandbox

# On PostgreSQL this part of the acts: what differs there is the database, and it has tests of its own.
EVERY = 10


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Sandbox(switches=QUICK) as ksef:
        yield Stage(ksef, forking(), os.environ.get(SERVER))


@pytest.fixture(scope="module")
def acts(stage: Stage) -> dict[str, tuple[Scene, ...]]:
    return stage.survey(paces=[(0, 0)])


def test_the_acts_are_named_by_the_run_itself(acts: dict[str, tuple[Scene, ...]]) -> None:
    assert len(acts) >= 80
    for act in (
        "before commit: issuance new, login new",
        "after commit: Authentication enrollment key_committed → sending",
        "before send: POST /certificates/enrollments (Offline)",
        "after send: POST /certificates/enrollments (Authentication)",
        "before receive: GET /auth/{…}",
        "after receive: POST /certificates/retrieve",
        "after commit: issuance underway → done, login removed",
        "before commit: lease given back",
    ):
        assert act in acts, sorted(acts)


@pytest.mark.parametrize("part", range(4))
def test_a_killed_process_loses_no_key_and_files_no_second_request(
    part: int, stage: Stage, acts: dict[str, tuple[Scene, ...]]
) -> None:
    chosen = sorted(acts)[part :: 4 if SERVER not in os.environ else 4 * EVERY]
    results = {act: stage.run(Case(act, acts[act], seed=part)) for act in chosen}
    assert {act: result for act, result in results.items() if not result.good} == {}
    not_reached = sum(not result.killed for result in results.values())
    assert not_reached <= max(1, len(results) // 10), "the acts of a run are those of the survey"


async def test_rule_4_two_processes_that_start_together_make_one_pair(tmp_path: Path) -> None:
    nip = some_nip()
    subject = Subject(SubjectType.NIP, nip)
    with Sandbox(switches=QUICK) as ksef:
        write_test_credential(tmp_path / "papers", subject, now=ksef.now())
        home = tmp_path / "home"
        arguments = [str(home), database_url(home) or "", ksef.base_url, nip, str(tmp_path / "papers")]
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, issuing_process.__file__, *arguments) for _ in range(2)
        ]
        assert [await process.wait() for process in processes] == [0, 0]
        async with installed(tmp_path / "home", ksef, clock=SystemClock()) as klucznik:
            held = await issue(klucznik, context_of(nip), None)
        assert isinstance(held, AlreadyHeld)
        assert len(filed(ksef, subject)) == 2

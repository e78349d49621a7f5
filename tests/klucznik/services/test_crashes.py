"""A real process is killed with SIGKILL in the middle of an issuance; the same order is given again.

Each time there is a whole pair in the end, KSeF has received two requests, and every key is in the vault.
"""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from tests.klucznik.databases import database_url
from tests.klucznik.services import dying_process
from tests.klucznik.world import QUICK, assert_key_kept, context_of, filed, installed, some_nip

from klucznik.clock import SystemClock
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.keys.credential import load_credential
from klucznik.keys.test_credential import write_test_credential
from klucznik.services.issue import AlreadyHeld, Issued, issue
from klucznik.services.road import LEASE_LASTS
from ksef_sandbox import Sandbox


@pytest.mark.parametrize("moment", dying_process.MOMENTS)
async def test_a_killed_process_loses_no_key_and_files_no_second_request(moment: str, tmp_path: Path) -> None:
    nip = some_nip()
    subject = Subject(SubjectType.NIP, nip)
    home, papers = tmp_path / "home", tmp_path / "papers"
    with Sandbox(switches=QUICK) as ksef:
        made = write_test_credential(papers, subject, now=ksef.now())
        script = [sys.executable, dying_process.__file__, str(home), database_url(home) or ""]
        script += [ksef.base_url, nip, str(papers), moment]
        process = await asyncio.create_subprocess_exec(*script)
        assert await process.wait() == -signal.SIGKILL
        ksef.advance(seconds=LEASE_LASTS.total_seconds())  # nobody gives the lease of the dead back
        credential = load_credential(cert=made.certificate_file, key=made.key_file, password=None, now=ksef.now())
        async with installed(home, ksef) as klucznik:
            outcome = await issue(klucznik, context_of(nip), credential)
            assert isinstance(outcome, Issued | AlreadyHeld)
            assert [held.type.value for held in outcome.certificates] == ["Authentication", "Offline"]
            for held in outcome.certificates:
                assert held.verified_at is not None
                await assert_key_kept(klucznik, held.der, held.key_id)
        assert [call.status for call in filed(ksef, subject)] == [202, 202]


async def test_rule_4_two_processes_that_start_together_make_one_pair(tmp_path: Path) -> None:
    nip = some_nip()
    subject = Subject(SubjectType.NIP, nip)
    with Sandbox(switches=QUICK) as ksef:
        write_test_credential(tmp_path / "papers", subject, now=ksef.now())
        home = tmp_path / "home"
        arguments = [str(home), database_url(home) or "", ksef.base_url, nip, str(tmp_path / "papers"), "never"]
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, dying_process.__file__, *arguments) for _ in range(2)
        ]
        assert [await process.wait() for process in processes] == [0, 0]
        async with installed(tmp_path / "home", ksef, clock=SystemClock()) as klucznik:
            held = await issue(klucznik, context_of(nip), None)
        assert isinstance(held, AlreadyHeld)
        assert len(filed(ksef, subject)) == 2

"""State on a file: what survives a restart and a kill, and what a file must be (`--state`)."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.sandbox.conftest import NO_DELAYS
from tests.sandbox.driver import Driver, Session, code_of
from tests.sandbox.signing import TestCredential, make_person, make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.store import StoreError

NIP, PESEL = "5265877635", "80010112345"
SEAL = make_seal(nip=NIP)


@contextmanager
def sandbox(path: Path, **switches: int) -> Iterator[tuple[Sandbox, Driver]]:
    with Sandbox(state=path, seed=1, switches={**NO_DELAYS, **switches}) as ksef:
        driver = Driver(ksef.base_url)
        with driver.http:
            yield ksef, driver


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    key = ec.generate_private_key(ec.SECP256R1())
    with sandbox(path) as (ksef, driver):
        ksef.link_person(nip=NIP, pesel=PESEL)
        ksef.set_limits("Nip", NIP, enrollment=5, certificate=4)
        session = driver.sign_in(SEAL, nip=NIP)
        issued = TestCredential(session.retrieve(session.issue(key=key)), key)
        revoked = session.issue()
        session.post(f"/certificates/{revoked}/revoke", {})
        ksef.set(enroll_delay_ms=3_600_000)
        pending = session.enroll()
        challenge = driver.challenge()
        ksef.advance(minutes=5)
        before, authority, now = session.listed(), ksef.ca_certificate, ksef.now()
    with sandbox(path) as (ksef, driver):
        assert ksef.ca_certificate == authority
        assert timedelta() <= ksef.now() - now < timedelta(minutes=1)
        session = taken_up(driver, session)
        assert session.listed() == before
        assert session.limits() == (2, 3)
        assert session.status(pending)["status"]["code"] == 100
        assert driver.submit(issued, nip=NIP, challenge=challenge).status_code == 202
        assert driver.status_code(make_person(pesel=PESEL), nip=NIP) == 200
        ksef.advance(hours=1)
        assert driver.sign_in(SEAL, nip=NIP).status(pending)["status"]["code"] == 200


def test_a_seeded_restart_repeats_no_number(tmp_path: Path) -> None:
    path, seen = tmp_path / "state.db", []
    for _ in range(3):
        with sandbox(path) as (_, driver):
            seen.append(driver.challenge()[12:])
    assert len(set(seen)) == 3


def test_reset_empties_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sandbox(path) as (ksef, driver):
        driver.sign_in(SEAL, nip=NIP).issue()
        authority = ksef.ca_certificate
        ksef.reset()
    with sandbox(path) as (ksef, driver):
        assert driver.sign_in(SEAL, nip=NIP).limits() == (300, 100)
        assert ksef.ca_certificate == authority


@contextmanager
def process(path: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Driver]]:
    """The real command in a process of its own, and a client of it."""
    command = [sys.executable, "-c", "from ksef_sandbox.cli import main; main()", "--port", "0", "--json"]
    switches = [text for name, value in NO_DELAYS.items() for text in ("--set", f"{name}={value}")]
    command += ["--state", str(path), *switches, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        try:
            driver = Driver(json.loads(run.stdout.readline())["base_url"])
            with driver.http:
                yield run, driver
        finally:
            run.kill()


def kill(run: subprocess.Popen[str]) -> None:
    os.kill(run.pid, signal.SIGKILL)
    run.wait()


def taken_up(driver: Driver, session: Session) -> Session:
    """The same signed-in client, talking to the sandbox that came after."""
    return Session(driver.http, session.access, session.refresh, session.reference)


def test_a_kill_after_the_202_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    key = ec.generate_private_key(ec.SECP256R1())
    with process(path, "--set", "enroll_delay_ms=300000") as (run, driver):
        session = driver.sign_in(SEAL, nip=NIP)
        enrolled = session.enroll(key=key)
        kill(run)
    with process(path) as (_, driver):
        session = taken_up(driver, session)
        assert session.status(enrolled)["status"]["code"] == 100
        assert session.limits() == (299, 100)
        management = str(driver.http.base_url).removesuffix("/v2/") + "/sandbox/clock"
        httpx.post(management, json={"advance_seconds": 300}, trust_env=False)
        serial = session.status(enrolled)["certificateSerialNumber"]
        assert session.retrieve(serial).public_key() == key.public_key()


def test_a_kill_after_a_refused_csr_keeps_it_counted(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with process(path) as (run, driver):
        session = driver.sign_in(SEAL, nip=NIP)
        assert code_of(session.enroll(csr="AAAA")) == 25004
        kill(run)
    with process(path, "--set", "count_sync_rejected=true") as (_, driver):
        assert taken_up(driver, session).limits() == (299, 100)


def test_one_file_serves_one_sandbox(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sandbox(path), pytest.raises(StoreError, match="locked"):
        Sandbox(state=path).start()


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE precious (value TEXT)")
    other.close()
    with pytest.raises(StoreError, match="not written by this version"):
        Sandbox(state=path).start()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        Sandbox(state=path).start()
    with pytest.raises(StoreError, match="cannot be used"):
        Sandbox(state=tmp_path / "missing" / "state.db").start()


def test_the_state_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sandbox(path):
        assert path.stat().st_mode & 0o077 == 0

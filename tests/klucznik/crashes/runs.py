"""One run: a process is killed at a named act, others go on, and KSeF is asked what there is in the end.

What a run is like beyond its act (delays, windows, how often the act has happened, who goes on) comes from its seed.
"""

import asyncio
import multiprocessing
import random
import secrets
import shutil
import signal
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path

import httpx
import psycopg
from tests.klucznik.crashes.process import ROUNDS, Deed, Place, Story, carry_out, take_on
from tests.klucznik.databases import schema_url
from tests.klucznik.world import (
    QUICK,
    SandboxClock,
    accepted,
    assert_key_kept,
    some_nip,
)

from klucznik.domain.certificates import CertificateType
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.errors import KlucznikError
from klucznik.keys.test_credential import write_test_credential
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.issue import AlreadyHeld, Issued, Outcome, issue
from klucznik.services.revoke import revoke
from klucznik.services.road import LEASE_LASTS
from klucznik.storage import certificates
from ksef_sandbox import Sandbox

# Milliseconds that a sign-in and a request take; each is surveyed, because waiting has acts of its own.
PACES = ((0, 0), (300, 300), (300, 5_000), (0, 60_000))
# What the product imports only when it needs it, and would cost each process a tenth of a second.
_LAZY = (
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "concurrent.futures.thread",
    "cryptography.hazmat.backends.openssl.backend",
    "encodings.idna",
    "h11",
    "httpcore",
    "klucznik.storage.paces_postgresql",
    "klucznik.storage.sqlite",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
)
# Where there is one: the kernel outlives a killed process, so what is written need not reach a disk.
_MEMORY = Path("/dev/shm")  # noqa: S108
WINDOWS = ("rolling", "fixed_from_first", "until_30d_after_last", "lifetime")


def forking() -> ForkServerContext:
    """Processes that begin as copies of one which has imported everything and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *_LAZY])
    return context


@dataclass(frozen=True)
class Scene:
    """In which story, at which pace an act happens, and how many times."""

    story: Story
    pace: tuple[int, int]
    times: int


@dataclass(frozen=True)
class Case:
    act: str
    scenes: tuple[Scene, ...]
    seed: int


@dataclass(frozen=True)
class Result:
    """What one run has come to.

    Attributes:
        killed: whether the process was killed at the act; otherwise it had no such act this time.
        keys_lost: certificates that KSeF has issued and the vault cannot use, or has not proved.
        extra: requests that KSeF has accepted beyond those that the pair needs.
        incomplete: why there is no whole pair in the end; None: there is one.
    """

    killed: bool
    keys_lost: int = 0
    extra: int = 0
    incomplete: str | None = None

    @property
    def good(self) -> bool:
        return not (self.keys_lost or self.extra or self.incomplete)


class Stage:
    """One KSeF and one way to keep rows, on which runs take place one after the other."""

    def __init__(self, ksef: Sandbox, context: ForkServerContext, server: str | None) -> None:
        self._ksef = ksef
        self._context = context
        self._server = server
        self._schema = f"crash_{secrets.token_hex(8)}"  # one for all runs: making its tables costs as much as a run

    def survey(self, paces: Sequence[tuple[int, int]] = PACES) -> dict[str, tuple[Scene, ...]]:
        """Every act there is, and where it happens."""
        found = defaultdict[str, list[Scene]](list)
        for story in Story:
            for pace in paces:
                for act, times in self._acts_of(story, pace).items():
                    found[act].append(Scene(story, pace, times))
        return {act: tuple(scenes) for act, scenes in found.items()}

    def _acts_of(self, story: Story, pace: tuple[int, int]) -> Counter[str]:
        with self._place() as place:
            told = place.papers / "acts"
            self._prepare(story, pace, place)
            ended = carry_out(self._context, replace(self._deed(place, story), told=told))
            assert ended == 0, f"{story} at {pace} ended with {ended}"
            return Counter(told.read_text().splitlines())

    def run(self, case: Case) -> Result:
        chance = random.Random(f"{case.act} {case.seed}")
        scene = chance.choice(case.scenes)
        with self._place() as place:
            self._prepare(scene.story, scene.pace, place, chance)
            deed = replace(self._deed(place, scene.story), act=case.act, nth=chance.randint(1, scene.times))
            ended = carry_out(self._context, deed)
            if ended not in (0, -signal.SIGKILL):
                return Result(False, incomplete=f"{scene.story}: ended with {ended}")
            self._others_go_on(place, chance)
            found = asyncio.run(self._outcome(place, expected=3 if scene.story is Story.HALF else 2))
            return replace(found, killed=ended != 0)

    # ── before ───────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _place(self) -> Iterator[Place]:
        directory = Path(tempfile.mkdtemp(prefix="klucznik-crash-", dir=_MEMORY if _MEMORY.is_dir() else None))
        nip, papers = some_nip(), directory / "papers"
        write_test_credential(papers, Subject(SubjectType.NIP, nip), now=self._ksef.now())
        url = None if self._server is None else schema_url(self._server, self._schema)
        clock = f"{self._ksef.management_url}/clock"
        self._ksef.clear_requests()
        try:
            yield Place(directory / "home", url, self._ksef.base_url, clock, nip, papers)
        finally:
            shutil.rmtree(directory)
            if url is not None:
                _empty(url)

    def _prepare(self, story: Story, pace: tuple[int, int], place: Place, chance: random.Random | None = None) -> None:
        # The real time of the machine: certificates of two years must not run out over thousands of runs.
        self._ksef.set_now(datetime.now(UTC))
        self._ksef.set(**QUICK)
        if story is Story.HALF:
            asyncio.run(self._half_a_pair(place))
        self._ksef.set(auth_delay_ms=pace[0], enroll_delay_ms=pace[1])
        if chance is not None:
            window, reserved = chance.choice(WINDOWS), chance.choice([True, False])
            self._ksef.set(enrollment_window=window, pending_reserves_slot=reserved)
            if chance.choice([True, False]):  # not one request or certificate more than it takes
                needed = 3 if story is Story.HALF else 2
                self._ksef.set_limits("Nip", place.nip, enrollment=needed, certificate=2)

    async def _half_a_pair(self, place: Place) -> None:
        async with await self._installed(place) as klucznik:
            credential = place.credential(klucznik.clock.now())
            outcome = await issue(klucznik, place.context, credential)
            assert isinstance(outcome, Issued)
            offline = next(held for held in outcome.certificates if held.type is CertificateType.OFFLINE)
            await revoke(klucznik, place.context, offline.serial_number, credential, confirm=lambda _: True)

    def _deed(self, place: Place, story: Story | None) -> Deed:
        return Deed(place, story, self._ksef.now() - datetime.now(UTC))

    # ── after ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _others_go_on(self, place: Place, chance: random.Random) -> None:
        """Workers in other processes, of which some are killed too; or nobody, until the user comes back."""
        if chance.choice([True, False]):  # otherwise whoever comes next finds the lease of the dead
            self._ksef.advance(seconds=LEASE_LASTS.total_seconds() + chance.randint(0, 600))
        for _ in range(chance.choice([0, 0, 1, 1, 2])):
            most = chance.choice([None, chance.randint(1, 60)])
            carry_out(self._context, replace(self._deed(place, None), most=most))

    async def _outcome(self, place: Place, *, expected: int) -> Result:
        """The user gives the order again until it is carried out; then KSeF is asked."""
        subject = Subject(SubjectType.NIP, place.nip)
        async with await self._installed(place) as klucznik:
            incomplete = await self._order_again(klucznik, place)
            if broken := (await audit.verify(klucznik)).broken:
                incomplete = f"the audit log is broken: {broken}"
            held = {
                certificate.serial_number: certificate
                for certificate in await klucznik.database.read(
                    lambda connection: certificates.of_subject(connection, klucznik.environment, subject)
                )
            }
            lost = 0
            for serial_number in await self._issued_by_ksef(place.nip):
                try:
                    ours = held[serial_number]
                    await assert_key_kept(klucznik, ours.der, ours.key_id)
                    lost += ours.verified_at is None
                except (KeyError, AssertionError, KlucznikError):
                    lost += 1
        return Result(True, lost, max(0, len(accepted(self._ksef, subject)) - expected), incomplete)

    async def _order_again(self, klucznik: Installation, place: Place) -> str | None:
        outcome: Outcome | KlucznikError | None = None
        for _ in range(ROUNDS):
            try:
                outcome = await issue(klucznik, place.context, place.credential(klucznik.clock.now()))
            except KlucznikError as error:
                outcome = error
                await klucznik.clock.sleep(60)
                await take_on(klucznik, place)
                continue
            if isinstance(outcome, AlreadyHeld):
                return None if len(outcome.certificates) == len(CertificateType) else f"only {outcome.certificates}"
            if not isinstance(outcome, Issued):
                break
        return f"{type(outcome).__name__}: {outcome}"

    async def _issued_by_ksef(self, nip: str) -> list[str]:
        """Serial numbers of all certificates that KSeF lists for the company, whatever has become of them."""
        token = self._ksef.access_token(nip=nip)
        async with httpx.AsyncClient(base_url=self._ksef.base_url, trust_env=False, verify=False) as http:  # noqa: S501
            answer = await http.post(
                "/certificates/query", json={}, headers={"Authorization": f"Bearer {token}"}, params={"pageSize": 50}
            )
        listed = answer.raise_for_status().json()["certificates"]
        return [certificate["certificateSerialNumber"] for certificate in listed]

    async def _installed(self, place: Place) -> Installation:
        clock = SandboxClock(self._ksef)
        return await Installation.open(
            place.home, database_url=place.database_url, ksef_url=place.ksef_url, clock=clock
        )


def _empty(url: str) -> None:
    """The tables of the schema stay, without their rows."""
    found = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'alembic_version'"
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")  # in any order
        for (table,) in connection.execute(found).fetchall():
            connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608 - our own names

"""The whole road against a KSeF in memory, in stories that chance tells: lost answers, crashes at any act, tasks that
are cancelled at any await, two workers, other programs that spend the same limits, time that jumps, every window rule.

What must hold is asked after each step, of KSeF's own records and of the rows, not of what the road says it did. More
stories than the tests try:  python -m tests.klucznik.services.test_road_model 1000
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, select
from tests.klucznik.mishaps import (
    FILING,
    Mishap,
    answer_cut,
    answer_lost,
    answer_too_late,
    error_after,
    error_before,
    not_connected,
    paced,
    refused,
    reset_before,
)
from tests.klucznik.power import Power, PoweredDatabase, PowerLoss
from tests.klucznik.world import QUICK, some_nip

from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, IssuanceState
from klucznik.domain.waits import WaitKind
from klucznik.errors import KlucznikError
from klucznik.keys.credential import Credential, load_credential
from klucznik.keys.test_credential import write_test_credential
from klucznik.services.advance import advance
from klucznik.services.cancel import cancel
from klucznik.services.installation import Installation
from klucznik.services.issue import issue, order
from klucznik.services.road import LEASE_LASTS, LIMITS_STAY_FRESH
from klucznik.services.sign_in import unsealed
from klucznik.storage import certificates, issuances
from klucznik.storage.schema import enrollments as enrollment_rows
from klucznik.storage.schema import leases as lease_rows
from ksef_sandbox import enrollments as ksef_enrollments
from ksef_sandbox import testdata
from ksef_sandbox.app import create_app
from ksef_sandbox.faults.hook import FaultHook
from ksef_sandbox.faults.rules import Cancelled, Rejected, Rule
from ksef_sandbox.identity import Identity, IdentityType
from ksef_sandbox.management import quick_sessions
from ksef_sandbox.records import Enrollment as Request
from ksef_sandbox.state import World
from ksef_sandbox.switches import Switches

pytestmark = pytest.mark.sqlite

T = TypeVar("T")

WINDOWS = ("rolling", "fixed_from_first", "until_30d_after_last", "lifetime")
SOME_CALLS = (FILING, FILING, FILING, "GET .*", "POST .*")
HAPPENS: dict[str, Callable[..., Any]] = {
    "answer lost": answer_lost,
    "answer too late": answer_too_late,
    "answer cut": answer_cut,
    "error after": error_after,
    "error before": error_before,
    "reset before": reset_before,
    "not connected": not_connected,
    "paced for a moment": paced(1),
    "paced": paced(5),
    "paced long": paced(3000),
    "refused": refused(25006),
}
# Which request, what happens to it, and to which of them.
A_MISHAP = st.tuples(st.sampled_from(SOME_CALLS), st.sampled_from(sorted(HAPPENS)), st.integers(1, 2))
_BY_ANOTHER_PROGRAM = "Inny program"


@dataclass
class ModelClock:
    """KSeF's own clock; whoever waits moves it on."""

    world: World
    wire: "Wire"

    def now(self) -> datetime:
        return self.world.clock.now()

    async def sleep(self, seconds: float) -> None:
        self.world.clock.advance(timedelta(seconds=seconds))
        self.wire.waited_until = self.now()
        await asyncio.sleep(0)


@dataclass
class RoadClock(ModelClock):
    """The same for the road. After a wait of the road, unlike after a pause between two calls, limits are read anew."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.wire.limits_read = None


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """The way from one worker to KSeF. What must hold at the moment of a request is asked here."""

    model: "Model"
    worker: int
    power: Power | None = None
    limits_read: tuple[datetime, dict[str, Any]] | None = None
    filed_since: int = 0
    waited_until: datetime | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.power is not None:
            self.power.spend()
        filing = (request.method, request.url.path) == ("POST", "/v2/certificates/enrollments")
        if filing:
            await self.model.check_filing(self, json.loads(request.content))
        for mishap in list(self.model.mishaps):
            if mishap.strikes(request):
                self.model.mishaps.remove(mishap)
                return await mishap.act(request, self._ask)
        response = await self._ask(request)
        if request.url.path.endswith("/certificates/limits") and response.status_code == 200:
            self.limits_read, self.filed_since = (self.model.now, json.loads(response.content)), 0
        self.filed_since += filing and response.status_code == 202
        return response

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        response = await self.model.ksef.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)


@dataclass
class Worker:
    """One process: its installation and its way to KSeF."""

    wire: Wire
    installation: Installation


@dataclass
class Model:
    """One company, one KSeF, two workers on one home."""

    home: Path
    world: World
    ksef: httpx.ASGITransport
    nip: str
    credential: Credential
    workers: list[Worker] = field(default_factory=list)
    mishaps: list[Mishap] = field(default_factory=list)

    @classmethod
    async def build(cls, switches: dict[str, bool | int | str], enrollment: int, certificate: int) -> "Model":
        chosen = Switches()
        chosen.set_all({**QUICK, **switches})
        world = World(switches=chosen)
        home = Path(tempfile.mkdtemp(prefix="klucznik-model-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))  # noqa: S108
        nip = some_nip()
        made = write_test_credential(home / "papers", Subject(SubjectType.NIP, nip), now=world.clock.now())
        credential = load_credential(
            cert=made.certificate_file, key=made.key_file, password=None, now=world.clock.now()
        )
        app = create_app(world, (FaultHook(world.faults),))
        model = cls(home, world, httpx.ASGITransport(app), nip, credential)
        testdata.set_limits(world, model.identity, enrollment=enrollment, certificate=certificate)
        for number in range(2):
            model.workers.append(await model.worker(number))
        return model

    async def worker(self, number: int) -> Worker:
        wire = Wire(self, number)
        opened = await Installation.open(
            self.home, ksef_url="http://127.0.0.1:9/v2", clock=ModelClock(self.world, wire), transport=wire
        )
        return Worker(wire, replace(opened, clock=RoadClock(self.world, wire)))

    async def close(self) -> None:
        for worker in self.workers:
            await worker.installation.aclose()
        self.world.close()
        shutil.rmtree(self.home)

    # ── what there is ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    @property
    def identity(self) -> Identity:
        return Identity(IdentityType.NIP, self.nip)

    @property
    def subject(self) -> Subject:
        return Subject(SubjectType.NIP, self.nip)

    @property
    def context(self) -> Context:
        return Context.of_nip(self.nip)

    @property
    def klucznik(self) -> Installation:
        return self.workers[0].installation

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self.klucznik.database.read(work)

    async def running(self) -> Issuance | None:
        return await self.read(lambda c: issuances.running(c, self.klucznik.environment, self.subject))

    async def all_issuances(self) -> list[tuple[Issuance, list[Enrollment]]]:
        def read(connection: Connection) -> list[tuple[Issuance, list[Enrollment]]]:
            found = issuances.page(connection, self.klucznik.environment, running_only=False, size=1000)
            return [(one, issuances.enrollments_of(connection, one.id)) for one in found]

        return await self.read(read)

    async def held(self) -> list[HeldCertificate]:
        return await self.read(lambda c: certificates.of_subject(c, self.klucznik.environment, self.subject))

    def accepted(self) -> list[Request]:
        """The requests that KSeF has accepted of us, whatever became of them."""
        self.process()
        return [one for one in self.world.enrollments if one.name != _BY_ANOTHER_PROGRAM]

    def process(self) -> None:
        ksef_enrollments.process_due(self.world, self.now)

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────

    async def check_filing(self, wire: Wire, body: dict[str, Any]) -> None:
        """At the moment when a request leaves."""
        now, owner = self.now, self.workers[wire.worker].installation.owner

        def read(connection: Connection) -> tuple[Any, Any, int]:
            lease = connection.execute(select(lease_rows).where(lease_rows.c.subject_value == self.nip)).one()
            row = connection.execute(select(enrollment_rows).where(enrollment_rows.c.name == body["certificateName"]))
            mine = row.one()
            twins = connection.execute(
                select(enrollment_rows.c.state).where(enrollment_rows.c.issuance_id == mine.issuance_id)
            ).scalars()
            return lease, mine, sum(state in ("key_committed", "sending") for state in twins)

        lease, row, unsent = await self.read(read)
        assert (lease.owner, lease.expires_at > now) == (owner, True), "a request leaves without the lease"
        assert row.state == EnrollmentState.SENDING, "a request leaves whose intent is not committed"
        assert wire.waited_until is None or wire.waited_until <= row.sent_at, "a wait lies between intent and request"
        assert wire.limits_read is not None, "a request leaves although this run has not read the limits"
        read_at, told = wire.limits_read
        assert now - read_at <= LIMITS_STAY_FRESH + timedelta(seconds=5), "a request leaves on old limits"
        for kind in ("enrollment", "certificate"):
            assert told[kind]["remaining"] >= unsent + wire.filed_since, f"{kind}: {told} for {unsent}"

    async def check(self) -> None:
        """Between two steps."""
        accepted = self.accepted()
        found = await self.all_issuances()
        ours = {row.name: (issuance, row) for issuance, rows in found for row in rows}
        held = {one.serial_number: one for one in await self.held()}
        for request in accepted:
            assert request.name in ours, f"KSeF has a request that no row knows: {request.name}"
            _, row = ours[request.name]
            await assert_key_of_request_kept(self.klucznik, row)
        names = [request.name for request in accepted]
        assert len(names) == len(set(names)), f"a request was filed twice: {names}"
        for issuance, rows in found:
            if issuance.state.ended:
                self._check_ended(issuance, rows, {one.name: one for one in accepted}, held)

    def _check_ended(
        self,
        issuance: Issuance,
        rows: list[Enrollment],
        accepted: dict[str, Request],
        held: dict[str, HeldCertificate],
    ) -> None:
        """What an ended issuance says of itself is what KSeF says."""
        states = [row.state for row in rows]
        for row in rows:
            request = accepted.get(row.name)
            assert row.state in (EnrollmentState.VERIFIED, EnrollmentState.REJECTED, EnrollmentState.UNSENT), row
            if row.state is EnrollmentState.UNSENT:
                assert request is None, f"said to be unsent, but KSeF has it: {row}"
            if row.state is EnrollmentState.VERIFIED:
                certificate = held[row.certificate_serial_number or ""]
                assert certificate.verified_at is not None
                assert request is not None
                assert request.certificate_serial == certificate.serial_number
            if row.state is EnrollmentState.REJECTED and request is not None:
                assert request.outcome is not None, row
                assert request.outcome.code != 200, f"given up, but KSeF has issued it: {row}"
        if issuance.state is IssuanceState.DONE:  # one of each, and of those that KSeF dropped only the last
            proved = sorted(row.type.value for row in rows if row.state is EnrollmentState.VERIFIED)
            assert proved == sorted(kind.value for kind in issuance.missing)
            assert EnrollmentState.UNSENT not in states
        if issuance.state is IssuanceState.REFUSED:
            assert not rows or EnrollmentState.UNSENT in states
        if issuance.state is IssuanceState.REJECTED:
            assert EnrollmentState.REJECTED in states
        if issuance.state is IssuanceState.CANCELLED:
            assert issuance.cancelled_at is not None


async def assert_key_of_request_kept(klucznik: Installation, row: Enrollment) -> None:
    """The vault gives out the private key of this very request."""
    ours = (await unsealed(klucznik, row.key_id)).public_key()
    sent = x509.load_der_x509_csr(row.csr).public_key()
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert sent.public_bytes(*spki) == ours.public_bytes(*spki)


class RoadMachine(RuleBasedStateMachine):
    """Chance decides what happens next. Whoever works is one of two processes, or both at once."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model: Model

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(
        window=st.sampled_from(WINDOWS),
        reserves=st.booleans(),
        sync_count=st.booleans(),
        async_count=st.booleans(),
        delay=st.sampled_from([0, 3_000, 200_000, 3_600_000]),
        enrollment=st.sampled_from([2, 3, 4, 12]),
        certificate=st.sampled_from([2, 3, 6]),
        mishaps=st.lists(A_MISHAP, max_size=2),
    )
    def a_ksef(
        self,
        window: str,
        reserves: bool,
        sync_count: bool,
        async_count: bool,
        delay: int,
        enrollment: int,
        certificate: int,
        mishaps: list[tuple[str, str, int]],
    ) -> None:
        switches: dict[str, bool | int | str] = {
            "enrollment_window": window,
            "pending_reserves_slot": reserves,
            "count_sync_rejected": sync_count,
            "count_async_rejected": async_count,
            "enroll_delay_ms": delay,
        }
        self.model = self.do(Model.build(switches, enrollment, certificate))
        self.somebody_orders(patient=False, another=False)
        for one in mishaps:
            self.a_mishap_lies_in_wait(one)

    # ── people ───────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(patient=st.booleans(), another=st.booleans())
    def somebody_orders(self, patient: bool, another: bool) -> None:
        m = self.model
        self.do(
            self._quietly(0, order(m.klucznik, m.context, m.credential, wait_for_limits=patient, another_pair=another))
        )

    @rule()
    def somebody_orders_and_waits_for_it(self) -> None:
        m = self.model
        self.do(self._quietly(0, issue(m.klucznik, m.context, m.credential)))

    @rule()
    def somebody_calls_it_off(self) -> None:
        running = self.do(self.model.running())
        if running is not None:
            self.do(self._quietly(0, cancel(self.model.klucznik, running.id)))

    # ── workers ──────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(who=st.integers(0, 1), early=st.booleans())
    def a_worker_is_woken(self, who: int, early: bool) -> None:
        if not early:
            self._until_woken()
        self.do(self._work(who))

    @rule()
    def both_are_woken(self) -> None:
        async def both() -> None:
            await asyncio.gather(self._work(0), self._work(1))

        self.do(both())

    @rule(who=st.integers(0, 1), acts=st.one_of(st.integers(0, 12), st.integers(5, 9)))
    def the_power_fails(self, who: int, acts: int) -> None:
        """After so many acts nothing that the worker does has any effect; then it begins anew."""
        self._until_woken()
        self.do(self._die(who, acts))

    @rule(who=st.integers(0, 1), turns=st.integers(0, 60))
    def a_worker_is_cancelled(self, who: int, turns: int) -> None:
        """At whichever await it has come to."""
        self._until_woken()
        self.do(self._cancel(who, turns))

    # ── KSeF, the network, time and others ───────────────────────────────────────────────────────────────────────

    @rule(mishap=A_MISHAP)
    def a_mishap_lies_in_wait(self, mishap: tuple[str, str, int]) -> None:
        where, what, on = mishap
        self.model.mishaps.append(Mishap(where, HAPPENS[what], on=on))

    @rule(act=st.sampled_from([Rejected(), Rejected("too_many_certificates"), Cancelled()]))
    def ksef_will_reject_one(self, act: Rejected | Cancelled) -> None:
        self.model.world.faults.add(Rule(act, "POST", "/certificates/enrollments", times=1))

    @rule(requests=st.integers(1, 3), kept=st.integers(0, 2))
    def another_program_files(self, requests: int, kept: int) -> None:
        m, now = self.model, self.model.now
        quick_sessions.open_session(m.world, m.nip, None, now)
        *_, session = m.world.sign_ins
        ksef_enrollments.by_another_program(m.world, session, requests, kept, now)

    @rule(seconds=st.sampled_from([1, 30, 100, 3600, 86_400, 8 * 86_400, 31 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.model.world.clock.advance(timedelta(seconds=seconds))

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def nothing_is_lost_and_nothing_filed_twice(self) -> None:
        if hasattr(self, "model"):
            self.do(self.model.check())

    def teardown(self) -> None:
        """The storm is over: whatever is under way comes to an end, and that end is true."""
        try:
            if hasattr(self, "model"):
                self.model.mishaps.clear()
                self._come_to_an_end()
                self.do(self.model.check())
        finally:
            if hasattr(self, "model"):
                self.do(self.model.close())
            self.runner.close()

    def _come_to_an_end(self) -> None:
        for _ in range(300):
            running = self.do(self.model.running())
            if running is None:
                return
            if running.wait is not None and running.wait.kind is WaitKind.NEEDS_SIGNATURE:
                self.somebody_orders_and_waits_for_it()
            elif running.wait is not None and running.wait.kind is WaitKind.LIMITS:
                self.time_passes(seconds=20 * 86_400)
            self._until_woken()
            self.do(self._work(0))
        raise AssertionError(f"no end to {running}")

    # ── small parts ──────────────────────────────────────────────────────────────────────────────────────────────

    def _until_woken(self) -> None:
        running = self.do(self.model.running())
        if running is None:
            return
        now = self.model.now
        until = None if running.wait is None else running.wait.until
        # Where nothing is waited for, the lease of a dead worker may be.
        self.model.world.clock.advance(LEASE_LASTS if until is None or until <= now else until - now)

    async def _work(self, who: int) -> None:
        running = await self.model.running()
        if running is not None:
            await self._quietly(who, advance(self.model.workers[who].installation, running.id))

    async def _quietly(self, who: int, work: Coroutine[Any, Any, object]) -> None:
        """One run. What it tells is not believed here: the rows and KSeF's records are looked at instead."""
        self.model.workers[who].wire.limits_read = None
        with suppress(KlucznikError):
            await work

    async def _die(self, who: int, acts: int) -> None:
        m, running = self.model, await self.model.running()
        if running is None:
            return
        worker, power = m.workers[who], Power(acts)
        worker.wire.power, worker.wire.limits_read = power, None
        dying = replace(worker.installation, database=PoweredDatabase(worker.installation.database, power))
        with suppress(PowerLoss, KlucznikError):
            await advance(dying, running.id)
        await worker.installation.aclose()
        m.workers[who] = await m.worker(who)

    async def _cancel(self, who: int, turns: int) -> None:
        task = asyncio.create_task(self._work(who))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


SETTINGS = settings(
    max_examples=50,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRoad = RoadMachine.TestCase
TestRoad.settings = SETTINGS

if __name__ == "__main__":
    more = settings(SETTINGS, max_examples=int(sys.argv[1]), derandomize=False, stateful_step_count=30)
    run_state_machine_as_test(RoadMachine, settings=more)

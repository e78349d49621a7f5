"""API rate limits: what is counted together, the three windows, the 429, and how long a call too many blocks."""

import math
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sandbox.driver import Driver
from tests.sandbox.granting import grant_entity
from tests.sandbox.signing import make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.app import create_app, default_hooks
from ksef_sandbox.clock import Clock
from ksef_sandbox.state import World
from ksef_sandbox.switches import SwitchValue
from ksef_sandbox.windows import CAPACITY, HOUR_S, SlidingWindows, Window

NIP, OTHER_NIP = "5265877635", "7171642051"
SEAL, OTHER_SEAL = make_seal(nip=NIP), make_seal(nip=OTHER_NIP)
AWAY = {"X-Forwarded-For": "203.0.113.7"}
# Three calls a minute and no bound for a second: how fast this machine is plays no part.
THREE: dict[str, SwitchValue] = {
    "rate_profile": "custom",
    "rate_per_second": 1000,
    "rate_per_minute": 3,
    "rate_per_hour": 3,
}


def retry_after(response: httpx.Response) -> int:
    assert response.status_code == 429, response.text
    return int(response.headers["Retry-After"])


def test_a_call_too_many_is_refused_with_the_limit_the_time_and_nothing_done(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    ksef.set(**THREE)
    for _ in range(3):
        assert session.post("/tokens", {"permissions": ["InvoiceRead"], "description": "Odczyt"}).status_code == 202
    refused = session.post("/tokens", {"permissions": ["InvoiceRead"], "description": "Odczyt"})
    assert retry_after(refused) == 30
    assert refused.json() == {
        "status": {
            "code": 429,
            "description": "Too Many Requests",
            "details": ["Przekroczono limit 3 żądań na minutę. Spróbuj ponownie po 30 sekundach."],
        }
    }
    assert len(session.get("/tokens").json()["tokens"]) == 3


def test_a_client_that_asks_for_problem_details_gets_them(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    ksef.set(**THREE)
    for _ in range(3):
        session.get("/limits/subject")
    refused = session.get("/limits/subject", headers={"X-Error-Format": "problem-details"})
    assert retry_after(refused) == 30
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["detail"] == "Przekroczono limit 3 żądań na minutę. Spróbuj ponownie po 30 sekundach."


def test_every_route_has_a_counter_of_its_own_for_all_its_references(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    enrolled = [session.enroll(), session.enroll("Offline")]
    ksef.set(**THREE)
    for number in range(3):
        session.status(enrolled[number % 2])
    for response in enrolled:
        retry_after(session.get(f"/certificates/enrollments/{response.json()['referenceNumber']}"))
    assert session.get("/certificates/limits").status_code == 200


def test_identities_share_the_counter_of_a_context_and_contexts_do_not(ksef: Sandbox, driver: Driver) -> None:
    owner = driver.sign_in(SEAL, nip=NIP)
    assert grant_entity(owner, OTHER_NIP, "InvoiceRead") == 200
    guest, at_home = driver.sign_in(OTHER_SEAL, nip=NIP), driver.sign_in(OTHER_SEAL, nip=OTHER_NIP)
    ksef.set(**THREE)
    for session in (owner, guest, owner):
        assert session.get("/limits/context").status_code == 200
    retry_after(guest.get("/limits/context"))
    retry_after(owner.get("/limits/context"))
    assert at_home.get("/limits/context").status_code == 200


def test_every_address_of_a_context_has_counters_of_its_own(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    ksef.set(**THREE)
    for _ in range(3):
        session.get("/limits/context")
    retry_after(session.get("/limits/context"))
    assert session.get("/limits/context", headers=AWAY).status_code == 200


def test_test_data_set_the_limits_of_one_context_at_once_and_give_them_back(ksef: Sandbox, driver: Driver) -> None:
    session, other = driver.sign_in(SEAL, nip=NIP), driver.sign_in(OTHER_SEAL, nip=OTHER_NIP)
    ksef.set(rate_profile="te10x")
    rates = session.get("/rate-limits").json()
    one = {**rates, "other": {"perSecond": 100, "perMinute": 1, "perHour": 1}}
    assert session.post("/testdata/rate-limits", {"rateLimits": one}).status_code == 200
    assert session.get("/limits/subject").status_code == 200
    assert "limit 1 żądań na minutę" in session.get("/limits/subject").text
    assert [other.get("/limits/subject").status_code for _ in range(3)] == [200] * 3
    assert session.delete("/testdata/rate-limits").status_code == 200
    ksef.advance(seconds=30)
    assert session.get("/limits/subject").status_code == 200


def test_nothing_is_counted_without_limits_and_reset_forgets_what_was(ksef: Sandbox, driver: Driver) -> None:
    assert ksef.switches["rate_profile"] == "off"
    assert {driver.http.post("/auth/challenge").status_code for _ in range(200)} == {200}
    session = driver.sign_in(SEAL, nip=NIP)
    ksef.set(**THREE)
    for _ in range(4):
        last = session.get("/limits/subject")
    retry_after(last)
    ksef.reset()
    session = driver.sign_in(SEAL, nip=NIP)
    ksef.set(**THREE)
    assert session.get("/limits/subject").status_code == 200


class StillClock(Clock):
    """Time passes only when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment + self.offset


class Calls:
    """Calls of one client of a world whose time stands still."""

    def __init__(self, **switches: SwitchValue) -> None:
        self.world = World(seed=1)
        self.world.clock = StillClock()
        self.world.switches.set_all(switches)

    def wait(self, seconds: float) -> None:
        self.world.clock.advance(timedelta(seconds=seconds))

    async def __call__(self, path: str, count: int, *, ip: str = "192.0.2.1") -> int:
        """Call until refused or `count` times; how many passed."""
        app = create_app(self.world, default_hooks(self.world))
        transport = httpx.ASGITransport(app, client=(ip, 1))
        body = {"contextIdentifier": {"type": "Nip", "value": NIP}}
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox/v2") as client:
            for passed in range(count):
                response = await client.post(path, json=body)
                if response.status_code == 429:
                    self.refusal = response
                    return passed
        return count


async def test_sign_in_is_counted_by_address_sixty_times_a_second_for_each_route() -> None:
    calls = Calls()
    assert await calls("/auth/challenge", 100) == 60
    assert "limit 60 żądań na sekundę" in calls.refusal.text
    assert await calls("/auth/challenge", 1, ip="192.0.2.2") == 1
    assert await calls("/testdata/person/remove", 1) == 1
    calls.wait(30)
    assert await calls("/auth/challenge", 100) == 60


async def test_each_of_the_three_windows_slides_and_refuses_by_its_own_number() -> None:
    calls = Calls()
    assert await calls("/testdata/context/block", 11) == 10
    assert "limit 10 żądań na sekundę" in calls.refusal.text
    calls.wait(30)
    assert await calls("/testdata/context/block", 10) == 10
    for _ in range(2):
        calls.wait(1)
        passed = await calls("/testdata/context/block", 10)
    assert passed == 0
    assert "limit 30 żądań na minutę" in calls.refusal.text
    calls.wait(60)
    for _ in range(9):
        assert await calls("/testdata/context/block", 10) == 10
        calls.wait(20)
    assert await calls("/testdata/context/block", 1) == 0
    assert "limit 120 żądań na godzinę" in calls.refusal.text
    calls.wait(3600)
    assert await calls("/testdata/context/block", 10) == 10


@pytest.mark.parametrize("days", [1, 18_000, -1, -9_000])
async def test_the_block_and_the_windows_follow_the_clock_wherever_it_goes(days: int) -> None:
    calls = Calls()
    assert await calls("/auth/challenge", 61) == 60
    assert await calls("/auth/challenge", 1) == 0
    calls.wait(days * 86_400)
    assert await calls("/auth/challenge", 61) == 60
    assert retry_after(calls.refusal) == 30


async def test_test_systems_once_took_ten_times_as_much() -> None:
    calls = Calls(rate_profile="te10x")
    assert await calls("/testdata/context/block", 101) == 100
    assert "limit 100 żądań na sekundę" in calls.refusal.text


@pytest.mark.parametrize(
    ("escalation", "blocks"),
    [("double", [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]), ("fixed", [30] * 9)],
)
async def test_who_goes_on_is_blocked_for_longer_unless_the_switch_says_otherwise(
    escalation: str, blocks: list[int]
) -> None:
    calls = Calls(retry_after_escalation=escalation)
    seen = []
    for _ in blocks:
        await calls("/auth/challenge", 61)
        seen.append(retry_after(calls.refusal))
        calls.wait(seen[-1])
    assert seen == blocks
    calls.wait(HOUR_S)
    await calls("/auth/challenge", 61)
    assert retry_after(calls.refusal) == 30


async def test_a_blocked_call_tells_what_is_left_and_does_not_lengthen_the_block() -> None:
    calls = Calls()
    await calls("/auth/challenge", 61)
    for left in (30, 20.5, 10):
        assert await calls("/auth/challenge", 1) == 0
        assert retry_after(calls.refusal) == math.ceil(left)
        calls.wait(left - 20.5 if left == 30 else 10.5 if left == 20.5 else 10)
    assert await calls("/auth/challenge", 1) == 1


def test_counters_are_bounded_and_a_counter_keeps_no_more_than_its_limit() -> None:
    windows = SlidingWindows(capacity=100)
    for client in range(1000):
        windows.hit(client, 1.0, (Window(1, 60, "sekundę"),), escalates=True)
    assert len(windows) == 100 < CAPACITY


LIMITS = st.tuples(st.integers(0, 5), st.integers(0, 8), st.integers(0, 12))


@given(
    limits=LIMITS, waits=st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 7.0, 30.0, 61.0, 900.0, 3600.0]), max_size=60)
)
def test_no_window_of_any_length_ever_lets_more_pass_than_its_limit(
    limits: tuple[int, int, int], waits: list[float]
) -> None:
    windows = tuple(Window(s, limit, str(s)) for s, limit in zip((1, 60, 3600), limits, strict=True))
    counters, now, passed = SlidingWindows(), 1_000_000.0, []
    for wait in waits:
        now += wait
        blocked = counters.hit("one", now, windows, escalates=True)
        if blocked is None:
            passed.append(now)
        else:
            assert 0 < blocked.seconds <= HOUR_S
    for moment in passed:
        for window in windows:
            assert sum(moment - window.seconds < other <= moment for other in passed) <= window.limit

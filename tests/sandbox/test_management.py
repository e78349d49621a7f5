"""The management face under /sandbox: clock, log, switches, limits, reset (never reachable through /v2)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.sandbox.driver import Driver
from tests.sandbox.signing import make_person, make_seal

from ksef_sandbox import Sandbox

NIP, PESEL = "5265877635", "80010112345"
SEAL = make_seal(nip=NIP)


@pytest.fixture
def manage(ksef: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=ksef.management_url, trust_env=False) as client:
        yield client


def test_the_clock_is_read_advanced_and_set(ksef: Sandbox, manage: httpx.Client) -> None:
    start = ksef.now()
    assert manage.get("/clock").json().keys() == {"now"}
    manage.post("/clock", json={"advance_seconds": 86400})
    assert timedelta(days=1) <= ksef.now() - start < timedelta(days=1, minutes=1)
    answer = manage.post("/clock", json={"now": "2030-05-01T12:00:00+02:00"}).json()
    assert datetime.fromisoformat(answer["now"]) - datetime(2030, 5, 1, 10, tzinfo=UTC) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"advance_seconds": 1, "now": "2030-05-01T12:00:00Z"},
        {"advance_seconds": "soon"},
        {"advance_seconds": 1e12},
        {"now": "2030-05-01T12:00:00"},
        {"forward": 1},
        [],
    ],
)
def test_a_bad_move_of_the_clock_is_a_problem_and_moves_nothing(
    ksef: Sandbox, manage: httpx.Client, body: object
) -> None:
    response = manage.post("/clock", json=body)
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert abs(ksef.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_log_tells_route_status_context_and_identity(ksef: Sandbox, driver: Driver, manage: httpx.Client) -> None:
    ksef.link_person(nip=NIP, pesel=PESEL)
    session = driver.sign_in(make_person(pesel=PESEL), nip=NIP)
    ksef.clear_requests()
    session.get("/certificates/enrollments/20260101-EH-0000000000-0000000000-00")
    (entry,) = ksef.requests(path="/certificates/enrollments/{referenceNumber}")
    assert (entry.method, entry.status, entry.code) == ("GET", 400, 25005)
    assert (entry.context and entry.context.value, entry.identity and entry.identity.value) == (NIP, PESEL)
    body = manage.get("/requests", params={"method": "get"}).json()
    assert body["count"] == 1
    assert body["requests"][0]["identity"] == {"type": "Pesel", "value": PESEL}
    assert manage.get("/requests", params={"path": "/nowhere"}).json()["count"] == 0
    manage.delete("/requests")
    assert ksef.requests() == []


def test_the_log_counts_posts_of_one_path(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    session.issue()
    session.enroll(csr="AAAA")
    logged = ksef.requests(method="POST", path="/certificates/enrollments")
    assert [entry.status for entry in logged] == [202, 400]


def test_the_log_keeps_no_secret(ksef: Sandbox, driver: Driver, manage: httpx.Client) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    session.post("/certificates/query?pageSize=10", {"name": "tajna nazwa"})
    text = manage.get("/requests").text
    assert session.access not in text
    assert session.refresh not in text
    assert "tajna" not in text
    assert "pageSize" not in text


def test_refusals_and_unknown_paths_are_logged_too(ksef: Sandbox, driver: Driver) -> None:
    driver.http.get("/nothing")
    driver.http.put("/certificates/limits")
    driver.http.get("/certificates/limits")
    assert [(entry.route, entry.status) for entry in ksef.requests()] == [
        (None, 404),
        ("/certificates/limits", 405),
        ("/certificates/limits", 401),
    ]


def test_switches_are_read_and_set_all_or_none(ksef: Sandbox, manage: httpx.Client) -> None:
    described = manage.get("/switches").json()["enroll_delay_ms"]
    assert (described["value"], described["default"]) == (0, 2000)
    assert manage.patch("/switches", json={"enrollment_window": "lifetime"}).status_code == 200
    assert ksef.switches["enrollment_window"] == "lifetime"
    bad = manage.patch("/switches", json={"enroll_delay_ms": 5, "enrolment_window": "rolling"})
    assert bad.json()["detail"] == "There is no switch 'enrolment_window'. Did you mean 'enrollment_window'?"
    assert ksef.switches["enroll_delay_ms"] == 0
    for body in ({"enroll_delay_ms": -1}, {"enroll_delay_ms": None}, {"challenge_single_use": "perhaps"}):
        assert manage.patch("/switches", json=body).status_code == 400


def test_limits_are_set_for_any_subject(driver: Driver, manage: httpx.Client) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    session.issue()
    answer = manage.put("/limits", json={"type": "Nip", "value": NIP, "enrollment": 3, "certificate": 2}).json()
    assert answer == {
        "enrollment": {"remaining": 2, "limit": 3},
        "certificate": {"remaining": 1, "limit": 2},
    }
    assert session.limits() == (2, 1)
    assert manage.put("/limits", json={"type": "Regon", "value": "1"}).status_code == 400


def test_reset_forgets_everything_but_the_authority(ksef: Sandbox, driver: Driver, manage: httpx.Client) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    session.issue()
    authority = ksef.ca_certificate
    ksef.set(enroll_delay_ms=7)
    ksef.advance(days=100)
    assert manage.post("/reset").status_code == 204
    assert ksef.requests() == []
    assert ksef.switches["enroll_delay_ms"] == 0
    assert abs(ksef.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert ksef.ca_certificate == authority
    assert session.get("/certificates/limits").status_code == 401
    assert driver.sign_in(SEAL, nip=NIP).limits() == (300, 100)


def test_the_information_names_both_addresses(ksef: Sandbox, manage: httpx.Client) -> None:
    body = manage.get("/info").json()
    assert (body["base_url"], body["management_url"]) == (ksef.base_url, ksef.management_url)
    assert "BEGIN CERTIFICATE" in manage.get("/ca.pem").text


def test_nothing_of_it_is_reachable_through_v2(driver: Driver) -> None:
    assert driver.http.get("/sandbox/info").status_code == 404
    assert driver.http.get("/%2e%2e/sandbox/info").status_code == 404


def test_unknown_management_paths_are_problems(manage: httpx.Client) -> None:
    response = manage.get("/nothing")
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")
    assert manage.put("/clock", json={}).status_code == 405

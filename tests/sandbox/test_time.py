"""The clock moved by any amount: everything that has a time follows it, and nothing breaks, however far it goes."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sandbox.conftest import NO_DELAYS
from tests.sandbox.driver import Driver, Session, code_of
from tests.sandbox.granting import entity_grant, grant_entity
from tests.sandbox.signing import TestCredential, make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.clock import EARLIEST, LATEST, ClockError
from ksef_sandbox.routes.all import ROUTES
from ksef_sandbox.switches import SwitchError, registry

NIP, OFFICE = "5265877635", "7762811692"
# A self-signed certificate that is valid at every moment the clock can reach.
FIRST, LAST = EARLIEST - timedelta(days=1), LATEST + timedelta(days=1)
SEAL, OFFICE_SEAL = (make_seal(nip=nip, not_before=FIRST, not_after=LAST) for nip in (NIP, OFFICE))
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86_400, 365 * 86_400
JUMPS = [0, 1, 599, 601, 15 * MINUTE, 45 * MINUTE, HOUR, 7 * DAY, 30 * DAY, 90 * DAY, 2 * YEAR, 50 * YEAR]
READS = [route.path for route in ROUTES if route.method == "GET" and route.handler is not None]


def move(ksef: Sandbox, seconds: float) -> None:
    """Move the clock, as far as it goes."""
    moment = ksef.now() + timedelta(seconds=seconds)
    ksef.set_now(min(max(moment, EARLIEST), LATEST - timedelta(days=1)))


@pytest.mark.parametrize("seconds", [*JUMPS, *(-jump for jump in JUMPS[1:])])
def test_after_a_jump_everything_answers_as_specified_and_a_new_sign_in_works(
    ksef: Sandbox, driver: Driver, seconds: int
) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    serial, pending = session.issue(), session.enroll("Offline").json()["referenceNumber"]
    operation = session.post("/permissions/entities/grants", entity_grant(OFFICE, "InvoiceRead")).json()
    session.post(f"/certificates/{serial}/revoke", {})
    move(ksef, seconds)
    for path in READS:
        for reference in (session.reference, pending, operation["referenceNumber"]):
            session.get(re.sub(r"\{[^}]+\}", reference, path))
    again = driver.sign_in(SEAL, nip=NIP)
    assert again.retrieve(again.issue()).not_valid_before_utc <= ksef.now()
    assert httpx.get(f"{ksef.management_url}/ca.crl", trust_env=False).status_code == 200


def test_every_token_challenge_certificate_and_status_ends_at_its_own_moment(ksef: Sandbox, driver: Driver) -> None:
    start = ksef.now()
    challenge, session = driver.challenge(), driver.sign_in(SEAL, nip=NIP)
    begun, enrolled = driver.begin(SEAL, nip=NIP), session.enroll()
    serial = str(session.status(enrolled)["certificateSerialNumber"])

    def refreshed() -> Session:
        answer = driver.http.post("/auth/token/refresh", headers={"Authorization": f"Bearer {session.refresh}"})
        return Session(driver.http, answer.json()["accessToken"]["token"], session.refresh, session.reference)

    def at(**after: float) -> None:
        ksef.set_now(start + timedelta(**after))

    at(minutes=9)
    assert driver.submit(SEAL, nip=NIP, challenge=challenge).status_code == 202
    assert session.get("/limits/subject").status_code == 200
    at(minutes=16)
    assert session.get("/limits/subject").status_code == 401
    assert driver.outcome(begun)["code"] == 200
    at(minutes=46)
    assert driver.http.get(f"/auth/{begun.reference}", headers=begun.bearer).status_code == 401
    at(days=6)
    assert refreshed().get("/limits/subject").status_code == 200
    at(days=8)
    assert driver.http.post("/auth/token/refresh", headers={"Authorization": f"Bearer {session.refresh}"}).is_error
    at(days=29)
    session = driver.sign_in(SEAL, nip=NIP)
    assert (session.limits()[0], session.status(enrolled)["status"]["code"]) == (299, 200)
    at(days=31)
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.limits() == (300, 99)
    reference = enrolled.json()["referenceNumber"]
    assert session.get(f"/certificates/enrollments/{reference}").status_code == 410
    at(days=732)
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.listed(certificateSerialNumber=serial)[0]["status"] == "Expired"
    assert session.limits() == (300, 100)


def test_the_status_of_a_sign_in_is_gone_after_seven_days_for_whoever_still_has_its_token(
    ksef: Sandbox, driver: Driver
) -> None:
    ksef.set(token_ttl_auth_s=30 * DAY)
    begun = driver.begin(SEAL, nip=NIP)
    ksef.advance(days=6.9)
    assert driver.outcome(begun)["code"] == 200
    ksef.advance(days=0.2)
    assert driver.http.get(f"/auth/{begun.reference}", headers=begun.bearer).status_code == 410


def test_a_permission_operation_is_gone_after_thirty_days_and_the_permission_stays(
    ksef: Sandbox, driver: Driver
) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    reference = session.post("/permissions/entities/grants", entity_grant(OFFICE, "InvoiceRead")).json()[
        "referenceNumber"
    ]
    ksef.advance(days=29.9)
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.get(f"/permissions/operations/{reference}").json()["status"]["code"] == 200
    ksef.advance(days=0.2)
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.get(f"/permissions/operations/{reference}").status_code == 410
    assert driver.status_code(OFFICE_SEAL, nip=NIP) == 200


def test_requests_in_progress_are_decided_as_of_their_own_time_however_late_somebody_looks(
    ksef: Sandbox, driver: Driver
) -> None:
    ksef.set(enroll_delay_ms=10_000, revoke_delay_ms=10_000)
    ksef.set_limits("Nip", NIP, certificate=1)
    session = driver.sign_in(SEAL, nip=NIP)
    first, second = session.enroll(), session.enroll("Offline")
    filed = ksef.now()
    ksef.advance(days=20)
    session = driver.sign_in(SEAL, nip=NIP)
    issued = session.status(first)
    assert issued["status"]["code"] == 200
    assert session.status(second)["status"]["details"] == ["Osiągnięto dopuszczalny limit posiadanych certyfikatów."]
    certificate = session.retrieve(issued["certificateSerialNumber"])
    assert abs(certificate.not_valid_before_utc - filed - timedelta(seconds=10)) < timedelta(seconds=5)
    session.post(f"/certificates/{issued['certificateSerialNumber']}/revoke", {})
    assert session.listed()[0]["status"] == "Blocked"
    assert revoked(ksef) == set()
    ksef.advance(seconds=11)
    assert session.listed()[0]["status"] == "Revoked"
    assert revoked(ksef) == {certificate.serial_number}


def revoked(ksef: Sandbox) -> set[int]:
    """Serial numbers on the revocation list."""
    response = httpx.get(f"{ksef.management_url}/ca.crl", trust_env=False)
    found = x509.load_der_x509_crl(response.content)
    assert found.next_update_utc is not None
    assert found.last_update_utc <= ksef.now() < found.next_update_utc
    return {entry.serial_number for entry in found}


@pytest.mark.parametrize("moment", [datetime(1999, 12, 31, tzinfo=UTC), LATEST, datetime.max.replace(tzinfo=UTC)])
def test_the_clock_says_where_it_does_not_go_and_stays(ksef: Sandbox, moment: datetime) -> None:
    before = ksef.now()
    with pytest.raises(ClockError, match="The clock goes from 2000 to 2097"):
        ksef.set_now(moment)
    response = httpx.post(f"{ksef.management_url}/clock", json={"now": moment.isoformat()}, trust_env=False)
    assert (response.status_code, response.json()["detail"]) == (400, "The clock goes from 2000 to 2097.")
    assert abs(ksef.now() - before) < timedelta(minutes=1)


@pytest.mark.parametrize("far", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z"])
def test_a_date_at_the_end_of_the_calendar_is_a_date_like_another(ksef: Sandbox, driver: Driver, far: str) -> None:
    ksef.set(max_valid_from_days=0)
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.status(session.enroll(validFrom=far))["status"]["code"] == 200
    assert len(session.listed(expiresAfter=far)) in (0, 1)
    serial = session.issue()
    shortened = session.put(f"/testdata/certificates/{serial}", {"validTo": far})
    assert shortened.status_code == 200 or code_of(shortened) == 21405
    assert len(session.listed()) == 2
    session.limits()


@pytest.mark.parametrize("name", [info.name for info in registry() if info.kind == "int"])
def test_a_number_too_great_for_the_calendar_is_refused_and_the_greatest_works(
    ksef: Sandbox, driver: Driver, name: str
) -> None:
    with pytest.raises(SwitchError, match=r"takes a whole number from 0 to \d+, not") as refused:
        ksef.set(**{name: 10**30})
    ksef.set(**{name: int(re.findall(r"0 to (\d+)", str(refused.value))[0])})
    ksef.set_now(LATEST - timedelta(days=1))
    session = driver.sign_in(SEAL, nip=NIP) if name != "auth_delay_ms" else None
    driver.begin(SEAL, nip=NIP)
    if session:
        grant_entity(session, OFFICE, "InvoiceRead")
        session.status(session.enroll())
        session.limits()


ACTIONS = st.sampled_from(["enroll", "list", "revoke", "refresh", "grant", "challenge", "sign in", "limits"])
STEPS = st.lists(st.tuples(st.sampled_from(JUMPS), st.sampled_from([1, -1]), ACTIONS), min_size=1, max_size=12)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, window=st.sampled_from(["rolling", "fixed_from_first", "until_30d_after_last", "lifetime"]))
def test_no_walk_through_time_breaks_anything(steps: list[tuple[int, int, str]], window: str) -> None:
    with Sandbox(seed=1, switches=NO_DELAYS | {"enrollment_window": window, "rate_profile": "prd"}) as ksef:
        driver = Driver(ksef.base_url)
        with driver.http:
            walk(ksef, driver, steps, SEAL)


def walk(ksef: Sandbox, driver: Driver, steps: list[tuple[int, int, str]], credential: TestCredential) -> None:
    """Any answer of the specification will do: the checked client fails at every other one, 500 above all."""
    session = driver.sign_in(credential, nip=NIP)
    for seconds, direction, action in steps:
        move(ksef, seconds * direction)
        if action == "enroll":
            body: dict[str, Any] = {"certificateName": "Walk", "certificateType": "Offline", "csr": "AAAA"}
            session.post("/certificates/enrollments", body)
        elif action == "list":
            session.post("/certificates/query", {"status": "Active"})
        elif action == "revoke":
            session.post("/certificates/0123456789ABCDEF/revoke", {})
        elif action == "refresh":
            driver.http.post("/auth/token/refresh", headers={"Authorization": f"Bearer {session.refresh}"})
        elif action == "grant":
            session.post("/permissions/entities/grants", entity_grant(OFFICE, "InvoiceRead"))
        elif action == "challenge":
            driver.submit(credential, nip=NIP, challenge=driver.challenge())
        elif action == "sign in":
            session = driver.sign_in(credential, nip=NIP)
        else:
            session.get("/certificates/limits")

"""Certificate limits: defaults, counting, windows, codes, and what each switch changes (facts.md §4)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from tests.sandbox.driver import Driver, Session, code_of, details_of
from tests.sandbox.signing import make_anonymous, make_person, make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.limits import count_in_window
from ksef_sandbox.switches import Switches

NIP, OTHER_NIP, PESEL = "5265877635", "7762811692", "80010112345"
SEAL, PERSON = make_seal(nip=NIP), make_person(pesel=PESEL)


@pytest.fixture
def person(ksef: Sandbox, driver: Driver) -> Session:
    """The owner of NIP, by PESEL, with room for two requests and two certificates."""
    ksef.link_person(nip=NIP, pesel=PESEL)
    ksef.set_limits("Pesel", PESEL, enrollment=2, certificate=2)
    return driver.sign_in(PERSON, nip=NIP)


def can_request(session: Session) -> bool:
    return bool(session.get("/certificates/limits").json()["canRequest"])


def test_defaults_depend_on_the_kind_of_identity(ksef: Sandbox, driver: Driver) -> None:
    ksef.link_person(nip=NIP, pesel=PESEL)
    stranger = make_anonymous()
    body = {
        "contextIdentifier": {"type": "Nip", "value": NIP},
        "authorizedIdentifier": {
            "type": "Fingerprint",
            "value": stranger.certificate.fingerprint(hashes.SHA256()).hex().upper(),
        },
        "permissions": [{"permissionType": "InvoiceRead", "description": "for a test"}],
    }
    driver.http.post("/testdata/permissions", json=body)
    assert driver.sign_in(SEAL, nip=NIP).limits() == (300, 100)
    assert driver.sign_in(PERSON, nip=NIP).limits() == (12, 6)
    assert driver.sign_in(stranger, nip=NIP, subject="certificateFingerprint").limits() == (12, 6)


def test_limits_belong_to_the_person_in_every_context(ksef: Sandbox, driver: Driver) -> None:
    for nip in (NIP, OTHER_NIP):
        ksef.link_person(nip=nip, pesel=PESEL)
    driver.sign_in(PERSON, nip=NIP).issue()
    elsewhere = driver.sign_in(PERSON, nip=OTHER_NIP)
    assert elsewhere.limits() == (11, 5)
    assert len(elsewhere.listed()) == 1
    assert driver.sign_in(SEAL, nip=NIP).limits() == (300, 100)


def test_revoking_frees_a_certificate_and_never_a_request(person: Session) -> None:
    serials = [person.issue(), person.issue("Offline")]
    assert person.limits() == (0, 0)
    person.post(f"/certificates/{serials[0]}/revoke", {})
    assert person.limits() == (0, 1)
    assert not can_request(person)
    assert code_of(person.enroll()) == 25006


@pytest.mark.parametrize(("enrollment", "certificate"), [(0, 1), (1, 0), (0, 0), (1, 1)])
def test_a_request_is_possible_only_with_both(
    ksef: Sandbox, person: Session, enrollment: int, certificate: int
) -> None:
    ksef.set_limits("Pesel", PESEL, enrollment=enrollment, certificate=certificate)
    assert can_request(person) is (enrollment > 0 and certificate > 0)


@pytest.mark.parametrize(
    ("enrollment", "certificate", "priority", "code"),
    [
        (0, 2, "25006", 25006),
        (2, 0, "25006", 25007),
        (0, 0, "25006", 25006),
        (0, 0, "25007", 25007),
        (0, 2, "25007", 25006),
    ],
)
def test_the_code_names_the_limit_that_is_reached(
    ksef: Sandbox, person: Session, enrollment: int, certificate: int, priority: str, code: int
) -> None:
    ksef.set(limit_code_priority=priority)
    ksef.set_limits("Pesel", PESEL, enrollment=enrollment, certificate=certificate)
    assert code_of(person.enroll()) == code
    assert person.limits() == (enrollment, certificate)


def test_a_limit_lowered_below_what_is_used_leaves_nothing(ksef: Sandbox, person: Session) -> None:
    person.issue()
    person.issue()
    ksef.set_limits("Pesel", PESEL, enrollment=1, certificate=1)
    assert person.limits() == (0, 0)


def test_a_race_for_the_last_certificate_is_lost_in_the_status_and_costs_the_request(
    ksef: Sandbox, person: Session
) -> None:
    ksef.set(enroll_delay_ms=1000)
    ksef.set_limits("Pesel", PESEL, certificate=1)
    first, second = person.enroll(), person.enroll("Offline")
    assert person.limits() == (0, 1)
    ksef.advance(seconds=2)
    assert person.status(first)["status"]["code"] == 200
    lost = person.status(second)["status"]
    assert (lost["code"], lost["details"]) == (400, ["Osiągnięto dopuszczalny limit posiadanych certyfikatów."])
    assert person.limits() == (0, 0)
    ksef.set(count_async_rejected=False)
    assert person.limits() == (1, 0)


def test_requests_in_progress_hold_a_slot_under_the_switch(ksef: Sandbox, person: Session) -> None:
    ksef.set(enroll_delay_ms=1000, pending_reserves_slot=True)
    ksef.set_limits("Pesel", PESEL, certificate=1)
    assert person.enroll().status_code == 202
    assert person.limits() == (1, 0)
    assert code_of(person.enroll()) == 25007


def test_a_slot_that_is_freed_in_time_saves_a_request_in_progress(ksef: Sandbox, person: Session) -> None:
    ksef.set_limits("Pesel", PESEL, certificate=1, enrollment=12)
    ksef.set(enroll_delay_ms=1000)
    first, second = person.enroll(), person.enroll()
    ksef.advance(seconds=1)
    assert {person.status(sent)["status"]["code"] for sent in (first, second)} == {200, 400}
    (active,) = person.listed()
    person.post(f"/certificates/{active['certificateSerialNumber']}/revoke", {})
    assert person.status(person.enroll())["status"]["code"] == 100


def test_a_refused_csr_is_spent_only_under_the_switch(ksef: Sandbox, person: Session) -> None:
    assert code_of(person.enroll(csr="AAAA")) == 25004
    assert code_of(person.enroll(certificateName="x")) == 21405
    assert person.limits() == (2, 2)
    ksef.set(count_sync_rejected=True)
    assert person.limits() == (1, 2)


def test_a_request_comes_back_thirty_days_after_it_was_filed(ksef: Sandbox, person: Session, driver: Driver) -> None:
    person.issue()
    ksef.advance(days=10)
    person = driver.sign_in(PERSON, nip=NIP)
    person.issue()
    ksef.advance(days=19, hours=23)
    assert driver.sign_in(PERSON, nip=NIP).limits() == (0, 0)
    ksef.advance(hours=2)
    assert driver.sign_in(PERSON, nip=NIP).limits() == (1, 0)
    ksef.advance(days=10)
    assert driver.sign_in(PERSON, nip=NIP).limits() == (2, 0)


START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        # requests on days 0, 10, 35; counted on days 29, 30, 34.9, 40, 41, 64.9, 65, 70
        ("rolling", [2, 1, 1, 1, 1, 1, 0, 0]),
        ("fixed_from_first", [2, 0, 0, 1, 1, 1, 0, 0]),
        ("until_30d_after_last", [2, 2, 2, 3, 3, 3, 0, 0]),
        ("lifetime", [2, 2, 2, 3, 3, 3, 3, 3]),
    ],
)
def test_each_window_counts_by_its_rule(window: str, expected: list[int]) -> None:
    switches = Switches()
    switches.set("enrollment_window", window)
    moments = [START + timedelta(days=day) for day in (0, 10, 35)]
    counted = []
    for day in (29, 30, 34.9, 40, 41, 64.9, 65, 70):
        now = START + timedelta(days=day)
        counted.append(count_in_window([moment for moment in moments if moment <= now], now, switches))
    assert counted == expected


def test_the_length_of_the_window_is_a_switch() -> None:
    switches = Switches()
    switches.set("enrollment_window_days", 7)
    assert count_in_window([START], START + timedelta(days=6.9), switches) == 1
    assert count_in_window([START], START + timedelta(days=7), switches) == 0


def test_certificates_near_their_end_free_their_slot_under_the_switch(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    serial = session.issue()
    end = (ksef.now() + timedelta(days=29)).isoformat()
    session.put(f"/testdata/certificates/{serial}", {"validTo": end})
    assert session.limits() == (299, 99)
    ksef.set(active_grace_days=30)
    assert session.limits() == (299, 100)


def test_the_subject_reads_its_maxima(ksef: Sandbox, person: Session) -> None:
    assert person.get("/limits/subject").json() == {
        "enrollment": {"maxEnrollments": 2},
        "certificate": {"maxCertificates": 2},
    }


# What test data change


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"enrollment": {"maxEnrollments": 5}}, (5, 100)),
        ({"certificate": {"maxCertificates": 0}}, (300, 0)),
        ({"subjectIdentifierType": "nip", "enrollment": {"maxEnrollments": 0}, "certificate": None}, (0, 100)),
        ({"subjectIdentifierType": "Pesel", "enrollment": {"maxEnrollments": 5}}, (300, 100)),
        ({}, (300, 100)),
    ],
)
def test_test_data_set_and_restore_the_callers_maxima(
    driver: Driver, body: dict[str, Any], expected: tuple[int, int]
) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.post("/testdata/limits/subject/certificate", body).status_code == 200
    assert session.limits() == expected
    session.delete("/testdata/limits/subject/certificate")
    assert session.limits() == (300, 100)


def test_negative_maxima_are_refused(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    response = session.post("/testdata/limits/subject/certificate", {"enrollment": {"maxEnrollments": -1}})
    assert code_of(response) == 21405
    assert details_of(response) == ["'enrollment.maxEnrollments' must be greater than or equal to 0. You entered -1."]


def test_test_data_set_and_restore_the_limits_of_a_context(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    before = session.get("/limits/context").json()
    values = {"maxInvoiceSizeInMB": 5, "maxInvoiceWithAttachmentSizeInMB": 10, "maxInvoices": 7}
    changed = {"onlineSession": values, "batchSession": {**values, "maxInvoices": 8}}
    assert session.post("/testdata/limits/context/session", changed).status_code == 200
    assert session.get("/limits/context").json() == changed
    session.delete("/testdata/limits/context/session")
    assert session.get("/limits/context").json() == before
    broken = {"onlineSession": {**values, "maxInvoiceSizeInMB": 6}, "batchSession": values}
    assert code_of(session.post("/testdata/limits/context/session", broken)) == 21405
    assert code_of(session.post("/testdata/limits/context/session", {"onlineSession": values})) == 21405


def test_rate_limits_follow_the_profile_and_test_data(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(rate_profile="prd")
    session = driver.sign_in(SEAL, nip=NIP)
    production = session.get("/rate-limits").json()
    assert production["other"] == {"perSecond": 10, "perMinute": 30, "perHour": 120}
    ksef.set(rate_profile="te10x")
    assert session.get("/rate-limits").json()["other"]["perHour"] == 1200
    changed = {**production, "other": {"perSecond": 99, "perMinute": 100, "perHour": 1200}}
    assert session.post("/testdata/rate-limits", {"rateLimits": changed}).status_code == 200
    assert session.get("/rate-limits").json() == changed
    session.post("/testdata/rate-limits/production")
    assert session.get("/rate-limits").json() == production
    session.delete("/testdata/rate-limits")
    assert session.get("/rate-limits").json()["other"]["perHour"] == 1200


def test_rate_limits_out_of_bounds_or_incomplete_are_refused(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    sent = session.get("/rate-limits").json()
    sent["onlineSession"]["perHour"] = 11111111
    sent["other"]["perSecond"] = 0
    del sent["sessionMisc"]
    response = session.post("/testdata/rate-limits", {"rateLimits": sent})
    assert details_of(response) == [
        "'rateLimits.sessionMisc' must not be empty.",
        "'rateLimits.onlineSession.perHour' must be between 1 and 1200. You entered 11111111.",
        "'rateLimits.other.perSecond' must be between 1 and 100. You entered 0.",
    ]

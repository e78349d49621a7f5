"""What the management face shows: subjects with their limits, certificates, permissions, in pages."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

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


def pages(manage: httpx.Client, path: str, size: int) -> list[list[dict[str, Any]]]:
    """Every page of a list, by its own `next`."""
    found: list[list[dict[str, Any]]] = []
    after: dict[str, str] = {}
    while True:
        body = manage.get(path, params={"limit": size, **after}).json()
        found.append(body[path.strip("/")])
        if body["next"] is None:
            return found
        after = {"after": body["next"]}


def test_a_subject_is_shown_with_both_limits_and_the_day_its_next_request_comes_back(
    ksef: Sandbox, driver: Driver, manage: httpx.Client
) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    session.issue()
    session.issue("Offline")
    (subject,) = manage.get("/subjects").json()["subjects"]
    assert subject["identity"] == {"type": "Nip", "value": NIP}
    assert subject["limits"] == {
        "enrollment": {"used": 2, "remaining": 298, "limit": 300},
        "certificate": {"used": 2, "remaining": 98, "limit": 100},
    }
    assert (subject["certificates"], subject["active_certificates"], subject["sign_ins"]) == (2, 2, 1)
    back = datetime.fromisoformat(subject["next_request_back"])
    assert timedelta(days=29, hours=23) < back - ksef.now() <= timedelta(days=30)


@pytest.mark.parametrize("window", ["rolling", "fixed_from_first", "until_30d_after_last", "lifetime"])
def test_a_request_comes_back_at_the_moment_that_is_shown(
    ksef: Sandbox, driver: Driver, manage: httpx.Client, window: str
) -> None:
    ksef.set(enrollment_window=window)
    session = driver.sign_in(SEAL, nip=NIP)
    session.issue()
    ksef.advance(minutes=10)
    session.issue()
    spent = manage.get(f"/subjects/Nip/{NIP}").json()["spent_requests"]
    assert len(spent) == 2
    if window == "lifetime":
        assert [request["comes_back"] for request in spent] == [None, None]
        return
    back = datetime.fromisoformat(spent[0]["comes_back"])
    ksef.set_now(back - timedelta(seconds=5))
    assert manage.get(f"/subjects/Nip/{NIP}").json()["limits"]["enrollment"]["used"] == 2
    ksef.set_now(back)
    assert manage.get(f"/subjects/Nip/{NIP}").json()["limits"]["enrollment"]["used"] == (window == "rolling")


def test_one_subject_is_shown_whole(ksef: Sandbox, driver: Driver, manage: httpx.Client) -> None:
    ksef.link_person(nip=NIP, pesel=PESEL)
    owner = driver.sign_in(make_person(pesel=PESEL), nip=NIP)
    first = owner.issue()
    owner.issue("Offline")
    owner.post(f"/certificates/{first}/revoke", {"revocationReason": "Superseded"})
    body = manage.get(f"/subjects/Pesel/{PESEL}").json()
    assert [(c["type"], c["state"]) for c in body["newest_certificates"]] == [
        ("Offline", "Active"),
        ("Authentication", "Revoked"),
    ]
    assert [(s["context"]["value"], s["code"]) for s in body["newest_sign_ins"]] == [(NIP, 200)]
    assert body["linked"] == [{"type": "Nip", "value": NIP}]
    assert body["limits"]["enrollment"]["used"] == 2
    assert body["limits"]["certificate"]["used"] == 1


def test_a_subject_that_never_came_is_a_problem_with_a_sentence(manage: httpx.Client) -> None:
    response = manage.get("/subjects/Pesel/80010112345")
    assert response.status_code == 404
    assert response.json()["detail"] == "Pesel 80010112345 has not signed in yet and has no limits of its own."
    assert manage.get("/subjects/Regon/1").status_code == 400


def test_a_subject_may_be_known_by_its_limits_alone_and_is_forgotten_with_them(
    ksef: Sandbox, manage: httpx.Client
) -> None:
    ksef.set_limits("Pesel", PESEL, enrollment=1)
    assert manage.get(f"/subjects/Pesel/{PESEL}").json()["limits"]["enrollment"]["limit"] == 1
    ksef.reset()
    assert manage.get("/subjects").json() == {"subjects": [], "next": None, "total": 0}


def test_subjects_are_paged_by_key_and_none_is_missed_or_shown_twice(ksef: Sandbox, manage: httpx.Client) -> None:
    numbers = [f"80010112{number:03}" for number in range(25)]
    for number in reversed(numbers):
        ksef.set_limits("Pesel", number, enrollment=1)
    found = pages(manage, "/subjects", 10)
    assert [len(page) for page in found] == [10, 10, 5]
    assert [subject["identity"]["value"] for page in found for subject in page] == numbers


def test_certificates_are_paged_the_newest_first_while_new_ones_come(
    ksef: Sandbox, driver: Driver, manage: httpx.Client
) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    serials = [session.issue() for _ in range(5)]
    first = manage.get("/certificates", params={"limit": 2}).json()
    session.issue()
    rest = manage.get("/certificates", params={"limit": 10, "after": first["next"]}).json()
    assert [c["serial"] for c in [*first["certificates"], *rest["certificates"]]] == serials[::-1]
    assert (rest["next"], rest["total"]) == (None, 6)
    assert [len(page) for page in pages(manage, "/certificates", 2)] == [2, 2, 2]


def test_permissions_say_whose_where_by_whom_and_whether_they_are_in_force(
    ksef: Sandbox, driver: Driver, manage: httpx.Client
) -> None:
    body = {
        "subjectIdentifier": {"type": "Nip", "value": "1111111111"},
        "permissions": [{"type": "InvoiceRead", "canDelegate": False}, {"type": "InvoiceWrite", "canDelegate": False}],
        "description": "biuro rachunkowe",
        "subjectDetails": {"fullName": "Biuro sp. z o.o."},
    }
    assert driver.sign_in(SEAL, nip=NIP).post("/permissions/entities/grants", body).status_code == 202
    first, second = [grant for page in pages(manage, "/permissions", 1) for grant in page]
    assert {first["permission"], second["permission"]} == {"InvoiceRead", "InvoiceWrite"}
    assert first["subject"] == {"type": "Nip", "value": "1111111111"}
    assert first["context"] == first["author"] == {"type": "Nip", "value": NIP}
    assert (first["kind"], first["live"], first["description"]) == ("entity", True, "biuro rachunkowe")


@pytest.mark.parametrize("path", ["/certificates", "/permissions"])
@pytest.mark.parametrize("cursor", ["x", "-", "12", "1-2-", "9" * 40 + "-a", "٣-a", "%00"])
def test_a_strange_cursor_is_a_problem_or_an_empty_page(manage: httpx.Client, path: str, cursor: str) -> None:
    response = manage.get(path, params={"after": cursor})
    if response.status_code == 200:
        assert response.json()["next"] is None
    else:
        assert response.status_code == 400
        assert response.json()["detail"].startswith("after: takes the value of `next`")


@pytest.mark.parametrize("path", ["/subjects", "/certificates", "/permissions"])
@pytest.mark.parametrize("limit", ["0", "-1", "201", "many", ""])
def test_a_page_has_a_bound(manage: httpx.Client, path: str, limit: str) -> None:
    response = manage.get(path, params={"limit": limit})
    assert response.status_code == 400
    assert response.json()["detail"].startswith("limit: ")


def test_the_log_is_read_from_its_end_in_pages(ksef: Sandbox, driver: Driver, manage: httpx.Client) -> None:
    for _ in range(5):
        driver.challenge()
    first = manage.get("/requests", params={"newest": 2}).json()["requests"]
    second = manage.get("/requests", params={"newest": 9, "before": first[-1]["number"]}).json()["requests"]
    assert [entry["number"] for entry in [*first, *second]] == [5, 4, 3, 2, 1]
    assert manage.get("/requests", params={"newest": 0}).status_code == 400


def test_the_revision_grows_with_a_change_and_stays_while_only_looked_at(
    ksef: Sandbox, driver: Driver, manage: httpx.Client
) -> None:
    def seen() -> tuple[int, int]:
        body = manage.get("/info").json()
        return body["revision"], body["requests"]

    start = seen()
    for path in ("/subjects", "/certificates", "/permissions", "/requests", "/switches", "/clock"):
        manage.get(path)
    assert seen() == start
    manage.patch("/switches", json={"enroll_delay_ms": 5})
    changed = seen()
    assert changed[0] > start[0]
    driver.challenge()
    assert seen()[1] == changed[1] + 1


def test_what_is_due_is_decided_before_it_is_shown(ksef: Sandbox, driver: Driver, manage: httpx.Client) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    ksef.set(enroll_delay_ms=60_000)
    session.enroll()
    assert manage.get("/certificates").json()["total"] == 0
    ksef.advance(minutes=2)
    assert [c["state"] for c in manage.get("/certificates").json()["certificates"]] == ["Active"]

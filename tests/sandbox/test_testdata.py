"""Test data that other tests do not touch: validation, entities, attachments (facts.md §7)."""

from typing import Any

import pytest
from tests.sandbox.driver import Driver, code_of, details_of
from tests.sandbox.signing import make_person, make_seal

from ksef_sandbox import Sandbox

NIP, OTHER_NIP, PESEL = "5265877635", "7762811692", "80010112345"
PERSON = {"nip": NIP, "pesel": PESEL, "isBailiff": False, "description": "for a test"}
SUBJECT = {"subjectNip": NIP, "subjectType": "VatGroup", "description": "for a test"}
PAIR = {
    "contextIdentifier": {"type": "Nip", "value": NIP},
    "authorizedIdentifier": {"type": "Pesel", "value": PESEL},
}


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *[("/testdata/person", without(PERSON, name)) for name in PERSON],
        ("/testdata/person", PERSON | {"nip": "0265877635"}),
        ("/testdata/person", PERSON | {"nip": "526587763"}),
        ("/testdata/person", PERSON | {"nip": "٥265877635"}),
        ("/testdata/person", PERSON | {"pesel": "80130112345"}),
        ("/testdata/person", PERSON | {"description": "abcd"}),
        ("/testdata/person", PERSON | {"description": "x" * 257}),
        ("/testdata/person", PERSON | {"isBailiff": "no"}),
        ("/testdata/person/remove", {}),
        *[("/testdata/subject", without(SUBJECT, name)) for name in SUBJECT],
        ("/testdata/subject", SUBJECT | {"subjectType": "Bakery"}),
        ("/testdata/subject", SUBJECT | {"subunits": [{"subjectNip": NIP}]}),
        ("/testdata/subject/remove", {"subjectNip": "x"}),
        ("/testdata/permissions", PAIR),
        ("/testdata/permissions", PAIR | {"permissions": [{"permissionType": "Owner", "description": "for a test"}]}),
        (
            "/testdata/permissions",
            PAIR | {"permissions": [], "contextIdentifier": {"type": "InternalId", "value": NIP}},
        ),
        ("/testdata/permissions/revoke", without(PAIR, "authorizedIdentifier")),
        ("/testdata/attachment", {}),
        ("/testdata/attachment/revoke", {"nip": NIP, "expectedEndDate": "soon"}),
        ("/testdata/context/block", {"contextIdentifier": {"type": "Nip"}}),
        ("/testdata/context/block", {"contextIdentifier": {"type": "Planet", "value": "Mars"}}),
    ],
)
def test_what_breaks_the_rules_is_a_validation_error(driver: Driver, path: str, body: dict[str, Any]) -> None:
    response = driver.http.post(path, json=body)
    assert code_of(response) == 21405
    assert details_of(response)


def test_an_entity_is_declared_once_until_it_is_removed(driver: Driver) -> None:
    units = [{"subjectNip": OTHER_NIP, "description": "a unit of it"}]
    body = SUBJECT | {"subunits": units, "createdDate": "2026-01-01T00:00:00"}
    assert driver.http.post("/testdata/subject", json=body).status_code == 200
    assert code_of(driver.http.post("/testdata/subject", json=body)) == 30001
    assert driver.http.post("/testdata/subject/remove", json={"subjectNip": NIP}).status_code == 200
    assert driver.http.post("/testdata/subject", json=body).status_code == 200


def test_removing_a_person_takes_the_permissions_too(driver: Driver) -> None:
    driver.http.post("/testdata/person", json=PERSON)
    entry = {"permissionType": "invoiceread", "description": "for a test"}
    driver.http.post("/testdata/permissions", json={**PAIR, "permissions": [entry]})
    assert driver.http.post("/testdata/person/remove", json={"nip": NIP}).status_code == 200
    assert driver.status_code(make_person(pesel=PESEL), nip=NIP) == 415
    assert driver.http.post("/testdata/person/remove", json={"nip": NIP}).status_code == 200


def test_attachment_consent_is_given_and_taken(driver: Driver) -> None:
    for path, body in (
        ("/testdata/attachment", {"nip": NIP}),
        ("/testdata/attachment/revoke", {"nip": NIP, "expectedEndDate": "2026-12-31"}),
        ("/testdata/attachment/revoke", {"nip": NIP, "expectedEndDate": None}),
        ("/testdata/attachment/revoke", {"nip": NIP}),
    ):
        response = driver.http.post(path, json=body)
        assert (response.status_code, response.content) == (200, b"")


def test_test_data_need_no_token_but_limits_do(driver: Driver) -> None:
    assert driver.http.post("/testdata/limits/subject/certificate", json={}).status_code == 401
    assert driver.http.delete("/testdata/rate-limits").status_code == 401


def test_the_death_of_an_owner_stops_refreshing(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(make_seal(nip=NIP), nip=NIP)
    ksef.link_person(nip=NIP, pesel=PESEL, is_deceased=True)
    headers = {"Authorization": f"Bearer {session.refresh}"}
    assert code_of(driver.http.post("/auth/token/refresh", headers=headers)) == 21308

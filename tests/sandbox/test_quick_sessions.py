"""Sessions without a signature: a shortcut to the token, and to nothing that a signature would not give."""

from collections.abc import Iterator

import httpx
import pytest
from tests.sandbox.driver import CheckedClient, Driver, Session

from ksef_sandbox import Sandbox
from ksef_sandbox.management.quick_sessions import NoSession

NIP, PESEL = "5265877635", "80010112345"


@pytest.fixture
def manage(ksef: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=ksef.management_url, trust_env=False) as client:
        yield client


def session_with(driver: Driver, body: dict[str, dict[str, str]]) -> Session:
    http: CheckedClient = driver.http
    return Session(http, body["accessToken"]["token"], body["refreshToken"]["token"], "")


def test_a_company_gets_a_session_and_a_pair_of_certificates(driver: Driver, manage: httpx.Client) -> None:
    session = session_with(driver, manage.post("/session", json={"nip": NIP}).json())
    session.issue()
    session.issue("Offline")
    assert session.limits() == (298, 98)


def test_a_person_gets_in_where_it_has_rights_and_owns_what_it_asks_for(
    ksef: Sandbox, driver: Driver, manage: httpx.Client
) -> None:
    refused = manage.post("/session", json={"nip": NIP, "pesel": PESEL})
    assert refused.status_code == 400
    assert refused.json()["detail"] == (
        f"Pesel {PESEL} cannot enter the context of NIP {NIP}: Brak przypisanych uprawnień."
    )
    with pytest.raises(NoSession, match="Brak przypisanych"):
        ksef.access_token(nip=NIP, pesel=PESEL)
    ksef.link_person(nip=NIP, pesel=PESEL)
    session = session_with(driver, manage.post("/session", json={"nip": NIP, "pesel": PESEL}).json())
    session.issue()
    assert session.limits() == (11, 5)


def test_the_python_face_gives_the_token_alone(ksef: Sandbox, driver: Driver) -> None:
    bearer = {"Authorization": f"Bearer {ksef.access_token(nip=NIP)}"}
    assert driver.http.get("/certificates/limits", headers=bearer).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"nip": "1"}, {"nip": NIP, "pesel": "1"}, {"nip": f"{NIP}\n"}, {"nip": NIP, "context": NIP}, [], "x"]
)
def test_a_strange_request_is_a_problem(manage: httpx.Client, body: object) -> None:
    response = manage.post("/session", json=body)
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert manage.get("/subjects").json()["total"] == 0


def test_it_cannot_be_had_through_v2(driver: Driver) -> None:
    assert driver.http.post("/session", json={"nip": NIP}).status_code == 404

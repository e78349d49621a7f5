"""Both error formats, and what HTTP itself refuses (facts.md §1.3)."""

import re

import pytest
from tests.official import SPECIFICATION, official_file
from tests.sandbox import spec
from tests.sandbox.driver import XML, Driver, code_of
from tests.sandbox.signing import make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.codes import DESCRIPTIONS
from ksef_sandbox.errors import BadRequest, ErrorFrame, Forbidden, TooManyRequests, Unexpected

NIP = "5265877635"
PROBLEM = {"X-Error-Format": "problem-details"}
FRAME = ErrorFrame("/v2/x", "2026-01-01T00:00:00+00:00", "0" * 32, "1" * 16, problem_details=False)


def test_a_400_is_legacy_unless_problem_details_are_asked_for(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(make_seal(nip=NIP), nip=NIP)
    path = "/certificates/enrollments/20260101-EH-0000000000-0000000000-00"
    legacy = session.get(path)
    assert legacy.headers["Content-Type"] == "application/json"
    exception = legacy.json()["exception"]
    assert exception["exceptionDetailList"] == [{"exceptionCode": 25005, "exceptionDescription": DESCRIPTIONS[25005]}]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", exception["serviceCode"])
    assert exception["timestamp"].endswith("Z")
    problem = session.get(path, headers=PROBLEM)
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert problem.json()["errors"] == [{"code": 25005, "description": DESCRIPTIONS[25005]}]
    assert problem.json()["instance"] == f"/v2{path}"
    ksef.set(error_format_default="problem")
    assert "errors" in session.get(path).json()


@pytest.mark.parametrize("header", [{}, PROBLEM])
def test_401_is_always_a_problem(driver: Driver, header: dict[str, str]) -> None:
    response = driver.http.get("/certificates/limits", headers=header)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["title"] == "Unauthorized"


def test_a_body_that_is_no_json_is_a_validation_error(driver: Driver) -> None:
    session = driver.sign_in(make_seal(nip=NIP), nip=NIP)
    for body in (b"{", b"", b"\xff", b"[]", b'"text"', b"null"):
        headers = {"Content-Type": "application/json; charset=utf-8"}
        assert code_of(session.post("/certificates/enrollments", content=body, headers=headers)) == 21405


def test_braces_in_what_was_sent_do_no_harm(driver: Driver) -> None:
    session = driver.sign_in(make_seal(nip=NIP), nip=NIP)
    response = session.post("/certificates/query", {"type": "{name.__class__} {0} %s"})
    assert "{name.__class__} {0} %s" in response.text


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/auth/xades-signature", "text/plain"),
        ("/auth/xades-signature", ""),
        ("/testdata/person", "application/xml"),
    ],
)
def test_another_media_type_is_refused_with_415(driver: Driver, path: str, media_type: str) -> None:
    response = driver.http.post(path, content=b"x", headers={"Content-Type": media_type} if media_type else {})
    assert response.status_code == 415


def test_an_unknown_path_is_404_and_a_wrong_method_405(driver: Driver) -> None:
    assert driver.http.get("/nothing/here").status_code == 404
    response = driver.http.put("/certificates/limits")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET")


def test_a_body_without_end_is_cut_off(driver: Driver) -> None:
    assert driver.http.post("/auth/xades-signature", content=b"x" * 4_000_001, headers=XML).status_code == 413


def test_the_test_warning_comes_back_on_success(driver: Driver) -> None:
    response = driver.http.post("/auth/challenge", headers={"X-Test-System-Warning": "mind the gap"})
    assert response.headers["X-System-Warning"] == "mind the gap"


def test_the_rarer_refusals_have_their_documented_shape() -> None:
    too_many = TooManyRequests(30, "Przekroczono limit 20 żądań na minutę. Spróbuj ponownie po 30 sekundach.")
    legacy = too_many.render(FRAME)
    assert (legacy.status, legacy.media_type) == (429, "application/json")
    assert legacy.headers == (("Retry-After", "30"),)
    assert b'"description":"Too Many Requests"' in legacy.body
    forbidden = Forbidden("missing-permissions", requiredAnyOfPermissions=["Owner"], presentPermissions=[])
    assert b'"reasonCode":"missing-permissions"' in forbidden.render(FRAME).body
    assert b'"exceptionCode":500' in Unexpected().render(FRAME).body
    assert str(BadRequest(21405, "why")) == "21405 Błąd walidacji danych wejściowych. why"


def test_every_text_is_that_of_the_specification() -> None:
    """Codes that the specification names carry its words; the others come from observed answers (facts.md §1.3)."""
    text = official_file(SPECIFICATION).read_text(encoding="utf-8")
    documented = {int(code): words for code, words in re.findall(r"\| *(\d{4,5}) *\| *([^|]+?) *\|", text)}
    named = {code: words for code, words in DESCRIPTIONS.items() if code in documented}
    assert len(named) > 25
    assert named == {code: documented[code] for code in named}


def test_the_check_itself_refuses_what_is_not_documented(driver: Driver) -> None:
    response = driver.http.post("/auth/challenge")
    bent = [
        (201, response.content, "application/json"),
        (200, b"{}", "application/json"),
        (200, response.content, "text/plain"),
        (200, response.content[:-1] + b',"more":1}', "application/json"),
    ]
    for status, content, media_type in bent:
        response.status_code, response._content = status, content
        response.headers["Content-Type"] = media_type
        with pytest.raises(AssertionError):
            spec.check(response)

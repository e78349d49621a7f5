"""Pages of other sites cannot use the management face through somebody's browser; programs and its own page can."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sandbox.conftest import NO_DELAYS

from ksef_sandbox import Sandbox
from ksef_sandbox.management.guard import is_local_name

FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "TEXT/PLAIN;a=b"]


def origin_of(ksef: Sandbox) -> str:
    return ksef.management_url.removesuffix("/sandbox")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/reset"), ("POST", "/clock"), ("PUT", "/limits"), ("DELETE", "/requests")]
)
def test_a_page_of_another_site_changes_nothing(ksef: Sandbox, headers: dict[str, str], method: str, path: str) -> None:
    ksef.set(enroll_delay_ms=7)
    response = httpx.request(method, ksef.management_url + path, headers=headers, trust_env=False)
    assert (response.status_code, response.headers["Content-Type"]) == (403, "application/problem+json")
    assert "may not change this sandbox" in response.json()["detail"]
    assert ksef.switches["enroll_delay_ms"] == 7


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("path", ["/reset", "/clock"])
def test_a_form_changes_nothing_and_curl_is_told_the_header(ksef: Sandbox, kind: str, path: str) -> None:
    ksef.set(enroll_delay_ms=7)
    body = b'{"advance_seconds": 1000000}'
    response = httpx.post(ksef.management_url + path, content=body, headers={"Content-Type": kind}, trust_env=False)
    assert response.status_code == 415
    assert "-H 'Content-Type: application/json'" in response.json()["detail"]
    assert ksef.switches["enroll_delay_ms"] == 7


def test_programs_and_the_own_page_change_what_they_like(ksef: Sandbox) -> None:
    own = [{}, {"Origin": origin_of(ksef), "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
    for headers in own:
        response = httpx.post(f"{ksef.management_url}/reset", headers=headers, trust_env=False)
        assert response.status_code == 204


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8380", "127.0.0.1.evil.example", "", "[::1", "a.b."])
def test_a_name_that_any_site_could_own_is_refused_for_reading_too(ksef: Sandbox, host: str, method: str) -> None:
    response = httpx.request(method, f"{ksef.management_url}/clock", headers={"Host": host}, trust_env=False)
    assert response.status_code in (400, 403)
    assert "now" not in response.text


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:8380",
        "[::1]:8380",
        "10.1.2.3",
        "ksef:8380",
        "ksef.localhost",
        "x.internal",
    ],
)
def test_addresses_and_local_names_are_welcome(ksef: Sandbox, host: str) -> None:
    response = httpx.get(f"{ksef.management_url}/clock", headers={"Host": host}, trust_env=False)
    assert response.status_code == 200


@given(st.text())
def test_no_host_breaks_the_guard(host: str) -> None:
    assert is_local_name(host) in (True, False)


@given(st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8})*\.(com|pl|dev|app)\.?(:[0-9]{1,4})?", fullmatch=True))
def test_no_registrable_name_is_local(host: str) -> None:
    assert not is_local_name(host)


def test_no_other_site_is_invited(ksef: Sandbox) -> None:
    """No answer carries a CORS permission, so browsers keep answers from other sites."""
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    for path in ("/limits", "/clock"):
        response = httpx.request("OPTIONS", ksef.management_url + path, headers=asked, trust_env=False)
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_change_through_the_face_survives_a_kill(ksef: Sandbox, tmp_path: object) -> None:
    state = f"{tmp_path}/state.db"
    body = {"type": "Nip", "value": "5265877635", "enrollment": 2}
    with Sandbox(state=state, switches=NO_DELAYS) as kept:
        httpx.put(f"{kept.management_url}/limits", json=body, trust_env=False)
    with Sandbox(state=state) as again:
        answer = httpx.put(f"{again.management_url}/limits", json={**body, "enrollment": None}, trust_env=False).json()
    assert answer["enrollment"]["limit"] == 2

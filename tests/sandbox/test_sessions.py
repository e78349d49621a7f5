"""Tokens and sessions: redeem, refresh, list, end, and from where a token may be used (facts.md §2.8, §2.9)."""

import httpx
import jwt
import pytest
from tests.sandbox.driver import Driver, code_of, details_of
from tests.sandbox.signing import make_person, make_seal

from ksef_sandbox import Sandbox

NIP, OTHER_NIP, PESEL = "5265877635", "7762811692", "80010112345"
SEAL, PERSON = make_seal(nip=NIP), make_person(pesel=PESEL)


def refresh(driver: Driver, token: str) -> httpx.Response:
    return driver.http.post("/auth/token/refresh", headers={"Authorization": f"Bearer {token}"})


def limits_with(driver: Driver, token: str) -> int:
    return driver.http.get("/certificates/limits", headers={"Authorization": f"Bearer {token}"}).status_code


def test_tokens_are_handed_out_once(driver: Driver) -> None:
    begun = driver.begin(SEAL, nip=NIP)
    assert driver.http.post("/auth/token/redeem", headers=begun.bearer).status_code == 200
    again = driver.http.post("/auth/token/redeem", headers=begun.bearer)
    assert code_of(again) == 21301
    assert details_of(again) == [f"Tokeny dla operacji uwierzytelniania {begun.reference} zostały już pobrane."]


def test_a_failed_sign_in_gives_no_tokens(driver: Driver) -> None:
    response = driver.http.post("/auth/token/redeem", headers=driver.begin(SEAL, nip=OTHER_NIP).bearer)
    assert details_of(response) == ["Status uwierzytelniania (415) nie pozwala na pobranie tokenów."]


def test_each_token_opens_only_its_own_doors(driver: Driver) -> None:
    begun = driver.begin(SEAL, nip=NIP)
    session = driver.sign_in(SEAL, nip=NIP)
    assert limits_with(driver, session.access) == 200
    assert limits_with(driver, session.refresh) == 401
    assert limits_with(driver, begun.token) == 401
    assert refresh(driver, session.access).status_code == 401
    assert refresh(driver, begun.token).status_code == 401
    assert driver.http.post("/auth/token/redeem", headers=session.bearer).status_code == 401


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic YTpi"}])
def test_without_a_bearer_token_nothing_opens(driver: Driver, header: dict[str, str]) -> None:
    response = driver.http.get("/certificates/limits", headers=header)
    assert (response.status_code, response.json()["detail"]) == (401, "Wymagane jest uwierzytelnienie.")


def test_a_token_signed_by_another_key_is_refused(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    claims = jwt.decode(session.access, options={"verify_signature": False})
    forged = jwt.encode(claims, "x" * 32, algorithm="HS256")
    unsigned = jwt.encode(claims, "", algorithm="none")
    assert [limits_with(driver, token) for token in (forged, unsigned, "a.b.c")] == [401, 401, 401]


def test_an_access_token_says_what_a_real_one_says(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    claims = jwt.decode(session.access, options={"verify_signature": False})
    assert jwt.get_unverified_header(session.access) == {"alg": "HS256", "typ": "JWT"}
    assert (claims["typ"], claims["cit"], claims["civ"], claims["aum"]) == ("ContextToken", "Nip", NIP, "QualifiedSeal")
    assert (claims["arn"], claims["per"]) == (session.reference, '["Owner"]')
    assert f'"organizationIdentifier": "VATPL-{NIP}"' in claims["sud"]


def test_tokens_live_as_long_as_their_switches_say(ksef: Sandbox, driver: Driver) -> None:
    begun, session = driver.begin(SEAL, nip=NIP), driver.sign_in(SEAL, nip=NIP)
    ksef.advance(minutes=14, seconds=50)
    assert limits_with(driver, session.access) == 200
    ksef.advance(seconds=15)
    assert limits_with(driver, session.access) == 401
    ksef.advance(minutes=31)
    assert driver.http.get(f"/auth/{begun.reference}", headers=begun.bearer).status_code == 401
    assert refresh(driver, session.refresh).status_code == 200
    ksef.advance(days=7)
    assert refresh(driver, session.refresh).status_code == 401


def test_a_refreshed_token_carries_the_rights_of_now(driver: Driver) -> None:
    pair = {
        "contextIdentifier": {"type": "Nip", "value": NIP},
        "authorizedIdentifier": {"type": "Pesel", "value": PESEL},
    }

    def grant(permission: str) -> None:
        entry = {"permissionType": permission, "description": "for a test"}
        driver.http.post("/testdata/permissions", json={**pair, "permissions": [entry]})

    def permissions(token: str) -> str:
        return str(jwt.decode(token, options={"verify_signature": False})["per"])

    grant("InvoiceRead")
    session = driver.sign_in(PERSON, nip=NIP)
    grant("InvoiceWrite")
    assert permissions(session.access) == '["InvoiceRead"]'
    renewed = refresh(driver, session.refresh).json()["accessToken"]["token"]
    assert permissions(renewed) == '["InvoiceRead", "InvoiceWrite"]'
    driver.http.post("/testdata/permissions/revoke", json=pair)
    lost = refresh(driver, session.refresh)
    assert details_of(lost) == ["Status uwierzytelniania (415) nie pozwala na odświeżenie tokenu dostępowego."]
    assert limits_with(driver, session.access) == 200


def test_ending_a_session_stops_refreshing_and_lets_access_tokens_run_out(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.delete("/auth/sessions/current").status_code == 204
    assert limits_with(driver, session.access) == 200
    refused = refresh(driver, session.refresh)
    assert code_of(refused) == 21301
    assert details_of(refused) == ["Status uwierzytelniania (425) nie pozwala na odświeżenie tokenu dostępowego."]
    assert session.get("/auth/sessions").json()["items"] == []


def test_the_current_session_can_be_ended_with_the_refresh_token(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    headers = {"Authorization": f"Bearer {session.refresh}"}
    assert driver.http.delete("/auth/sessions/current", headers=headers).status_code == 204
    assert code_of(refresh(driver, session.refresh)) == 21301


def test_the_status_of_an_ended_sign_in_is_425(driver: Driver) -> None:
    begun = driver.begin(SEAL, nip=NIP)
    assert driver.outcome(begun)["code"] == 200
    driver.sign_in(SEAL, nip=NIP).delete(f"/auth/sessions/{begun.reference}")
    assert driver.outcome(begun)["code"] == 425
    assert code_of(driver.http.post("/auth/token/redeem", headers=begun.bearer)) == 21301


def test_sessions_are_those_of_the_same_identity_in_the_same_context(ksef: Sandbox, driver: Driver) -> None:
    for nip in (NIP, OTHER_NIP):
        ksef.link_person(nip=nip, pesel=PESEL)
    here, there = driver.sign_in(PERSON, nip=NIP), driver.sign_in(PERSON, nip=OTHER_NIP)
    company = driver.sign_in(SEAL, nip=NIP)
    newer = driver.sign_in(PERSON, nip=NIP)
    items = here.get("/auth/sessions").json()["items"]
    assert [item["referenceNumber"] for item in items] == [newer.reference, here.reference]
    assert [item["isCurrent"] for item in items] == [False, True]
    for foreign in (there, company):
        assert code_of(here.delete(f"/auth/sessions/{foreign.reference}")) == 21304
    assert here.delete(f"/auth/sessions/{newer.reference}").status_code == 204
    assert len(here.get("/auth/sessions").json()["items"]) == 1


def test_sessions_come_in_pages(driver: Driver) -> None:
    sessions = [driver.sign_in(SEAL, nip=NIP) for _ in range(12)]
    first = sessions[0].get("/auth/sessions?pageSize=10").json()
    token = {"x-continuation-token": first["continuationToken"]}
    second = sessions[0].get("/auth/sessions?pageSize=10", headers=token).json()
    assert "continuationToken" not in second
    found = [item["referenceNumber"] for item in first["items"] + second["items"]]
    assert found == [session.reference for session in reversed(sessions)]


@pytest.mark.parametrize("token", ["nonsense", "e30=", "eyJza2lwIjogLTF9", "WzFd"])
def test_a_bad_continuation_token_is_refused(driver: Driver, token: str) -> None:
    response = driver.sign_in(SEAL, nip=NIP).get("/auth/sessions", headers={"x-continuation-token": token})
    assert code_of(response) == 21418


def test_a_revoked_certificate_does_not_close_the_sessions_it_opened(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    session.post(f"/certificates/{session.issue()}/revoke", {})
    assert refresh(driver, session.refresh).status_code == 200


@pytest.mark.parametrize(
    "entry",
    [
        "<Ip4Address>10.1.2.3</Ip4Address>",
        "<Ip4Range>10.1.2.1-10.1.2.9</Ip4Range>",
        "<Ip4Mask>10.1.0.0/16</Ip4Mask>",
    ],
)
def test_an_ip_policy_holds_at_each_use_of_the_access_token(driver: Driver, entry: str) -> None:
    policy = f"<AuthorizationPolicy><AllowedIps>{entry}</AllowedIps></AuthorizationPolicy>"
    session = driver.sign_in(SEAL, nip=NIP, version="2.1", policy=policy)
    assert session.get("/certificates/limits", headers={"X-Forwarded-For": "10.1.2.3"}).status_code == 200
    refused = session.get("/certificates/limits")
    assert (refused.status_code, refused.json()["reasonCode"]) == (403, "ip-not-allowed")
    assert refused.json()["security"] == {"clientIp": "127.0.0.1"}


def test_an_empty_policy_restricts_nothing(driver: Driver) -> None:
    policy = "<AuthorizationPolicy><AllowedIps/></AuthorizationPolicy>"
    session = driver.sign_in(SEAL, nip=NIP, version="2.1", policy=policy)
    assert session.get("/certificates/limits").status_code == 200


def test_the_deprecated_method_can_be_left_out(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    ksef.set(send_authentication_method=False)
    # Outside the checked client: specification 2.7.0 still requires the field that was announced to go.
    response = httpx.get(f"{ksef.base_url}/auth/sessions", headers=session.bearer, trust_env=False)
    assert "authenticationMethod" not in response.json()["items"][0]

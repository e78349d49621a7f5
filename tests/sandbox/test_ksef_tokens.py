"""KSeF tokens: made, listed, revoked, and signing in with them (facts.md §2.10, §6)."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tests.sandbox.driver import Begun, Driver, Session, code_of, details_of
from tests.sandbox.granting import appoint_subunit_administrator, grant_person, identifier, persons, revoke_all
from tests.sandbox.ksef_token import encrypt, public_key
from tests.sandbox.signing import make_peppol, make_person, make_seal

from ksef_sandbox import Sandbox

CLIENT, OTHER = "5265877635", "7762811692"
PESEL = "80010112345"
CLERK = make_person(pesel=PESEL)
CLERK_ID = identifier("Pesel", PESEL)
CONTEXT = identifier("Nip", CLIENT)


@pytest.fixture
def client(driver: Driver) -> Session:
    return driver.sign_in(make_seal(nip=CLIENT), nip=CLIENT)


def generate(session: Session, *permissions: str, description: str = "Token testowy") -> str:
    """A new token; returns its whole text."""
    response = session.post("/tokens", {"permissions": list(permissions), "description": description})
    assert response.status_code == 202, response.text
    return str(response.json()["token"])


def reference_of(token: str) -> str:
    return token.partition("|")[0]


def submit(driver: Driver, token: str, *, late_ms: int = 0, **more: Any) -> httpx.Response:
    challenge = driver.http.post("/auth/challenge").json()
    plain = f"{token}|{challenge['timestampMs'] + late_ms}".encode()
    body = {
        "challenge": challenge["challenge"],
        "contextIdentifier": CONTEXT,
        "encryptedToken": encrypt(driver.http, plain),
    }
    return driver.http.post("/auth/ksef-token", json=body | more)


def begin(driver: Driver, token: str, **more: Any) -> Begun:
    response = submit(driver, token, **more)
    assert response.status_code == 202, response.text
    body = response.json()
    return Begun(body["referenceNumber"], body["authenticationToken"]["token"])


def failure(driver: Driver, begun: Begun) -> str:
    """The detail of the status 450 in which a sign-in ends."""
    status = driver.outcome(begun)
    assert status["code"] == 450, status
    return str(status["details"][0])


def sign_in(driver: Driver, token: str, **more: Any) -> Session:
    begun = begin(driver, token, **more)
    assert driver.outcome(begun)["code"] == 200, driver.outcome(begun)
    body = driver.http.post("/auth/token/redeem", headers=begun.bearer).json()
    return Session(driver.http, body["accessToken"]["token"], body["refreshToken"]["token"], begun.reference)


def present(session: Session) -> list[str]:
    found: list[str] = session.post("/permissions/eu-entities/grants", {}).json()["security"]["presentPermissions"]
    return found


def test_a_token_is_shown_once_and_has_the_documented_form(client: Session) -> None:
    token = generate(client, "InvoiceRead")
    assert re.fullmatch(
        rf"[0-9]{{8}}-EC-[0-9A-F]{{10}}-[0-9A-F]{{10}}-[0-9A-F]{{2}}\|nip-{CLIENT}\|[0-9a-f]{{64}}", token
    )
    status = client.get(f"/tokens/{reference_of(token)}")
    assert token.rpartition("|")[2] not in status.text
    shown = status.json()
    assert shown | {"dateCreated": ""} == {
        "referenceNumber": reference_of(token),
        "authorIdentifier": CONTEXT,
        "contextIdentifier": CONTEXT,
        "description": "Token testowy",
        "requestedPermissions": ["InvoiceRead"],
        "dateCreated": "",
        "lastUseDate": None,
        "status": "Active",
        "statusDetails": [],
    }


def test_a_token_signs_in_with_exactly_its_permissions(driver: Driver, client: Session) -> None:
    token = generate(client, "InvoiceRead", "InvoiceWrite")
    session = sign_in(driver, token)
    assert present(session) == ["InvoiceRead", "InvoiceWrite"]
    (listed,) = session.get("/auth/sessions").json()["items"][:1]
    assert listed["authenticationMethodInfo"]["category"] == "Token"
    assert client.get(f"/tokens/{reference_of(token)}").json()["lastUseDate"] is not None


def test_a_token_of_an_internal_unit_works_in_it(driver: Driver, client: Session) -> None:
    unit = identifier("InternalId", f"{CLIENT}-12346")
    assert appoint_subunit_administrator(client, CLERK_ID, unit) == 200
    administrator = driver.sign_in(CLERK, context=("InternalId", unit["value"]))
    token = generate(administrator, "CredentialsManage")
    assert f"|internalId-{unit['value']}|" in token
    assert present(sign_in(driver, token, contextIdentifier=unit)) == ["CredentialsManage"]


def test_the_newest_key_id_may_be_named_and_a_strange_one_is_refused(driver: Driver, client: Session) -> None:
    token = generate(client, "InvoiceRead")
    assert present(sign_in(driver, token, publicKeyId=public_key(driver.http)["publicKeyId"])) == ["InvoiceRead"]
    strange = public_key(driver.http, "SymmetricKeyEncryption")["publicKeyId"]
    refused = submit(driver, token, publicKeyId=strange)
    assert code_of(refused) == 21470
    assert details_of(refused) == [f"Klucz o identyfikatorze {strange} nie jest wspierany."]


def test_public_keys_describe_themselves(driver: Driver, ksef: Sandbox) -> None:
    keys = driver.http.get("/security/public-key-certificates").json()
    assert [key["usage"] for key in keys] == [["KsefTokenEncryption"], ["SymmetricKeyEncryption"]]
    for key in keys:
        der = base64.b64decode(key["certificate"])
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(ksef.ca_certificate)
        info = certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        assert base64.b64decode(key["certificateId"]) == hashlib.sha256(der).digest()
        assert base64.b64decode(key["publicKeyId"]) == hashlib.sha256(info).digest()
    assert driver.http.get("/security/public-key-certificates").json() == keys


def test_a_wrong_time_is_a_wrong_token(driver: Driver, client: Session) -> None:
    token = generate(client, "InvoiceRead")
    assert failure(driver, begin(driver, token, late_ms=1)) == "Nieprawidłowy czas tokena"


@pytest.mark.parametrize("change", [lambda t: t[:-1] + "x", lambda t: t.replace("-EC-", "-ED-"), lambda t: "nonsense"])
def test_a_changed_token_is_a_wrong_token(driver: Driver, client: Session, change: Any) -> None:
    token = generate(client, "InvoiceRead")
    assert failure(driver, begin(driver, change(token))) == "Nieprawidłowy token"


def test_a_token_works_in_its_own_context_alone(driver: Driver, client: Session) -> None:
    token = generate(client, "InvoiceRead")
    told = failure(driver, begin(driver, token, contextIdentifier=identifier("Nip", OTHER)))
    assert told.startswith("Token nie może być użyty w kontekście")


def test_wrong_encryption_and_wrong_encoding_are_told_apart(driver: Driver, client: Session) -> None:
    token = generate(client, "InvoiceRead").encode()
    oaep_sha1 = encrypt(driver.http, token, algorithm=hashes.SHA1())  # noqa: S303
    assert failure(driver, begin(driver, "", encryptedToken=oaep_sha1)) == "Nieprawidłowe szyfrowanie tokena"
    short = base64.b64encode(b"x").decode()
    assert failure(driver, begin(driver, "", encryptedToken=short)) == "Nieprawidłowe szyfrowanie tokena"
    for plain in (b"\xff\xfe|1", b"no time", b"token|soon"):
        told = failure(driver, begin(driver, "", encryptedToken=encrypt(driver.http, plain)))
        assert told == "Nieprawidłowe kodowanie tokena"


@pytest.mark.parametrize(
    "more",
    [
        {"encryptedToken": "§"},
        {"publicKeyId": "short"},
        {"contextIdentifier": {"type": "Nip", "value": "1"}},
        {"contextIdentifier": {"type": "Pesel", "value": PESEL}},
        {"challenge": "short"},
        {"authorizationPolicy": {"allowedIps": {"ip4Addresses": ["300.1.1.1"]}}},
        {"authorizationPolicy": {"allowedIps": {"ip4Addresses": ["10.0.0.1"] * 11}}},
    ],
)
def test_a_malformed_request_is_refused_at_once(driver: Driver, more: dict[str, Any]) -> None:
    assert code_of(submit(driver, "token", **more)) == 21405


def test_a_challenge_works_once_for_tokens_too(driver: Driver, client: Session) -> None:
    challenge = driver.http.post("/auth/challenge").json()
    encrypted = encrypt(driver.http, f"{generate(client, 'InvoiceRead')}|{challenge['timestampMs']}".encode())
    body = {"challenge": challenge["challenge"], "contextIdentifier": CONTEXT, "encryptedToken": encrypted}
    assert driver.http.post("/auth/ksef-token", json=body).status_code == 202
    assert code_of(driver.http.post("/auth/ksef-token", json=body)) == 21111


def test_an_ip_policy_is_kept_at_every_use(driver: Driver, client: Session) -> None:
    token = generate(client, "InvoiceRead")
    session = sign_in(driver, token, authorizationPolicy={"allowedIps": {"ip4Ranges": ["10.0.0.1-10.0.0.9"]}})
    refused = session.get("/tokens")
    assert (refused.status_code, refused.json()["reasonCode"]) == (403, "ip-not-allowed")
    assert sign_in(driver, token, authorizationPolicy={"allowedIps": {"ip4Masks": ["127.0.0.0/8"]}}).get("/tokens")


def test_nobody_puts_into_a_token_what_he_does_not_have(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "InvoiceRead") == 200
    clerk = driver.sign_in(CLERK, nip=CLIENT)
    refused = clerk.post("/tokens", {"permissions": ["InvoiceRead", "InvoiceWrite"], "description": "Za dużo"})
    assert code_of(refused) == 26001
    assert "InvoiceWrite" in details_of(refused)[0]
    enforcing = client.post("/tokens", {"permissions": ["EnforcementOperations"], "description": "Bez roli"})
    assert code_of(enforcing) == 26001


def test_a_token_needs_a_company_or_a_unit_for_context(driver: Driver) -> None:
    provider = driver.sign_in(make_peppol("PPL123456"), context=("PeppolId", "PPL123456"))
    refused = provider.post("/tokens", {"permissions": ["InvoiceRead"], "description": "Token testowy"})
    assert code_of(refused) == 26002


def test_a_token_session_makes_no_tokens(driver: Driver, client: Session) -> None:
    session = sign_in(driver, generate(client, "CredentialsManage"))
    refused = session.post("/tokens", {"permissions": ["CredentialsManage"], "description": "Token z tokena"})
    assert refused.status_code == 403
    assert refused.json()["security"] == {"authenticationMethodCategory": "Token"}


def test_a_token_session_may_grant_if_its_token_may(driver: Driver, client: Session) -> None:
    session = sign_in(driver, generate(client, "CredentialsManage"))
    assert grant_person(session, CLERK_ID, "InvoiceRead") == 200


def test_a_token_session_gets_no_certificates(driver: Driver, client: Session) -> None:
    session = sign_in(driver, generate(client, "InvoiceRead"))
    assert code_of(session.get("/certificates/enrollments/data")) == 25001
    assert code_of(session.enroll(csr=client.csr())) == 25002


def test_a_token_session_revokes_no_certificate_and_under_the_switch_hears_403_everywhere(
    driver: Driver, client: Session, ksef: Sandbox
) -> None:
    serial, csr = client.issue(), client.csr()
    session = sign_in(driver, generate(client, "InvoiceRead"))
    refused = session.post(f"/certificates/{serial}/revoke", {})
    assert (refused.status_code, refused.json()["reasonCode"]) == (403, "auth-method-not-allowed")
    ksef.set(token_session_on_certificates="403")
    for answer in (session.get("/certificates/enrollments/data"), session.enroll(csr=csr)):
        assert answer.json()["security"] == {"authenticationMethodCategory": "Token"}
    assert client.listed()[0]["status"] == "Active"


@pytest.mark.parametrize(
    "body",
    [
        {"permissions": [], "description": "Token testowy"},
        {"permissions": ["VatUeManage"], "description": "Token testowy"},
        {"permissions": ["InvoiceRead", "InvoiceRead"], "description": "Token testowy"},
        {"permissions": ["InvoiceRead"], "description": "1234"},
        {"permissions": ["InvoiceRead"]},
    ],
)
def test_a_bad_request_for_a_token_is_refused(client: Session, body: dict[str, Any]) -> None:
    assert code_of(client.post("/tokens", body)) == 21405


def test_a_token_is_pending_then_active_then_revoking_then_revoked(
    driver: Driver, client: Session, ksef: Sandbox
) -> None:
    ksef.set(perm_delay_ms=60_000)
    token = generate(client, "InvoiceRead")
    path = f"/tokens/{reference_of(token)}"
    assert client.get(path).json()["status"] == "Pending"
    assert failure(driver, begin(driver, token)) == "Token nieaktywny"
    ksef.advance(seconds=60)
    assert client.get(path).json()["status"] == "Active"
    session = sign_in(driver, token)
    begun = begin(driver, token)
    assert client.delete(path).status_code == 204
    assert client.get(path).json()["status"] == "Revoking"
    assert failure(driver, begin(driver, token)) == "Token unieważniony"
    ksef.advance(seconds=60)
    assert client.get(path).json()["status"] == "Revoked"
    assert client.delete(path).status_code == 204
    # What was signed in lives on; what was not redeemed is lost.
    assert driver.http.post("/auth/token/refresh", headers={"Authorization": f"Bearer {session.refresh}"}).is_success
    refused = driver.http.post("/auth/token/redeem", headers=begun.bearer)
    assert (code_of(refused), details_of(refused)) == (21301, ["Token KSeF został unieważniony."])


def test_a_token_is_worth_what_its_author_still_has(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "InvoiceRead", "Introspection") == 200
    token = generate(driver.sign_in(CLERK, nip=CLIENT), "InvoiceRead", "Introspection")
    assert present(sign_in(driver, token)) == ["Introspection", "InvoiceRead"]
    revoke_all(client, persons(client, permissionTypes=["Introspection"]))
    assert present(sign_in(driver, token)) == ["InvoiceRead"]
    revoke_all(client, persons(client))
    assert driver.outcome(begin(driver, token))["code"] == 415


def test_who_sees_which_tokens(driver: Driver, client: Session, ksef: Sandbox) -> None:
    assert grant_person(client, CLERK_ID, "InvoiceRead") == 200
    clerk = driver.sign_in(CLERK, nip=CLIENT)
    of_clerk, of_company = generate(clerk, "InvoiceRead"), generate(client, "InvoiceRead")
    other = driver.sign_in(make_seal(nip=OTHER), nip=OTHER)

    def seen(session: Session) -> set[str]:
        return {item["referenceNumber"] for item in session.get("/tokens").json()["tokens"]}

    both = {reference_of(of_clerk), reference_of(of_company)}
    assert seen(client) == both
    assert seen(clerk) == {reference_of(of_clerk)}
    assert seen(sign_in(driver, of_clerk)) == {reference_of(of_clerk)}
    assert seen(sign_in(driver, generate(client, "CredentialsRead"))) > both
    assert seen(other) == set()
    foreign = f"/tokens/{reference_of(of_company)}"
    for refused in (clerk.get(foreign), clerk.delete(foreign)):
        assert (refused.status_code, refused.json()["reasonCode"]) == (403, "insufficient-resource-access")
    assert code_of(other.get(foreign)) == 21405
    assert code_of(client.delete(f"/tokens/{reference_of(of_company)[:-2]}ZZ")) == 21405


def test_the_link_of_nip_and_pesel_shares_tokens(driver: Driver, client: Session, ksef: Sandbox) -> None:
    """A former owner, now an employee without credentials of the company, still sees what his NIP has made."""
    token = generate(client, "InvoiceRead")
    ksef.link_person(nip=CLIENT, pesel=PESEL)
    linked = driver.sign_in(CLERK, nip=CLIENT)
    assert linked.get(f"/tokens/{reference_of(token)}").json()["authorIdentifier"] == CONTEXT
    assert linked.delete(f"/tokens/{reference_of(token)}").status_code == 204


def test_tokens_are_filtered_and_paged_newest_first(client: Session, ksef: Sandbox) -> None:
    tokens = []
    for number in range(12):
        ksef.advance(seconds=1)
        tokens.append(reference_of(generate(client, "InvoiceRead", description=f"Księgowość {number:02}")))
    client.delete(f"/tokens/{tokens[3]}")
    first = client.get("/tokens?pageSize=10").json()
    rest = client.get("/tokens?pageSize=10", headers={"x-continuation-token": first["continuationToken"]}).json()
    assert [item["referenceNumber"] for item in first["tokens"] + rest["tokens"]] == tokens[::-1]
    assert "continuationToken" not in rest

    def found(query: str) -> list[str]:
        return [item["referenceNumber"] for item in client.get(f"/tokens?pageSize=100&{query}").json()["tokens"]]

    assert found("status=Revoked") == [tokens[3]]
    assert len(found("status=Revoked&status=Active")) == 12
    assert found("description=KSIĘGOWOŚĆ 07") == [tokens[7]]
    assert len(found(f"authorIdentifier={CLIENT[2:6]}&authorIdentifierType=Nip")) == 12
    assert found("authorIdentifierType=Pesel") == []
    for wrong in ("status=Lost", "description=ab", "authorIdentifier=1", "authorIdentifierType=Vat", "pageSize=9"):
        assert code_of(client.get(f"/tokens?{wrong}")) == 21405
    for strange in ("not Base64", "AAAA", base64.b64encode(b'{"skip": -1}').decode()):
        assert code_of(client.get("/tokens", headers={"x-continuation-token": strange})) == 21418


def test_tokens_and_keys_survive_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "sandbox.db"
    delays = {"auth_delay_ms": 0, "perm_delay_ms": 0}
    with Sandbox(state=state, switches=delays) as first:
        driver = Driver(first.base_url)
        with driver.http:
            owner = driver.sign_in(make_seal(nip=CLIENT), nip=CLIENT)
            assert grant_person(owner, CLERK_ID, "InvoiceRead") == 200
            token = generate(driver.sign_in(CLERK, nip=CLIENT), "InvoiceRead")
            keys = driver.http.get("/security/public-key-certificates").json()
    with Sandbox(state=state, switches=delays) as second:
        driver = Driver(second.base_url)
        with driver.http:
            assert driver.http.get("/security/public-key-certificates").json() == keys
            assert present(sign_in(driver, token)) == ["InvoiceRead"]

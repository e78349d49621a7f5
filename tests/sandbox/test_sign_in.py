"""Signing in: challenge, identity, context, rights and how each ends (facts.md §2.1-2.7, §5.5)."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.sandbox.driver import XML, Driver, code_of
from tests.sandbox.signing import (
    TestCredential,
    auth_token_request,
    make_anonymous,
    make_credential,
    make_peppol,
    make_person,
    make_seal,
    sign,
)

from ksef_sandbox import Sandbox

NIP, OTHER_NIP, PESEL = "5265877635", "7762811692", "80010112345"
SEAL, PERSON = make_seal(nip=NIP), make_person(pesel=PESEL)


# The challenge


def test_a_challenge_says_when_and_for_whom_it_was_made(ksef: Sandbox, driver: Driver) -> None:
    body = driver.http.post("/auth/challenge").json()
    made = datetime.fromisoformat(body["timestamp"])
    assert abs(made - ksef.now()) < timedelta(seconds=5)
    assert body["timestampMs"] == int(made.timestamp() * 1000)
    assert body["clientIp"] == "127.0.0.1"


def test_a_challenge_works_once(ksef: Sandbox, driver: Driver) -> None:
    challenge = driver.challenge()
    assert driver.submit(SEAL, nip=NIP, challenge=challenge).status_code == 202
    assert code_of(driver.submit(SEAL, nip=NIP, challenge=challenge)) == 21111
    ksef.set(challenge_single_use=False)
    assert driver.submit(SEAL, nip=NIP, challenge=challenge).status_code == 202


def test_a_challenge_lives_ten_minutes(ksef: Sandbox, driver: Driver) -> None:
    early, late = driver.challenge(), driver.challenge()
    ksef.advance(minutes=9, seconds=55)
    assert driver.submit(SEAL, nip=NIP, challenge=early).status_code == 202
    ksef.advance(seconds=6)
    assert code_of(driver.submit(SEAL, nip=NIP, challenge=late)) == 21111


def test_an_unknown_challenge_is_refused(driver: Driver) -> None:
    unknown = "20260101-CR-0000000000-0000000000-00"
    assert code_of(driver.submit(SEAL, nip=NIP, challenge=unknown)) == 21111


def test_a_refused_document_does_not_use_up_its_challenge(driver: Driver) -> None:
    challenge = driver.challenge()
    assert code_of(driver.submit(make_anonymous(), nip=NIP, challenge=challenge)) == 21115
    assert driver.submit(SEAL, nip=NIP, challenge=challenge).status_code == 202


# Who may enter


def test_a_company_enters_its_own_context_without_any_registration(driver: Driver) -> None:
    assert driver.status_code(make_seal(nip="9999999999"), nip="9999999999") == 200
    assert driver.status_code(make_person(nip="9999999999"), nip="9999999999") == 200


def test_a_stranger_ends_with_415(driver: Driver) -> None:
    outcome = driver.outcome(driver.begin(SEAL, nip=OTHER_NIP))
    assert (outcome["code"], outcome["details"]) == (415, ["Brak przypisanych uprawnień"])
    assert driver.status_code(PERSON, nip=NIP) == 415


def test_a_linked_person_is_an_owner_until_removed(driver: Driver) -> None:
    person = {"nip": NIP, "pesel": PESEL, "isBailiff": False, "description": "for a test"}
    assert driver.http.post("/testdata/person", json=person).status_code == 200
    assert driver.status_code(PERSON, nip=NIP) == 200
    assert driver.status_code(PERSON, nip=OTHER_NIP) == 415
    assert code_of(driver.http.post("/testdata/person", json=person)) == 30001
    driver.http.post("/testdata/person/remove", json={"nip": NIP})
    assert driver.status_code(PERSON, nip=NIP) == 415


@pytest.mark.parametrize(
    ("kind", "value", "credential"),
    [("Nip", OTHER_NIP, make_seal(nip=OTHER_NIP)), ("Pesel", PESEL, PERSON)],
)
def test_a_granted_permission_opens_the_context_until_it_is_taken(
    driver: Driver, kind: str, value: str, credential: TestCredential
) -> None:
    pair = {
        "contextIdentifier": {"type": "Nip", "value": NIP},
        "authorizedIdentifier": {"type": kind, "value": value},
    }
    permissions = [{"permissionType": "InvoiceWrite", "description": "for a test"}]
    driver.http.post("/testdata/permissions", json={**pair, "permissions": permissions})
    assert driver.status_code(credential, nip=NIP) == 200
    driver.http.post("/testdata/permissions/revoke", json=pair)
    assert driver.status_code(credential, nip=NIP) == 415


def test_a_fingerprint_needs_a_permission_and_its_subject_does_not_matter(driver: Driver) -> None:
    assert driver.status_code(SEAL, nip=NIP, subject="certificateFingerprint") == 415
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
    assert driver.status_code(stranger, nip=NIP, subject="certificateFingerprint") == 200


def test_test_data_take_effect_after_their_delay(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(testdata_delay_ms=60_000)
    ksef.link_person(nip=NIP, pesel=PESEL)
    assert driver.status_code(PERSON, nip=NIP) == 415
    ksef.advance(minutes=1)
    assert driver.status_code(PERSON, nip=NIP) == 200


def test_a_peppol_provider_enters_its_own_context_and_nobody_else_does(driver: Driver) -> None:
    provider = make_peppol("PPL123456")
    assert driver.status_code(provider, context=("PeppolId", "PPL123456")) == 200
    assert driver.status_code(provider, context=("PeppolId", "PPL654321")) == 415
    assert code_of(driver.submit(SEAL, context=("PeppolId", "PPL123456"))) == 21117
    assert code_of(driver.submit(provider, nip=NIP)) == 21117


def test_a_subject_without_identifier_conflicts_with_the_type_of_sign_in(driver: Driver) -> None:
    unnumbered = make_credential(
        [
            (NameOID.ORGANIZATION_NAME, "Firma"),
            (NameOID.ORGANIZATION_IDENTIFIER, NIP),
            (NameOID.COMMON_NAME, "Firma"),
            (NameOID.COUNTRY_NAME, "PL"),
        ]
    )
    assert code_of(driver.submit(unnumbered, nip=NIP)) == 21406


def test_a_blocked_context_ends_with_480_and_old_tokens_keep_working(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    context = {"contextIdentifier": {"type": "Nip", "value": NIP}}
    driver.http.post("/testdata/context/block", json=context)
    assert driver.status_code(SEAL, nip=NIP) == 480
    assert session.get("/certificates/limits").status_code == 200
    driver.http.post("/testdata/context/unblock", json=context)
    assert driver.status_code(SEAL, nip=NIP) == 200
    assert driver.http.post("/testdata/context/block", json={}).status_code == 200


def test_a_dead_persons_means_end_with_470_and_give_no_tokens(ksef: Sandbox, driver: Driver) -> None:
    ksef.link_person(nip=NIP, pesel=PESEL, is_deceased=True)
    begun = driver.begin(PERSON, nip=NIP)
    assert driver.outcome(begun)["code"] == 470
    assert code_of(driver.http.post("/auth/token/redeem", headers=begun.bearer)) == 21308


# Certificates and trust


def test_a_certificate_out_of_its_time_ends_with_460(driver: Driver) -> None:
    day = timedelta(days=1)
    now = datetime.now(UTC)
    for start, end in ((now - 10 * day, now - day), (now + day, now + 10 * day)):
        outcome = driver.outcome(driver.begin(make_seal(nip=NIP, not_before=start, not_after=end), nip=NIP))
        assert (outcome["code"], outcome["details"]) == (460, ["Nieważny certyfikat"])


def test_checking_the_chain_of_a_self_signed_certificate_fails(ksef: Sandbox, driver: Driver) -> None:
    outcome = driver.outcome(driver.begin(SEAL, nip=NIP, query="?verifyCertificateChain=true"))
    assert (outcome["code"], outcome["details"]) == (460, ["Niezaufany łańcuch certyfikatów"])
    assert driver.status_code(SEAL, nip=NIP, query="?verifyCertificateChain=false") == 200
    ksef.set(chain_fail_on_test="21115")
    assert code_of(driver.submit(SEAL, nip=NIP, query="?verifyCertificateChain=true")) == 21115
    assert code_of(driver.submit(SEAL, nip=NIP, query="?verifyCertificateChain=maybe")) == 21405


@pytest.mark.parametrize("profile", ["demo", "prd"])
def test_other_environments_take_ksef_certificates_only_and_have_no_test_data(
    ksef: Sandbox, driver: Driver, profile: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    session = driver.sign_in(SEAL, nip=NIP)
    issued = TestCredential(session.retrieve(session.issue(key=key)), key)
    ksef.set(env_profile=profile)
    assert code_of(driver.submit(SEAL, nip=NIP)) == 21115
    assert driver.status_code(issued, nip=NIP, query="?verifyCertificateChain=true") == 200
    # Outside the checked client: the specification is that of the test environment.
    assert httpx.post(f"{ksef.base_url}/testdata/person", json={}, trust_env=False).status_code == 404


def issue(driver: Driver, kind: str) -> tuple[TestCredential, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    session = driver.sign_in(SEAL, nip=NIP)
    serial = session.issue(kind, key=key)
    return TestCredential(session.retrieve(serial), key), serial


def test_an_offline_certificate_does_not_sign_in(ksef: Sandbox, driver: Driver) -> None:
    offline, _ = issue(driver, "Offline")
    assert code_of(driver.submit(offline, nip=NIP)) == 21115
    ksef.set(offline_cert_login="460")
    assert driver.outcome(driver.begin(offline, nip=NIP))["details"] == ["Niepoprawny certyfikat"]


def test_a_ksef_certificate_ends_as_its_state_says(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(revoke_delay_ms=60_000)
    issued, serial = issue(driver, "Authentication")
    details = []
    driver.sign_in(SEAL, nip=NIP).post(f"/certificates/{serial}/revoke", {})
    details += driver.outcome(driver.begin(issued, nip=NIP))["details"]
    ksef.advance(minutes=1)
    details += driver.outcome(driver.begin(issued, nip=NIP))["details"]
    expired, serial = issue(driver, "Authentication")
    past = (ksef.now() - timedelta(days=1)).isoformat()
    driver.sign_in(SEAL, nip=NIP).put(f"/testdata/certificates/{serial}", {"validTo": past})
    details += driver.outcome(driver.begin(expired, nip=NIP))["details"]
    assert details == ["Certyfikat zawieszony", "Certyfikat odwołany", "Nieważny certyfikat"]


def test_a_ksef_certificate_that_is_not_yet_valid_does_not_sign_in(ksef: Sandbox, driver: Driver) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    session = driver.sign_in(SEAL, nip=NIP)
    serial = session.issue(key=key, validFrom=(ksef.now() + timedelta(days=5)).isoformat())
    future = TestCredential(session.retrieve(serial), key)
    assert driver.status_code(future, nip=NIP) == 460
    ksef.advance(days=5)
    assert driver.status_code(future, nip=NIP) == 200


def test_a_certificate_of_the_authority_that_is_not_on_record_is_refused(ksef: Sandbox, driver: Driver) -> None:
    issued, _ = issue(driver, "Authentication")
    ksef.reset()
    assert code_of(driver.submit(issued, nip=NIP)) == 21115


def test_a_certificate_of_another_sandbox_is_only_a_foreign_certificate(ksef: Sandbox, driver: Driver) -> None:
    with Sandbox(switches={"auth_delay_ms": 0, "enroll_delay_ms": 0}) as other:
        elsewhere = Driver(other.base_url)
        with elsewhere.http:
            issued, _ = issue(elsewhere, "Authentication")
    ksef.set(env_profile="demo")
    assert code_of(driver.submit(issued, nip=NIP)) == 21115


# How it is told


def test_a_sign_in_stays_in_progress_for_its_delay(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(auth_delay_ms=60_000)
    begun = driver.begin(SEAL, nip=NIP)
    assert driver.outcome(begun)["code"] == 100
    assert code_of(driver.http.post("/auth/token/redeem", headers=begun.bearer)) == 21301
    ksef.advance(minutes=1)
    assert driver.outcome(begun)["code"] == 200


@pytest.mark.parametrize(
    ("credential", "nip", "method", "code"),
    [
        (SEAL, NIP, "QualifiedSeal", "xades.qualified-seal"),
        (make_person(nip=NIP), NIP, "QualifiedSignature", "xades.qualified-signature"),
    ],
)
def test_the_status_tells_the_method(
    ksef: Sandbox, driver: Driver, credential: TestCredential, nip: str, method: str, code: str
) -> None:
    begun = driver.begin(credential, nip=nip)
    body = driver.http.get(f"/auth/{begun.reference}", headers=begun.bearer).json()
    assert (body["authenticationMethod"], body["authenticationMethodInfo"]["code"]) == (method, code)
    assert body["isTokenRedeemed"] is False


def test_a_status_of_another_sign_in_is_not_found_and_an_old_one_is_gone(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(token_ttl_auth_s=10**7)
    mine, other = driver.begin(SEAL, nip=NIP), driver.begin(SEAL, nip=NIP)
    assert code_of(driver.http.get(f"/auth/{other.reference}", headers=mine.bearer)) == 21304
    assert code_of(driver.http.get("/auth/short", headers=mine.bearer)) == 21405
    ksef.advance(days=7)
    assert driver.http.get(f"/auth/{mine.reference}", headers=mine.bearer).status_code == 410


def test_the_signature_warning_reaches_the_client(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(xades_compliance="warn")
    body = sign(auth_token_request(driver.challenge(), nip=NIP), SEAL, signing_certificate="none")
    response = driver.http.post("/auth/xades-signature", content=body, headers=XML)
    assert response.status_code == 202
    assert response.headers["X-System-Warning"].startswith("sig-001")
    enforced = XML | {"X-KSeF-Feature": "enforce-xades-compliance"}
    body = sign(auth_token_request(driver.challenge(), nip=NIP), SEAL, signing_certificate="none")
    assert code_of(driver.http.post("/auth/xades-signature", content=body, headers=enforced)) == 9105


def test_only_schema_2_0_is_taken_under_the_switch(ksef: Sandbox, driver: Driver) -> None:
    assert driver.submit(SEAL, nip=NIP, version="2.1").status_code == 202
    ksef.set(accept_auth_schema="2.0")
    assert code_of(driver.submit(SEAL, nip=NIP, version="2.1")) == 21401
    assert driver.submit(SEAL, nip=NIP, version="2.0").status_code == 202

"""Certificates from request to revocation, over HTTP (facts.md §3)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID
from tests.sandbox.driver import Driver, code_of, csr_of, details_of
from tests.sandbox.signing import (
    TestCredential,
    make_anonymous,
    make_credential,
    make_peppol,
    make_person,
    make_seal,
    rsa_key,
)

from ksef_sandbox import Sandbox

NIP, OTHER_NIP, PESEL = "5265877635", "7762811692", "80010112345"
SEAL, OTHER_SEAL = make_seal(nip=NIP), make_seal(nip=OTHER_NIP)
PERSON = make_person(pesel=PESEL, given_name="Łucja", surname="Żółć-Gęś")


def test_a_company_gets_a_pair_of_certificates(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.limits() == (300, 100)
    serials = [session.issue("Authentication"), session.issue("Offline", key=rsa_key())]
    assert session.limits() == (298, 98)
    listed = session.listed()
    assert [item["certificateSerialNumber"] for item in listed] == serials[::-1]
    assert [item["type"] for item in listed] == ["Offline", "Authentication"]
    assert {item["status"] for item in listed} == {"Active"}
    assert listed[0]["subjectIdentifier"] == {"type": "Nip", "value": NIP}
    assert listed[0]["commonName"] == "Łódzkie Zakłady Testowe (offline)"


@pytest.mark.parametrize("key", [pytest.param(None, id="EC"), pytest.param(rsa_key(), id="RSA")])
def test_a_seals_certificate_has_the_observed_profile(
    ksef: Sandbox, driver: Driver, key: rsa.RSAPrivateKey | None
) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    serial = session.issue("Authentication", key=key)
    certificate = session.retrieve(serial)
    certificate.verify_directly_issued_by(ksef.ca_certificate)
    assert serial.startswith("01")
    assert f"{certificate.serial_number:016X}" == serial
    assert certificate.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA512
    assert "SANDBOX" in certificate.issuer.rfc4514_string()
    assert [attribute.oid for attribute in certificate.subject] == [
        NameOID.COUNTRY_NAME,
        NameOID.ORGANIZATION_IDENTIFIER,
        NameOID.ORGANIZATION_NAME,
        NameOID.COMMON_NAME,
    ]
    assert common_name(certificate) == "Łódzkie Zakłady Testowe (uwierzytelnienie)"
    assert certificate.not_valid_after_utc.year == certificate.not_valid_before_utc.year + 2
    extensions = certificate.extensions
    assert {extension.oid for extension in extensions} == {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3"),
    }
    assert {extension.oid for extension in extensions if extension.critical} == {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
    }


def test_the_two_types_differ_in_key_usage_and_suffix(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    found = {}
    for kind in ("Authentication", "Offline"):
        certificate = session.retrieve(session.issue(kind))
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        found[kind] = (usage.digital_signature, usage.content_commitment, common_name(certificate).split(" (")[1])
    assert found == {"Authentication": (True, False, "uwierzytelnienie)"), "Offline": (False, True, "offline)")}


def test_a_persons_certificate_carries_the_person(ksef: Sandbox, driver: Driver) -> None:
    ksef.link_person(nip=NIP, pesel=PESEL)
    session = driver.sign_in(PERSON, nip=NIP)
    certificate = session.retrieve(session.issue("Authentication"))
    values = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert values == {
        NameOID.COUNTRY_NAME: "PL",
        NameOID.SERIAL_NUMBER: f"PNOPL-{PESEL}",
        NameOID.GIVEN_NAME: "Łucja",
        NameOID.SURNAME: "Żółć-Gęś",
        NameOID.COMMON_NAME: "Łucja Żółć-Gęś (uwierzytelnienie)",
    }


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_the_revocation_list_names_a_revoked_certificate(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    certificate = session.retrieve(session.issue())
    session.post(f"/certificates/{certificate.serial_number:016X}/revoke", {})
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    address = [name.value for name in points[0].full_name or []]
    crl = x509.load_der_x509_crl(httpx.get(address[0], trust_env=False).content)
    assert crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def test_a_ksef_certificate_signs_in_and_enrolls_its_successor_for_the_same_identity(driver: Driver) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    session = driver.sign_in(SEAL, nip=NIP)
    issued = session.retrieve(session.issue(key=key))
    renewed = driver.sign_in(TestCredential(issued, key), nip=NIP)
    assert renewed.get("/certificates/enrollments/data").json()["commonName"] == "Łódzkie Zakłady Testowe"
    successor = renewed.retrieve(renewed.issue())
    assert common_name(successor) == "Łódzkie Zakłady Testowe (uwierzytelnienie)"
    assert renewed.limits() == (298, 98)
    assert len(session.listed()) == 2
    assert session.listed()[1]["lastUseDate"] is not None


def test_enrollment_data_keep_the_suffix_under_the_switch(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(strip_cn_suffix_in_data=False)
    key = ec.generate_private_key(ec.SECP256R1())
    session = driver.sign_in(SEAL, nip=NIP)
    renewed = driver.sign_in(TestCredential(session.retrieve(session.issue(key=key)), key), nip=NIP)
    data = renewed.get("/certificates/enrollments/data").json()
    assert data["commonName"] == "Łódzkie Zakłady Testowe (uwierzytelnienie)"


def test_enrollment_data_are_normalised(ksef: Sandbox, driver: Driver) -> None:
    old_style = make_credential(
        [
            (NameOID.GIVEN_NAME, "Jan"),
            (NameOID.SURNAME, "Nowak"),
            (NameOID.SERIAL_NUMBER, f"NIP-{NIP}"),
            (NameOID.COMMON_NAME, "Jan Nowak"),
            (NameOID.COUNTRY_NAME, "PL"),
        ]
    )
    data = driver.sign_in(old_style, nip=NIP).get("/certificates/enrollments/data").json()
    assert data["serialNumber"] == f"TINPL-{NIP}"
    assert (data["givenName"], data["organizationName"]) == ("Jan", None)


def test_a_fingerprint_identity_gets_certificates_that_sign_in_as_itself(ksef: Sandbox, driver: Driver) -> None:
    stranger = make_anonymous()
    grant(driver, NIP, "Fingerprint", stranger.certificate.fingerprint(hashes.SHA256()).hex().upper())
    session = driver.sign_in(stranger, nip=NIP, subject="certificateFingerprint")
    assert session.limits() == (12, 6)
    key = ec.generate_private_key(ec.SECP256R1())
    issued = TestCredential(session.retrieve(session.issue(key=key)), key)
    assert session.listed()[0]["subjectIdentifier"]["type"] == "Fingerprint"
    assert driver.sign_in(issued, nip=NIP).limits() == (11, 5)
    ksef.set(fingerprint_enrollment="25001")
    assert code_of(session.get("/certificates/enrollments/data")) == 25001
    assert code_of(session.enroll(csr="AA==")) == 25002


def grant(driver: Driver, nip: str, kind: str, value: str, permission: str = "InvoiceRead") -> None:
    body = {
        "contextIdentifier": {"type": "Nip", "value": nip},
        "authorizedIdentifier": {"type": kind, "value": value},
        "permissions": [{"permissionType": permission, "description": "for a test"}],
    }
    assert driver.http.post("/testdata/permissions", json=body).status_code == 200


def test_a_peppol_provider_owns_no_certificates(driver: Driver) -> None:
    session = driver.sign_in(make_peppol("PPL123456"), context=("PeppolId", "PPL123456"), version="2.0")
    assert session.limits() == (0, 0)
    assert code_of(session.get("/certificates/enrollments/data")) == 25001
    assert code_of(session.enroll(csr="AA==")) == 25002


# What is asked for


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"certificateName": "abcd"}, "The length of 'certificateName' must be at least 5 characters. You entered 4."),
        (
            {"certificateName": "a" * 101},
            "The length of 'certificateName' must be 100 characters or fewer. You entered 101.",
        ),
        ({"certificateName": "Firma Sp. z o.o."}, "'certificateName' is not in the correct format."),
        ({"certificateName": "abcdef\n"}, "'certificateName' is not in the correct format."),
        ({"certificateName": None}, "The JSON value could not be converted. Path: $.certificateName."),
        (
            {"certificateType": "Both"},
            "'certificateType' has a range of values which does not include 'Both'.",
        ),
        ({"certificateType": 1}, "'certificateType' has a range of values which does not include '1'."),
        ({"validFrom": "tomorrow"}, "The JSON value could not be converted. Path: $.validFrom."),
        ({"csr": 7}, "The JSON value could not be converted. Path: $.csr."),
    ],
)
def test_a_malformed_request_names_the_broken_rule(driver: Driver, change: dict[str, Any], sentence: str) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    body = {"certificateName": "Dobra nazwa", "certificateType": "Offline", "csr": session.csr()} | change
    response = session.post("/certificates/enrollments", body)
    assert (code_of(response), details_of(response)) == (21405, [sentence])
    assert session.limits() == (300, 100)


def test_several_broken_rules_are_several_sentences_of_one_error(driver: Driver) -> None:
    response = driver.sign_in(SEAL, nip=NIP).post("/certificates/enrollments", {"certificateName": "abc"})
    assert details_of(response) == [
        "The length of 'certificateName' must be at least 5 characters. You entered 3.",
        "'certificateType' must not be empty.",
        "'csr' must not be empty.",
    ]


def test_the_type_is_taken_in_any_case_and_answered_in_pascal_case(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    session.issue("authentication")
    assert session.listed(type="AUTHENTICATION", status="active")[0]["type"] == "Authentication"


def test_every_letter_of_a_name_that_the_specification_allows_is_taken(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    name = "aZ09_- ąćęłńóśźżĄĆĘŁŃÓŚŹŻ"
    session.issue(certificateName=name)
    assert session.listed(name="ĄĆĘŁŃÓŚŹŻ")[0]["name"] == name


def test_a_start_in_the_future_is_kept_and_the_certificate_is_active(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    start = (ksef.now() + timedelta(days=10)).replace(microsecond=0)
    serial = session.issue(validFrom=start.isoformat())
    (item,) = session.listed()
    assert datetime.fromisoformat(item["validFrom"]) == start
    assert item["status"] == "Active"
    assert session.retrieve(serial).not_valid_before_utc == start
    assert session.limits() == (299, 99)


def test_a_start_in_the_past_becomes_now(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    before = ksef.now() - timedelta(seconds=1)
    session.issue(validFrom="2020-01-01T00:00:00+01:00")
    assert before <= datetime.fromisoformat(session.listed()[0]["validFrom"]) <= ksef.now()


def test_a_start_beyond_ninety_days_is_refused_unless_the_bound_is_off(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    start = (ksef.now() + timedelta(days=91)).isoformat()
    assert code_of(session.enroll(validFrom=start)) == 21405
    ksef.set(max_valid_from_days=0)
    assert session.enroll(validFrom=start).status_code == 202


# Status


def test_a_request_is_in_progress_until_its_time(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(enroll_delay_ms=60_000)
    session = driver.sign_in(SEAL, nip=NIP)
    enrolled = session.enroll()
    assert session.status(enrolled)["status"]["code"] == 100
    assert session.listed() == []
    assert session.limits() == (299, 100)
    ksef.advance(minutes=1)
    assert session.status(enrolled)["status"]["code"] == 200
    assert session.limits() == (299, 99)


def test_the_certificate_begins_when_it_is_issued_not_when_somebody_looks(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(enroll_delay_ms=60_000)
    session = driver.sign_in(SEAL, nip=NIP)
    enrolled = session.enroll()
    requested = datetime.fromisoformat(session.status(enrolled)["requestDate"])
    ksef.advance(minutes=10)
    start = datetime.fromisoformat(session.listed()[0]["validFrom"])
    assert start == (requested + timedelta(minutes=1)).replace(microsecond=0)


def test_a_foreign_or_unknown_reference_does_not_exist(driver: Driver) -> None:
    enrolled = driver.sign_in(SEAL, nip=NIP).enroll().json()["referenceNumber"]
    stranger = driver.sign_in(OTHER_SEAL, nip=OTHER_NIP)
    assert code_of(stranger.get(f"/certificates/enrollments/{enrolled}")) == 25005
    assert code_of(stranger.get("/certificates/enrollments/20260101-EH-0000000000-0000000000-00")) == 25005
    assert code_of(stranger.get("/certificates/enrollments/short")) == 21405


def test_a_status_is_gone_after_thirty_days_and_the_certificate_stays(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    enrolled = session.enroll().json()["referenceNumber"]
    ksef.advance(days=30)
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.get(f"/certificates/enrollments/{enrolled}").status_code == 410
    assert len(session.listed()) == 1


def test_a_key_of_another_subject_is_rejected_in_the_status_and_the_request_is_spent(driver: Driver) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    driver.sign_in(SEAL, nip=NIP).issue(key=key)
    thief = driver.sign_in(OTHER_SEAL, nip=OTHER_NIP)
    status = thief.status(thief.enroll(key=key))["status"]
    assert (status["code"], status["details"]) == (
        400,
        ["Klucz publiczny został już certyfikowany przez inny podmiot."],
    )
    assert thief.limits() == (299, 100)


def test_the_same_subject_may_use_a_key_twice_unless_the_switch_forbids_it(ksef: Sandbox, driver: Driver) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    session = driver.sign_in(SEAL, nip=NIP)
    session.issue("Authentication", key=key)
    session.issue("Offline", key=key)
    ksef.set(allow_same_subject_key_reuse=False)
    assert session.status(session.enroll(key=key))["status"]["code"] == 400


# Finding


def test_foreign_certificates_can_neither_be_read_nor_revoked(driver: Driver) -> None:
    serial = driver.sign_in(SEAL, nip=NIP).issue()
    stranger = driver.sign_in(OTHER_SEAL, nip=OTHER_NIP)
    assert stranger.listed() == []
    assert stranger.listed(certificateSerialNumber=serial) == []
    assert code_of(stranger.post("/certificates/retrieve", {"certificateSerialNumbers": [serial]})) == 25008
    assert code_of(stranger.post(f"/certificates/{serial}/revoke")) == 25008


def test_unknown_serials_are_left_out_under_the_switch(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(retrieve_unknown="omit")
    session = driver.sign_in(SEAL, nip=NIP)
    serial = session.issue()
    wanted = {"certificateSerialNumbers": ["01FFFFFFFFFFFFFF", serial, serial]}
    found = session.post("/certificates/retrieve", wanted).json()["certificates"]
    assert [item["certificateSerialNumber"] for item in found] == [serial]


@pytest.mark.parametrize("count", [0, 11])
def test_retrieve_takes_one_to_ten_serials(driver: Driver, count: int) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    assert code_of(session.post("/certificates/retrieve", {"certificateSerialNumbers": ["0" * 16] * count})) == 21405


def test_the_list_is_filtered_by_everything_the_specification_names(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    login = session.issue("Authentication", certificateName="Kasa Główna")
    offline = session.issue("Offline", certificateName="kasa boczna")
    session.post(f"/certificates/{offline}/revoke", {"revocationReason": "Superseded"})

    def serials(**filters: Any) -> list[str]:
        return [item["certificateSerialNumber"] for item in session.listed(**filters)]

    assert serials(name="KASA") == [offline, login]
    assert serials(name="główna") == [login]
    assert serials(type="Offline") == [offline]
    assert serials(status="Revoked") == [offline]
    assert serials(status="Active") == [login]
    assert serials(certificateSerialNumber=login) == [login]
    assert serials(expiresAfter=(ksef.now() + timedelta(days=700)).isoformat()) == [offline, login]
    assert serials(expiresAfter=(ksef.now() + timedelta(days=800)).isoformat()) == []
    assert serials(name="kasa", type="Offline", status="Active") == []


def test_the_list_comes_in_pages_the_newest_request_first(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    serials = [session.issue() for _ in range(23)][::-1]
    found: list[str] = []
    for page, has_more in ((0, True), (1, True), (2, False)):
        body = session.post(f"/certificates/query?pageOffset={page}").json()
        assert body["hasMore"] is has_more
        found += [item["certificateSerialNumber"] for item in body["certificates"]]
    assert found == serials
    assert len(session.post("/certificates/query?pageSize=50", {}).json()["certificates"]) == 23


@pytest.mark.parametrize("query", ["pageSize=9", "pageSize=51", "pageSize=ten", "pageOffset=-1", "pageSize=9999999999"])
def test_bad_paging_is_a_validation_error(driver: Driver, query: str) -> None:
    response = driver.sign_in(SEAL, nip=NIP).post(f"/certificates/query?{query}")
    assert code_of(response) == 21405
    assert query.partition("=")[0] in details_of(response)[0]


@pytest.mark.parametrize("body", [b"", b"null", b"{}"])
def test_a_query_needs_no_body(driver: Driver, body: bytes) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    response = session.post("/certificates/query", content=body, headers={"Content-Type": "application/json"})
    assert response.json() == {"certificates": [], "hasMore": False}


# Revoking


def test_revoking_blocks_at_once_and_revokes_after_the_delay(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(revoke_delay_ms=60_000)
    session = driver.sign_in(SEAL, nip=NIP)
    serial = session.issue()
    assert session.post(f"/certificates/{serial}/revoke").status_code == 204
    assert session.listed()[0]["status"] == "Blocked"
    assert code_of(session.post(f"/certificates/{serial}/revoke")) == 25009
    ksef.advance(minutes=1)
    assert session.listed()[0]["status"] == "Revoked"
    assert code_of(session.post(f"/certificates/{serial}/revoke")) == 25009
    assert session.retrieve(serial)


@pytest.mark.parametrize("body", [{}, {"revocationReason": None}, {"revocationReason": "KeyCompromise"}])
def test_a_reason_may_be_given(driver: Driver, body: dict[str, str | None]) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    assert session.post(f"/certificates/{session.issue()}/revoke", body).status_code == 204


def test_an_unknown_reason_or_serial_is_refused(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    serial = session.issue()
    assert code_of(session.post(f"/certificates/{serial}/revoke", {"revocationReason": "Bored"})) == 21405
    assert code_of(session.post("/certificates/xyz/revoke")) == 25008
    assert session.listed()[0]["status"] == "Active"


def test_the_linked_person_may_revoke_but_not_read_unless_the_switch_says_so(ksef: Sandbox, driver: Driver) -> None:
    ksef.link_person(nip=NIP, pesel=PESEL)
    serial = driver.sign_in(SEAL, nip=NIP).issue()
    person = driver.sign_in(PERSON, nip=NIP)
    assert person.listed() == []
    ksef.set(nip_pesel_link_scope="revoke+query")
    assert [item["certificateSerialNumber"] for item in person.listed()] == [serial]
    assert person.limits() == (12, 6)
    ksef.set(nip_pesel_link_scope="revoke+query+limits")
    assert person.limits() == (11, 5)
    assert person.post(f"/certificates/{serial}/revoke").status_code == 204


def test_a_certificate_expires_by_the_clock_and_can_no_longer_be_revoked(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    serial = session.issue()
    ksef.advance(days=720)
    fresh = driver.sign_in(SEAL, nip=NIP)
    assert fresh.listed()[0]["status"] == "Active"
    ksef.set_now(datetime.fromisoformat(fresh.listed()[0]["validTo"]))
    lasting = make_seal(
        nip=NIP, not_before=datetime(2025, 1, 1, tzinfo=UTC), not_after=datetime(2040, 1, 1, tzinfo=UTC)
    )
    fresh = driver.sign_in(lasting, nip=NIP)
    assert fresh.listed()[0]["status"] == "Expired"
    assert code_of(fresh.post(f"/certificates/{serial}/revoke")) == 25009
    assert fresh.limits() == (300, 100)


def test_test_data_shorten_a_certificate_and_never_lengthen_it(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    serial = session.issue()
    path = f"/testdata/certificates/{serial}"
    later = (ksef.now() + timedelta(days=3000)).isoformat()
    assert code_of(session.put(path, {"validTo": later})) == 21405
    assert code_of(driver.sign_in(OTHER_SEAL, nip=OTHER_NIP).put(path, {"validTo": later})) == 25008
    assert session.put(path, {"validTo": (ksef.now() - timedelta(days=1)).isoformat()}).status_code == 200
    assert session.listed()[0]["status"] == "Expired"
    assert session.limits() == (299, 100)


def test_the_order_of_refusals_is_the_assumed_one(ksef: Sandbox, driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    ksef.set_limits("Nip", NIP, enrollment=0, certificate=0)
    foreign = csr_of({"commonName": "Ktoś inny", "countryName": "PL"})
    assert code_of(session.enroll(csr=foreign, certificateName="x")) == 21405
    assert code_of(session.enroll(csr="AAAA")) == 25004
    weak = rsa_key(1024)
    assert code_of(session.enroll(csr=csr_of({"commonName": "Ktoś inny", "countryName": "PL"}, weak))) == 25010
    assert code_of(session.enroll(csr=foreign)) == 25003
    assert code_of(session.enroll()) == 25006


def test_a_csr_from_the_own_certificate_instead_of_the_data_is_refused(driver: Driver) -> None:
    person = make_person(nip=NIP)
    session = driver.sign_in(person, nip=NIP)
    data = session.get("/certificates/enrollments/data").json()
    sent = {name: value for name, value in data.items() if value} | {"serialNumber": f"NIP-{NIP}"}
    assert code_of(session.enroll(csr=csr_of(sent))) == 25003


def test_the_certificate_carries_the_key_of_the_csr(driver: Driver) -> None:
    session = driver.sign_in(SEAL, nip=NIP)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = session.retrieve(session.issue(key=key))
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)

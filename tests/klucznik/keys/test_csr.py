"""Certificate requests: exactly the enrolment data, in the encodings that KSeF accepts (facts.md §3.5)."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.klucznik.keys.builders import ec_key, openssl, other_key, rsa_key

from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.keytype import KeyType
from klucznik.errors import InputError
from klucznik.keys.csr import build_csr, csr_matches
from klucznik.keys.generate import PrivateKey, generate_key

OIDS = {
    "common_name": "2.5.4.3",
    "surname": "2.5.4.4",
    "serial_number": "2.5.4.5",
    "country_name": "2.5.4.6",
    "organization_name": "2.5.4.10",
    "given_name": "2.5.4.42",
    "unique_identifier": "2.5.4.45",
    "organization_identifier": "2.5.4.97",
}
SEAL = EnrollmentData(
    common_name="Zakłady Ślusarskie „Żółw”",
    country_name="PL",
    organization_name="Zakłady Ślusarskie „Żółw” sp. z o.o.",
    organization_identifier="VATPL-6381853612 NTRPL-0001040934 BR:PL-525516467",
)
PERSON = EnrollmentData("Łucja Żółkiewska", "PL", "Łucja Anna", "Żółkiewska", "PNOPL-80010112345")

polish = st.text(st.sampled_from("aąbcćdeęłńoóśźżAĄĆĘŁŃÓŚŹŻ 0123456789.,-/&+=\"'()#;<>\\„”"), min_size=1, max_size=90)
enrollment_data = st.builds(
    EnrollmentData,
    common_name=polish,
    country_name=st.sampled_from(["PL", "DE", None]),
    given_name=st.none() | polish,
    surname=st.none() | polish,
    serial_number=st.none() | polish,
    unique_identifier=st.none() | polish,
    organization_name=st.none() | polish,
    organization_identifier=st.none() | polish,
)


def subject_in(der: bytes) -> dict[str, str]:
    """The attributes as another parser of the same bytes sees them: dotted OID to text, and the tag of the string."""
    return {oid: text for oid, _, text in walk(der)}


def walk(der: bytes) -> list[tuple[str, int, str]]:
    """OID, tag and text of every attribute, read from the DER by hand."""

    def split(data: bytes) -> tuple[int, bytes, bytes]:
        size, start = data[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[2:start], "big")
        return data[0], data[start : start + size], data[start + size :]

    _, request, _ = split(der)
    _, info, _ = split(request)
    _, _, after_version = split(info)
    _, name, _ = split(after_version)
    found = []
    while name:
        _, rdn, name = split(name)
        _, attribute, rest = split(rdn)
        assert not rest, "one attribute in each RDN"
        _, oid, value = split(attribute)
        tag, text, _ = split(value)
        assert oid[:2] == b"\x55\x04"
        found.append((f"2.5.4.{oid[2]}", tag, text.decode("ascii" if tag == 0x13 else "utf-8")))
    return found


@settings(max_examples=60, deadline=None)
@given(enrollment_data)
def test_a_request_names_exactly_the_enrolment_data(data: EnrollmentData) -> None:
    wanted = {OIDS[field]: value for field, value in dataclasses.asdict(data).items() if value}
    assert subject_in(build_csr(data, ec_key())) == wanted


@pytest.mark.parametrize("data", [SEAL, PERSON], ids=["seal", "person"])
def test_only_country_and_serial_number_are_printable_strings(data: EnrollmentData) -> None:
    tags = {oid: tag for oid, tag, _ in walk(build_csr(data, ec_key()))}
    assert {oid for oid, tag in tags.items() if tag == 0x13} == {"2.5.4.6", "2.5.4.5"} & tags.keys()
    assert {tag for oid, tag in tags.items() if oid not in ("2.5.4.6", "2.5.4.5")} == {0x0C}


@pytest.mark.parametrize("serial", ["PNOPL-ŁÓDŹ", "a@b", "under_score"])
def test_a_serial_number_that_does_not_fit_a_printable_string_is_utf8(serial: str) -> None:
    data = dataclasses.replace(PERSON, serial_number=serial)
    assert ("2.5.4.5", 0x0C, serial) in walk(build_csr(data, ec_key()))


def test_a_company_name_longer_than_64_bytes_is_kept_whole() -> None:
    long = "Przedsiębiorstwo Produkcyjno-Usługowo-Handlowe „Źdźbło” Spółka z ograniczoną odpowiedzialnością"
    assert subject_in(build_csr(dataclasses.replace(SEAL, common_name=long), ec_key()))["2.5.4.3"] == long


def test_an_ec_request_is_signed_with_ecdsa_sha256() -> None:
    request = x509.load_der_x509_csr(build_csr(SEAL, generate_key()))
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert request.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256


def test_an_rsa_request_is_signed_with_pkcs1_sha256() -> None:
    request = x509.load_der_x509_csr(build_csr(SEAL, generate_key(KeyType.RSA)))
    key = request.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert request.signature_algorithm_oid == SignatureAlgorithmOID.RSA_WITH_SHA256


@pytest.mark.parametrize("key", [ec_key, rsa_key])
def test_openssl_verifies_the_request(key: Callable[[], PrivateKey], tmp_path: Path) -> None:
    (tmp_path / "request.der").write_bytes(build_csr(PERSON, key()))
    openssl(tmp_path, "req", "-inform", "DER", "-in", "request.der", "-verify", "-noout")


def test_the_check_sees_another_key_and_other_data() -> None:
    der = build_csr(SEAL, ec_key())
    assert csr_matches(der, SEAL, ec_key())
    assert not csr_matches(der, SEAL, other_key())
    assert not csr_matches(der, dataclasses.replace(SEAL, given_name="Jan"), ec_key())
    assert not csr_matches(der, dataclasses.replace(SEAL, common_name="Spółka"), ec_key())


def test_the_check_sees_a_broken_signature() -> None:
    der = bytearray(build_csr(SEAL, ec_key()))
    der[-1] ^= 1
    assert not csr_matches(bytes(der), SEAL, ec_key())


def test_there_is_no_request_without_data() -> None:
    with pytest.raises(InputError, match="enrollment_data_empty"):
        build_csr(EnrollmentData(), ec_key())


def test_text_that_no_certificate_can_hold_is_refused() -> None:
    with pytest.raises(InputError, match="enrollment_data_unusable"):
        build_csr(dataclasses.replace(SEAL, common_name="\ud800"), ec_key())


def test_each_key_is_fresh() -> None:
    assert generate_key().public_key() != generate_key().public_key()


def test_the_ldap_uid_is_not_used_for_the_unique_identifier() -> None:
    request = x509.load_der_x509_csr(build_csr(dataclasses.replace(SEAL, unique_identifier="AB12"), ec_key()))
    assert not request.subject.get_attributes_for_oid(NameOID.USER_ID)

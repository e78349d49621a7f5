"""An issued certificate is accepted only when everything that was asked for is in it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.klucznik.ksef.worlds import NOW, ec_key, rsa_key

from klucznik.domain.certificates import CertificateType
from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.environments import Environment
from klucznik.errors import VerificationFailed
from klucznik.ksef.profile import Issuer, check_issued, issuer_kind
from klucznik.ksef.xades import SigningKey

SERIAL = "01F20A5D352AE590"
DATA = EnrollmentData(
    common_name="Łucja Żak", country_name="PL", given_name="Łucja", surname="Żak", serial_number="PNOPL-80010112345"
)
SUBJECT = {
    NameOID.COUNTRY_NAME: "PL",
    NameOID.GIVEN_NAME: "Łucja",
    NameOID.SURNAME: "Żak",
    NameOID.SERIAL_NUMBER: "PNOPL-80010112345",
    NameOID.COMMON_NAME: "Łucja Żak (uwierzytelnienie)",
}
CA_KEY = ec.generate_private_key(ec.SECP384R1())
TEST_ISSUER = {NameOID.COMMON_NAME: "TEST CCK KSeF", NameOID.ORGANIZATION_NAME: "Ministerstwo Finansów"}


def name(attributes: dict[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes.items()])


def issued(
    *,
    subject: dict[x509.ObjectIdentifier, str] = SUBJECT,
    issuer: dict[x509.ObjectIdentifier, str] = TEST_ISSUER,
    key: SigningKey | None = None,
    serial: str = SERIAL,
    signs_in: bool = True,
    signs_offline: bool = False,
    days: tuple[int, int] = (0, 730),
) -> x509.Certificate:
    usage = x509.KeyUsage(signs_in, signs_offline, False, False, False, False, False, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key((key or ec_key()).public_key())
        .serial_number(int(serial, 16))
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
        .add_extension(usage, critical=True)
        .sign(CA_KEY, hashes.SHA512())
    )


def check(
    certificate: x509.Certificate,
    *,
    type: CertificateType = CertificateType.AUTHENTICATION,
    key: SigningKey | None = None,
    data: EnrollmentData = DATA,
    environment: Environment = Environment.TEST,
) -> None:
    found = check_issued(
        certificate.public_bytes(Encoding.DER),
        type=type,
        serial_number=SERIAL,
        public_key=(key or ec_key()).public_key(),
        data=data,
        environment=environment,
        now=NOW + timedelta(minutes=1),
    )
    assert (found.serial_number, found.type, found.der) == (SERIAL, type, certificate.public_bytes(Encoding.DER))
    assert (found.valid_from, found.valid_to) == (certificate.not_valid_before_utc, certificate.not_valid_after_utc)


@pytest.mark.parametrize("key", [ec_key, rsa_key])
def test_a_certificate_as_asked_for_is_accepted(key: object) -> None:
    assert callable(key)
    check(issued(key=key()), key=key())


def test_an_offline_certificate_is_told_by_its_key_usage_and_name() -> None:
    subject = {**SUBJECT, NameOID.COMMON_NAME: "Łucja Żak (offline)"}
    check(issued(subject=subject, signs_in=False, signs_offline=True), type=CertificateType.OFFLINE)


def test_data_from_a_ksef_certificate_may_bring_the_suffix_along() -> None:
    with_suffix = replace(DATA, common_name="Łucja Żak (uwierzytelnienie)")
    subject = {**SUBJECT, NameOID.COMMON_NAME: "Łucja Żak (offline)"}
    offline = issued(subject=subject, signs_in=False, signs_offline=True)
    check(offline, type=CertificateType.OFFLINE, data=with_suffix)
    check(issued(), data=with_suffix)


def test_a_certificate_may_start_in_the_future() -> None:
    check(issued(days=(30, 760)))


NO_SURNAME = {oid: value for oid, value in SUBJECT.items() if oid != NameOID.SURNAME}


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (issued(key=rsa_key()), "certificate_key_differs"),
        (issued(key=ec.generate_private_key(ec.SECP256R1())), "certificate_key_differs"),
        (issued(serial="01F20A5D352AE591"), "certificate_serial_differs"),
        (issued(signs_in=False, signs_offline=True), "certificate_type_differs"),
        (issued(signs_in=True, signs_offline=True), "certificate_type_differs"),
        (issued(subject={**SUBJECT, NameOID.COMMON_NAME: "Łucja Żak"}), "certificate_subject_differs"),
        (issued(subject={**SUBJECT, NameOID.COMMON_NAME: "Łucja Żak (offline)"}), "certificate_subject_differs"),
        (issued(subject={**SUBJECT, NameOID.SURNAME: "Zak"}), "certificate_subject_differs"),
        (issued(subject=NO_SURNAME), "certificate_subject_differs"),
        (issued(subject={**SUBJECT, NameOID.ORGANIZATION_NAME: "Obca"}), "certificate_subject_differs"),
        (issued(days=(-730, 0)), "certificate_validity_wrong"),
    ],
)
def test_one_difference_is_enough_to_refuse(certificate: x509.Certificate, reason: str) -> None:
    with pytest.raises(VerificationFailed, match=reason):
        check(certificate)


# Version 3 is written as 2; there is no version 6.
ODD_VERSION = issued().public_bytes(Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1)


@pytest.mark.parametrize("der", [b"", b"junk", issued().public_bytes(Encoding.DER)[:-5], ODD_VERSION])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(VerificationFailed, match="certificate_unreadable"):
        check_issued(
            der,
            type=CertificateType.AUTHENTICATION,
            serial_number=SERIAL,
            public_key=ec_key().public_key(),
            data=DATA,
            environment=Environment.TEST,
            now=NOW,
        )


@pytest.mark.parametrize(
    ("issuer", "kind", "refused_by"),
    [
        ({NameOID.COMMON_NAME: "TEST CCK KSeF"}, Issuer.TEST, {Environment.SANDBOX, Environment.PRODUCTION}),
        ({NameOID.COMMON_NAME: "TI CCK KSeF"}, Issuer.TEST, {Environment.SANDBOX, Environment.PRODUCTION}),
        ({NameOID.COMMON_NAME: "CCK KSeF"}, Issuer.KSEF, {Environment.SANDBOX}),
        (
            {NameOID.COMMON_NAME: "TEST CCK KSeF", NameOID.ORGANIZATIONAL_UNIT_NAME: "ksef-sandbox"},
            Issuer.SANDBOX,
            {Environment.TEST, Environment.DEMO, Environment.PRODUCTION},
        ),
        ({NameOID.COMMON_NAME: "Centrum"}, Issuer.OTHER, {Environment.SANDBOX}),
        ({NameOID.ORGANIZATION_NAME: "Centrum"}, Issuer.OTHER, {Environment.SANDBOX}),
    ],
)
def test_only_an_impossible_issuer_is_refused(
    issuer: dict[x509.ObjectIdentifier, str], kind: Issuer, refused_by: set[Environment]
) -> None:
    certificate = issued(issuer=issuer)
    assert issuer_kind(certificate) is kind
    for environment in Environment:
        if environment in refused_by:
            with pytest.raises(VerificationFailed, match="certificate_issuer_wrong"):
                check(certificate, environment=environment)
        else:
            check(certificate, environment=environment)

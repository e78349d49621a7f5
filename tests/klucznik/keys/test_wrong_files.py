"""Everything that people give instead of a credential, and the one reason that each gets. Files are real."""

import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.klucznik.keys.builders import (
    NOW,
    PASSWORD,
    PERSON,
    TEST_ISSUER,
    certificate,
    ec_key,
    key_pem,
    name_of,
    openssl,
    other_key,
    pem,
    rsa_key,
    unprivileged,
)

from klucznik.errors import CredentialError, Datum
from klucznik.keys.credential import load_credential

Content = Callable[[], bytes]
WRONG = b"kanarek-zly-4d21"


@dataclass(frozen=True)
class Given:
    """What a user gives: the contents of the files, and a password."""

    reason: str
    cert: Content | None = None
    key: Content | None = None
    p12: Content | None = None
    password: bytes | None = PASSWORD
    data: dict[str, Datum] = field(default_factory=dict)


def good() -> bytes:
    return pem(certificate())


def plain() -> bytes:
    return key_pem()


def locked() -> bytes:
    return key_pem(password=PASSWORD)


def p12(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None,
    own: x509.Certificate | None,
    *,
    password: bytes = PASSWORD,
) -> bytes:
    return serialize_key_and_certificates(b"kanarek", key, own, None, BestAvailableEncryption(password))


def of_key(key: ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def request() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name_of(PERSON))
    return builder.sign(ec_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


def request_der() -> bytes:
    return x509.load_pem_x509_csr(request()).public_bytes(Encoding.DER)


def public(encoding: Encoding = Encoding.PEM) -> bytes:
    return ec_key().public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def openssh() -> bytes:
    return ec_key().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def revocations() -> bytes:
    builder = x509.CertificateRevocationListBuilder(name_of(PERSON), NOW, NOW + timedelta(days=1))
    return builder.sign(ec_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


def cut_in_half(content: Content) -> Content:
    return lambda: content()[: len(content()) // 2]


def camellia() -> bytes:
    """A PKCS#8 whose cipher is renamed to one that does not exist."""
    info = ec_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD))
    aes = bytes.fromhex("060960864801650304012a")
    assert info.count(aes) == 1
    return info.replace(aes, aes[:-1] + b"\x7e")


def broken_inside(content: Content) -> Content:
    def broken() -> bytes:
        lines = content().splitlines(keepends=True)
        return b"".join([lines[0], b"A" * 64 + b"\n", *lines[2:]])

    return broken


def expired() -> bytes:
    return pem(certificate(valid_from=NOW - timedelta(days=9), valid_to=NOW - timedelta(seconds=1)))


def future() -> bytes:
    return pem(certificate(valid_from=NOW + timedelta(seconds=1)))


def offline() -> bytes:
    return pem(certificate(issuer=TEST_ISSUER, usage="offline"))


def small_rsa() -> bytes:
    return key_pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505


def looks(kind: str | None) -> dict[str, Datum]:
    return {"looks_like": kind}


ROWS = {
    "nothing": Given("credential_not_given"),
    "a key alone": Given("certificate_not_given", key=plain),
    "a certificate alone": Given("key_not_given", cert=good),
    "a PKCS#12 and a certificate": Given("credential_given_twice", p12=lambda: p12(ec_key(), certificate()), cert=good),
    "a PKCS#12 and a key": Given("credential_given_twice", p12=lambda: p12(ec_key(), certificate()), key=plain),
    "an empty certificate": Given("file_empty", cert=lambda: b"", key=plain),
    "a blank key": Given("file_empty", cert=good, key=lambda: b" \r\n\t\n"),
    "an empty PKCS#12": Given("file_empty", p12=lambda: b""),
    "a big certificate": Given("file_too_big", cert=lambda: good() * 2000, key=plain, data={"limit": 1048576}),
    "swapped": Given("certificate_and_key_swapped", cert=plain, key=good),
    "swapped, locked": Given("certificate_and_key_swapped", cert=locked, key=good, password=None),
    "two keys": Given("not_a_certificate", cert=plain, key=plain, data=looks("private_key")),
    "two certificates": Given("not_a_key", cert=good, key=good, data=looks("certificate")),
    "several keys": Given("several_keys", cert=good, key=lambda: plain() + key_pem(other_key()), data={"count": 2}),
    "a request as certificate": Given("not_a_certificate", cert=request, key=plain, data=looks("certificate_request")),
    "a request in DER": Given("not_a_certificate", cert=request_der, key=plain, data=looks("certificate_request")),
    "a public key as key": Given("not_a_key", cert=good, key=public, data=looks("public_key")),
    "a public key in DER": Given("not_a_key", cert=good, key=lambda: public(Encoding.DER), data=looks("public_key")),
    "a certificate in DER as key": Given(
        "not_a_key", cert=good, key=lambda: certificate().public_bytes(Encoding.DER), data=looks("certificate")
    ),
    "an SSH key": Given("not_a_key", cert=good, key=openssh, data=looks("openssh_key")),
    "an SSH public key": Given("not_a_key", cert=good, key=lambda: b"ssh-ed25519 AAAA me", data=looks("openssh_key")),
    "a PuTTY key": Given(
        "not_a_key", cert=good, key=lambda: b"PuTTY-User-Key-File-3: ssh-rsa\n", data=looks("putty_key")
    ),
    "a revocation list": Given("not_a_certificate", cert=revocations, key=plain, data=looks("revocation_list")),
    "a web page": Given("not_a_certificate", cert=lambda: b"\n<!DOCTYPE html><html>", key=plain, data=looks("html")),
    "a signed XML": Given("not_a_certificate", cert=lambda: b'<?xml version="1.0"?><a/>', key=plain, data=looks("xml")),
    "a ZIP": Given("not_a_certificate", cert=lambda: b"PK\x03\x04" + bytes(99), key=plain, data=looks("zip")),
    "a PDF": Given("not_a_certificate", cert=lambda: b"%PDF-1.7\n%", key=plain, data=looks("pdf")),
    "a Java key store": Given("not_a_pkcs12", p12=lambda: b"\xfe\xed\xfe\xed" + bytes(20), data=looks("java_keystore")),
    "UTF-16 text": Given(
        "not_a_certificate", cert=lambda: good().decode().encode("utf-16"), key=plain, data=looks("utf16_text")
    ),
    "a PKCS#12 as certificate": Given(
        "not_a_certificate", cert=lambda: p12(ec_key(), certificate()), key=plain, data=looks("pkcs12")
    ),
    "a PKCS#12 as key": Given("not_a_key", cert=good, key=lambda: p12(ec_key(), certificate()), data=looks("pkcs12")),
    "a PEM as PKCS#12": Given("not_a_pkcs12", p12=good, data=looks("certificate")),
    "a web page as PKCS#12": Given("not_a_pkcs12", p12=lambda: b"<html>404", data=looks("html")),
    "rubbish": Given("not_a_certificate", cert=lambda: bytes(range(256)), key=plain, data=looks(None)),
    "words": Given("not_a_key", cert=good, key=lambda: b"haslo do klucza\n", data=looks(None)),
    "half a certificate": Given("not_a_certificate", cert=cut_in_half(good), key=plain, data=looks("truncated_pem")),
    "half a key": Given("not_a_key", cert=good, key=cut_in_half(plain), data=looks("truncated_pem")),
    "a certificate broken inside": Given("certificate_damaged", cert=broken_inside(good), key=plain),
    "a key broken inside": Given("key_damaged", cert=good, key=broken_inside(plain)),
    "half a PKCS#12": Given("pkcs12_damaged", p12=cut_in_half(lambda: p12(ec_key(), certificate()))),
    "no password": Given("password_needed", cert=good, key=locked, password=None),
    "an empty password": Given("password_needed", cert=good, key=locked, password=b""),
    "a wrong password": Given("password_wrong", cert=good, key=locked, password=WRONG),
    "no password for a PKCS#12": Given("password_needed", p12=lambda: p12(ec_key(), certificate()), password=None),
    "a wrong password for a PKCS#12": Given("password_wrong", p12=lambda: p12(ec_key(), certificate()), password=WRONG),
    "an unknown cipher": Given("encryption_unsupported", cert=good, key=camellia),
    "a PKCS#12 without a key": Given("pkcs12_without_key", p12=lambda: p12(None, certificate())),
    "a PKCS#12 without a certificate": Given("pkcs12_without_certificate", p12=lambda: p12(ec_key(), None)),
    "another's key": Given("key_does_not_match", cert=good, key=lambda: key_pem(other_key())),
    "a key of another kind": Given("key_does_not_match", cert=good, key=lambda: key_pem(rsa_key())),
    "an Ed25519 key": Given(
        "key_type_unsupported", cert=good, key=lambda: of_key(ed25519.Ed25519PrivateKey.generate())
    ),
    "a small RSA key": Given(
        "key_too_small", cert=good, key=small_rsa, data={"kind": "RSA", "bits": 1024, "minimum": 2048}
    ),
    "a small curve": Given(
        "key_too_small",
        cert=good,
        key=lambda: key_pem(ec.generate_private_key(ec.SECP224R1())),
        data={"kind": "EC", "bits": 224, "minimum": 256},
    ),
    "expired": Given("certificate_expired", cert=expired, key=plain, data={"valid_to": "2026-11-23T11:59:59+00:00"}),
    "not yet valid": Given(
        "certificate_not_yet_valid", cert=future, key=plain, data={"valid_from": "2026-11-23T12:00:01+00:00"}
    ),
    "an Offline certificate": Given(
        "offline_certificate_cannot_sign_in", cert=offline, key=plain, data={"serial": "01F20A5D352AE590"}
    ),
}


def refusal(given: Given, directory: Path) -> CredentialError:
    paths: dict[str, Path | None] = {"cert": None, "key": None, "p12": None}
    for name in paths:
        content: Content | None = getattr(given, name)
        if content is not None:
            paths[name] = directory / name
            (directory / name).write_bytes(content())
    with pytest.raises(CredentialError) as caught:
        load_credential(cert=paths["cert"], key=paths["key"], p12=paths["p12"], password=given.password, now=NOW)
    return caught.value


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_wrong_input_gets_its_own_reason(row: Given, tmp_path: Path) -> None:
    error = refusal(row, tmp_path)
    assert error.reason == row.reason
    assert {name: value for name, value in error.data.items() if not name.endswith("file")} == row.data


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_no_error_carries_a_password_or_a_key(row: Given, tmp_path: Path) -> None:
    error = refusal(row, tmp_path)
    told = "".join((str(error), repr(error), repr(error.data), *traceback.format_exception(error)))
    body = [line for content in (plain(), key_pem(other_key())) for line in content.decode().splitlines()[1:-1]]
    for secret in (PASSWORD.decode(), WRONG.decode(), *body):
        assert secret not in told
    assert error.__cause__ is None
    assert error.__context__ is None, "an error of the library must not be dragged along"


def test_an_error_names_the_file_at_fault(tmp_path: Path) -> None:
    assert refusal(ROWS["a wrong password"], tmp_path).data["file"] == str(tmp_path / "key")
    assert refusal(ROWS["expired"], tmp_path).data["file"] == str(tmp_path / "cert")
    matching = refusal(ROWS["another's key"], tmp_path).data
    assert (matching["file"], matching["key_file"]) == (str(tmp_path / "cert"), str(tmp_path / "key"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "cert").write_bytes(good())
    for path in (tmp_path / "gone", tmp_path / "cert" / "below a file", Path("a\0b")):
        with pytest.raises(CredentialError) as caught:
            load_credential(cert=tmp_path / "cert", key=path, password=None, now=NOW)
        assert (caught.value.reason, caught.value.data) == ("file_missing", {"file": str(path)})


def test_a_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="file_is_directory"):
        load_credential(p12=tmp_path, password=None, now=NOW)


def test_a_file_that_may_not_be_read_is_named() -> None:
    with unprivileged() as directory:
        (directory / "c").write_bytes(good())
        (directory / "c").chmod(0)
        with pytest.raises(CredentialError, match="file_unreadable"):
            load_credential(cert=directory / "c", key=directory / "c", password=None, now=NOW)


def test_openssls_dsa_key_is_of_an_unsupported_type(tmp_path: Path) -> None:
    openssl(tmp_path, "dsaparam", "-genkey", "-noout", "-out", "k", "1024")
    (tmp_path / "c").write_bytes(good())
    with pytest.raises(CredentialError, match="key_type_unsupported"):
        load_credential(cert=tmp_path / "c", key=tmp_path / "k", password=None, now=NOW)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=200), st.sampled_from(["cert", "key", "p12"]))
@example(b"0", "p12")
@example(b"0\x80", "p12")
@example(b"0\x80\x02\x01\x03\0\0", "p12")
@example(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "cert")
@example(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "key")
def test_no_rubbish_gets_past_the_errors_of_the_tree(tmp_path: Path, rubbish: bytes, where: str) -> None:
    (tmp_path / "cert").write_bytes(good())
    (tmp_path / "key").write_bytes(plain())
    (tmp_path / where).write_bytes(rubbish)
    named = ("p12",) if where == "p12" else ("cert", "key")
    cert, key, p12 = (tmp_path / name if name in named else None for name in ("cert", "key", "p12"))
    with pytest.raises(CredentialError):
        load_credential(cert=cert, key=key, p12=p12, password=PASSWORD, now=NOW)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_certificate_with_a_changed_byte_is_read_or_refused(tmp_path: Path, place: int, change: int) -> None:
    der = bytearray(certificate(PERSON, issuer=TEST_ISSUER, usage="authentication").public_bytes(Encoding.DER))
    der[place % len(der)] ^= change
    (tmp_path / "cert").write_bytes(der)
    (tmp_path / "key").write_bytes(plain())
    with suppress(CredentialError):
        load_credential(cert=tmp_path / "cert", key=tmp_path / "key", password=None, now=NOW)

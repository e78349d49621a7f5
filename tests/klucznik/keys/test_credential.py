"""Credentials that work: every format that people keep them in, and which certificate is taken."""

import base64
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID
from tests.klucznik.keys.builders import (
    NOW,
    PASSWORD,
    PERSON,
    SEAL,
    TEST_ISSUER,
    certificate,
    ec_key,
    key_pem,
    openssl,
    other_key,
    pem,
    rsa_key,
)

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.errors import CredentialError
from klucznik.keys.credential import load_credential
from klucznik.keys.generate import PrivateKey
from klucznik.keys.reading import Upload

WORD = PASSWORD.decode()


@pytest.fixture(params=["ec", "rsa"])
def key(request: pytest.FixtureRequest, tmp_path: Path) -> PrivateKey:
    chosen: PrivateKey = ec_key() if request.param == "ec" else rsa_key()
    (tmp_path / "plain.key").write_bytes(key_pem(chosen))
    (tmp_path / "seal.crt").write_bytes(pem(certificate(SEAL, key=chosen)))
    return chosen


# What OpenSSL 1 and 3, SDKs, Windows and the Ministry's application have been writing.
KEY_FORMATS: dict[str, list[str]] = {
    "PKCS#8": ["pkcs8", "-topk8", "-nocrypt"],
    "PKCS#8 DER": ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"],
    "SEC1 or PKCS#1": ["pkey", "-traditional"],
    "SEC1 or PKCS#1 DER": ["pkey", "-traditional", "-outform", "DER"],
    "SEC1 or PKCS#1, AES": ["pkey", "-traditional", "-aes256", "-passout", f"pass:{WORD}"],
    "SEC1 or PKCS#1, 3DES": ["pkey", "-traditional", "-des3", "-passout", f"pass:{WORD}"],
    "PKCS#8, AES": ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", f"pass:{WORD}"],
    "PKCS#8 DER, AES": ["pkcs8", "-topk8", "-v2", "aes-128-cbc", "-outform", "DER", "-passout", f"pass:{WORD}"],
    "PKCS#8, scrypt": ["pkcs8", "-topk8", "-scrypt", "-passout", f"pass:{WORD}"],
    "PKCS#8, PBES1": ["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-passout", f"pass:{WORD}"],
}


@pytest.mark.parametrize("arguments", KEY_FORMATS.values(), ids=KEY_FORMATS)
def test_a_key_is_read_in_every_form(key: PrivateKey, arguments: list[str], tmp_path: Path) -> None:
    openssl(tmp_path, *arguments, "-in", "plain.key", "-out", "formed.key")
    read = load_credential(cert=tmp_path / "seal.crt", key=tmp_path / "formed.key", password=PASSWORD, now=NOW)
    assert read.private_key.public_key() == key.public_key()


P12_FORMATS: dict[str, list[str]] = {
    "today's": [],
    "of Windows XP": ["-legacy"],
    "AES-128": ["-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC"],
    "SHA-512": ["-macalg", "SHA512"],
    "without a MAC": ["-nomac"],
}


@pytest.mark.parametrize("arguments", P12_FORMATS.values(), ids=P12_FORMATS)
def test_a_pkcs12_is_read_in_every_form(key: PrivateKey, arguments: list[str], tmp_path: Path) -> None:
    given = ["-inkey", "plain.key", "-in", "seal.crt", "-out", "both.p12", "-passout", f"pass:{WORD}"]
    openssl(tmp_path, "pkcs12", "-export", *arguments, *given)
    read = load_credential(p12=tmp_path / "both.p12", password=PASSWORD, now=NOW)
    assert read.private_key.public_key() == key.public_key()
    assert read.holder.subject == Subject(SubjectType.NIP, "5265877635")


def test_a_pkcs12_in_ber_opens(tmp_path: Path) -> None:
    """Older programs write an indefinite length: 80 in place of the length, two zeros at the end."""
    der = serialize_key_and_certificates(None, ec_key(), certificate(), None, BestAvailableEncryption(PASSWORD))
    assert der[:2] == b"\x30\x82"
    (tmp_path / "ber.p12").write_bytes(b"\x30\x80" + der[4:] + b"\0\0")
    read = load_credential(p12=tmp_path / "ber.p12", password=PASSWORD, now=NOW)
    assert read.private_key.public_key() == ec_key().public_key()


def test_a_certificate_with_a_negative_serial_number_is_read(tmp_path: Path) -> None:
    der = certificate(PERSON).public_bytes(Encoding.DER)
    (tmp_path / "c").write_bytes(der.replace(bytes.fromhex("01F20A5D352AE590"), bytes.fromhex("81F20A5D352AE590")))
    (tmp_path / "k").write_bytes(key_pem())
    assert load_credential(cert=tmp_path / "c", key=tmp_path / "k", password=None, now=NOW).holder.subject


@pytest.mark.parametrize("password", [None, b"", PASSWORD], ids=["none", "empty", "one too many"])
def test_a_pkcs12_with_an_empty_password_opens(key: PrivateKey, password: bytes | None, tmp_path: Path) -> None:
    given = ["-inkey", "plain.key", "-in", "seal.crt", "-out", "both.p12", "-passout", "pass:"]
    openssl(tmp_path, "pkcs12", "-export", *given)
    read = load_credential(p12=tmp_path / "both.p12", password=password, now=NOW)
    assert read.private_key.public_key() == key.public_key()


CERTIFICATE_FORMS: dict[str, Callable[[], bytes]] = {
    "PEM": lambda: pem(certificate()),
    "DER": lambda: certificate().public_bytes(Encoding.DER),
    "base64, as KSeF answers": lambda: base64.b64encode(certificate().public_bytes(Encoding.DER)),
    "base64 in lines": lambda: base64.encodebytes(certificate().public_bytes(Encoding.DER)),
    "PEM with Windows line ends": lambda: pem(certificate()).replace(b"\n", b"\r\n"),
    "PEM after a byte order mark": lambda: b"\xef\xbb\xbf" + pem(certificate()),
    "PEM after bag attributes": lambda: (
        b"Bag Attributes\n friendlyName: \xc5\xbc\nsubject=C = PL\n" + pem(certificate())
    ),
}


@pytest.mark.parametrize("form", CERTIFICATE_FORMS.values(), ids=CERTIFICATE_FORMS)
def test_a_certificate_is_read_in_every_form(form: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(form())
    (tmp_path / "k").write_bytes(key_pem())
    read = load_credential(cert=tmp_path / "c", key=tmp_path / "k", password=None, now=NOW)
    assert read.certificate.serial_number == 0x01F20A5D352AE590
    assert (read.certificate_file, read.key_file) == (str(tmp_path / "c"), str(tmp_path / "k"))


def test_of_several_certificates_the_one_of_the_key_is_taken(tmp_path: Path) -> None:
    chain = [certificate(key=other_key()), certificate(serial=42), certificate(key=rsa_key())]
    (tmp_path / "chain.pem").write_bytes(b"".join(map(pem, chain)))
    (tmp_path / "k").write_bytes(key_pem())
    read = load_credential(cert=tmp_path / "chain.pem", key=tmp_path / "k", password=None, now=NOW)
    assert read.certificate == chain[1]


def test_of_two_certificates_of_one_key_the_longer_one_is_taken(tmp_path: Path) -> None:
    old = certificate(valid_to=NOW + timedelta(days=3), serial=1)
    new = certificate(valid_to=NOW + timedelta(days=700), serial=2)
    (tmp_path / "both.pem").write_bytes(pem(new) + pem(old))
    (tmp_path / "k").write_bytes(key_pem())
    read = load_credential(cert=tmp_path / "both.pem", key=tmp_path / "k", password=None, now=NOW)
    assert read.certificate == new


def test_of_a_pkcs12_with_a_chain_the_certificate_of_the_key_is_taken(tmp_path: Path) -> None:
    own, others = certificate(), [certificate(key=other_key()), certificate(key=rsa_key())]
    # The file marks none of them as the key's own when the first one is not: some programs write it so.
    (tmp_path / "c.p12").write_bytes(
        serialize_key_and_certificates(None, ec_key(), None, [*others, own], NoEncryption())
    )
    assert load_credential(p12=tmp_path / "c.p12", password=None, now=NOW).certificate == own


def test_one_file_may_hold_certificate_and_key(tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_bytes(key_pem(password=PASSWORD) + pem(certificate()))
    read = load_credential(cert=tmp_path / "both.pem", password=PASSWORD, now=NOW)
    named = load_credential(cert=tmp_path / "both.pem", key=tmp_path / "both.pem", password=PASSWORD, now=NOW)
    assert read.key_file == named.key_file == str(tmp_path / "both.pem")
    assert read.certificate == named.certificate
    assert read.private_key.public_key() == named.private_key.public_key() == ec_key().public_key()


def test_openssls_curve_parameters_before_the_key_do_no_harm(tmp_path: Path) -> None:
    openssl(tmp_path, "ecparam", "-name", "prime256v1", "-out", "parameters")
    sec1 = ec_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "k").write_bytes((tmp_path / "parameters").read_bytes() + sec1)
    (tmp_path / "c").write_bytes(pem(certificate()))
    read = load_credential(cert=tmp_path / "c", key=tmp_path / "k", password=None, now=NOW)
    assert read.private_key.public_key() == ec_key().public_key()


def test_a_password_that_is_not_needed_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(pem(certificate(PERSON)))
    (tmp_path / "k").write_bytes(key_pem())
    read = load_credential(cert=tmp_path / "c", key=tmp_path / "k", password=PASSWORD, now=NOW)
    assert read.holder.subject == Subject(SubjectType.PESEL, "80010112345")


def test_a_qualified_signature_signs_in_though_its_key_usage_is_that_of_an_offline_certificate(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(pem(certificate(PERSON, issuer="Centrum Kwalifikowane", usage="offline")))
    (tmp_path / "k").write_bytes(key_pem())
    assert load_credential(cert=tmp_path / "c", key=tmp_path / "k", password=None, now=NOW).holder.subject


def test_a_ksef_authentication_certificate_signs_in(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(pem(certificate(SEAL, issuer=TEST_ISSUER, usage="authentication")))
    (tmp_path / "k").write_bytes(key_pem())
    assert load_credential(cert=tmp_path / "c", key=tmp_path / "k", password=None, now=NOW).holder.subject


def test_a_certificate_without_an_identity_is_taken_for_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(pem(certificate([(NameOID.COMMON_NAME, "localhost")])))
    (tmp_path / "k").write_bytes(key_pem())
    holder = load_credential(cert=tmp_path / "c", key=tmp_path / "k", password=None, now=NOW).holder
    assert holder.subject is None
    assert holder.signs_in_as == Subject(SubjectType.FINGERPRINT, holder.fingerprint)


@pytest.mark.parametrize("days", [-1, 729], ids=["first", "last"])
def test_the_first_and_the_last_moment_of_validity_count(days: int, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(pem(certificate()))
    (tmp_path / "k").write_bytes(key_pem())
    load_credential(cert=tmp_path / "c", key=tmp_path / "k", password=None, now=NOW + timedelta(days=days))


def test_what_a_browser_has_brought_is_read_from_memory(key: PrivateKey, tmp_path: Path) -> None:
    cert, private = (Upload(name, (tmp_path / name).read_bytes()) for name in ("seal.crt", "plain.key"))
    read = load_credential(cert=cert, key=private, password=None, now=NOW)
    assert (read.certificate_file, read.key_file) == ("seal.crt", "plain.key")
    assert read.private_key.public_key() == key.public_key()
    with pytest.raises(CredentialError) as swapped:
        load_credential(cert=private, key=cert, password=None, now=NOW)
    assert (swapped.value.reason, swapped.value.data["file"]) == ("certificate_and_key_swapped", "plain.key")

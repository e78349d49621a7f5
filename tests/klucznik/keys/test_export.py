"""Exports: other programs read them, a thief of them works hard, nothing is overwritten or half written."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.klucznik.keys.builders import NOW, certificate, ec_key, key_pem, openssl, pem, rsa_key

from klucznik.errors import InputError
from klucznik.keys.credential import load_credential
from klucznik.keys.export import check_password, pem_files, pkcs12_file, widely_accepted, write_export
from klucznik.keys.generate import PrivateKey

PASSWORD = b"Bardzo dobre, dlugie haslo 1!"
KEYS: list[Callable[[], PrivateKey]] = [ec_key, rsa_key]
NAME = "Ksef łódź offline"
each_key = pytest.mark.parametrize("key", KEYS, ids=["ec", "rsa"])


def said(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


@each_key
def test_what_is_exported_can_be_loaded_again(key: Callable[[], PrivateKey], tmp_path: Path) -> None:
    own = certificate(key=key())
    files = pem_files(NAME, own, key(), PASSWORD) | pkcs12_file(NAME, own, key(), PASSWORD)
    crt, locked, p12 = write_export(tmp_path / "new", files)
    assert [path.name for path in (crt, locked, p12)] == [f"{NAME}.crt", f"{NAME}.key", f"{NAME}.p12"]
    for read in (
        load_credential(cert=crt, key=locked, password=PASSWORD, now=NOW),
        load_credential(p12=p12, password=PASSWORD, now=NOW),
    ):
        assert read.certificate == own
        assert read.private_key.public_key() == key().public_key()


@each_key
def test_openssl_reads_the_pem_and_sees_its_strength(key: Callable[[], PrivateKey], tmp_path: Path) -> None:
    write_export(tmp_path, pem_files("a", certificate(key=key()), key(), PASSWORD))
    openssl(tmp_path, "pkey", "-in", "a.key", "-passin", f"pass:{PASSWORD.decode()}", "-out", "plain")
    openssl(tmp_path, "x509", "-in", "a.crt", "-noout")
    assert (tmp_path / "plain").read_bytes() == key_pem(key())
    structure = said(tmp_path, "asn1parse", "-in", "a.key")
    for part in ("PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc", f":{600_000:06X}"):
        assert part in structure


@each_key
def test_openssl_reads_the_pkcs12_and_sees_its_strength(key: Callable[[], PrivateKey], tmp_path: Path) -> None:
    own = certificate(key=key())
    write_export(tmp_path, pkcs12_file("a", own, key(), PASSWORD))
    word = ["-passin", f"pass:{PASSWORD.decode()}"]
    openssl(tmp_path, "pkcs12", "-in", "a.p12", *word, "-nodes", "-nocerts", "-out", "key")
    openssl(tmp_path, "pkcs12", "-in", "a.p12", *word, "-nokeys", "-out", "crt")
    assert load_pem_private_key((tmp_path / "key").read_bytes(), None).public_key() == key().public_key()
    assert pem(own) in (tmp_path / "crt").read_bytes()
    told = said(tmp_path, "pkcs12", "-in", "a.p12", *word, "-info", "-noout")
    assert "MAC: sha256, Iteration 250000" in told
    assert told.count("PBES2, PBKDF2, AES-256-CBC, Iteration 250000, PRF hmacWithSHA256") == 2


@pytest.mark.skipif(shutil.which("keytool") is None, reason="no Java on this machine")
def test_java_reads_the_pkcs12(tmp_path: Path) -> None:
    write_export(tmp_path, pkcs12_file("a", certificate(), ec_key(), PASSWORD))
    (tmp_path / "word").write_bytes(PASSWORD)
    listing = ["keytool", "-list", "-keystore", "a.p12", "-storepass:file", "word"]
    done = subprocess.run(listing, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert "PrivateKeyEntry" in done.stdout, done.stdout


def test_two_exports_of_one_key_share_no_bytes_of_the_secret() -> None:
    first, second = (pem_files("a", certificate(), ec_key(), PASSWORD)["a.key"] for _ in range(2))
    assert not set(first.splitlines()[2:-1]) & set(second.splitlines()[2:-1])


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        (b"", "export_password_empty"),
        (b"jedenascie1", "export_password_too_short (length=11, minimum=12)"),
        ("zażółć gęślą jaźń".encode(), "export_password_not_ascii"),
        (b"\xff\xfe binary password", "export_password_not_ascii"),
        (b"a password\nin two lines", "export_password_not_ascii"),
        (b"a password\0with a zero", "export_password_not_ascii"),
    ],
)
def test_a_password_that_protects_nothing_or_not_everywhere_is_refused(password: bytes, reason: str) -> None:
    for render in (pem_files, pkcs12_file):
        with pytest.raises(InputError) as caught:
            render("a", certificate(), ec_key(), password)
        assert str(caught.value) == reason
        assert caught.value.__context__ is None


def test_twelve_characters_are_enough_unless_another_minimum_is_asked() -> None:
    assert check_password(b"dwanascie 12") == "dwanascie 12"
    assert check_password(b"krotkie", minimum=4) == "krotkie"
    with pytest.raises(InputError, match="export_password_empty"):
        check_password(b"", minimum=0)


def test_other_programs_want_15_to_32_characters() -> None:
    assert [widely_accepted(b"x" * length) for length in (14, 15, 32, 33)] == [False, True, True, False]


@pytest.mark.parametrize("name", ["", " ", ".hidden", "..", "-rf", "a/b", "a\\b", "a:b", "a\nb", "a\0b", "ż" * 101])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    for render in (pem_files, pkcs12_file):
        with pytest.raises(InputError, match="file_name_unusable"):
            render(name, certificate(), ec_key(), PASSWORD)


def test_files_are_the_owners_alone_and_never_overwritten_unasked(tmp_path: Path) -> None:
    files = {"a.crt": b"1", "a.key": b"2", "b.crt": b"3"}
    write_export(tmp_path, {"a.key": b"precious"})
    with pytest.raises(InputError, match="file_exists"):
        write_export(tmp_path, files)
    assert os.listdir(tmp_path) == ["a.key"]
    assert (tmp_path / "a.key").read_bytes() == b"precious"
    written = write_export(tmp_path, files, overwrite=True)
    assert {path.name: path.read_bytes() for path in written} == files
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}

"""The credential for TEST and the sandbox: made, loaded, its attributes those that KSeF reads."""

import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.klucznik.keys.builders import NOW, openssl, unprivileged

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.keytype import KeyType
from klucznik.errors import InputError
from klucznik.keys.credential import load_credential
from klucznik.keys.holder import HolderKind
from klucznik.keys.test_credential import write_test_credential

NIP = Subject(SubjectType.NIP, "5265877635")
PESEL = Subject(SubjectType.PESEL, "80010112345")


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize(("subject", "kind"), [(NIP, HolderKind.SEAL), (PESEL, HolderKind.PERSON)])
def test_the_credential_signs_in_as_its_subject(
    subject: Subject, kind: HolderKind, key_type: KeyType, tmp_path: Path
) -> None:
    made = write_test_credential(tmp_path / "new", subject, now=NOW, key_type=key_type)
    assert (made.certificate_file.name, made.key_file.name) == ("credential.crt", "credential.key")
    read = load_credential(cert=made.certificate_file, key=made.key_file, password=None, now=NOW)
    assert (read.holder.subject, read.holder.kind) == (subject, kind)
    expected = {KeyType.EC: ec.EllipticCurvePrivateKey, KeyType.RSA: rsa.RSAPrivateKey}[key_type]
    assert isinstance(read.private_key, expected)


def test_it_is_valid_from_an_hour_ago_for_two_years(tmp_path: Path) -> None:
    made = write_test_credential(tmp_path, NIP, now=NOW)
    read = load_credential(cert=made.certificate_file, key=made.key_file, password=None, now=NOW)
    assert read.certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert read.certificate.not_valid_after_utc == NOW - timedelta(hours=1) + timedelta(days=730)


def test_both_files_are_the_owners_alone(tmp_path: Path) -> None:
    made = write_test_credential(tmp_path, PESEL, now=NOW)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (made.certificate_file, made.key_file)} == {0o600}
    openssl(tmp_path, "verify", "-CAfile", "credential.crt", "-no_check_time", "credential.crt")


def test_an_existing_credential_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "credential.key").write_text("mine")
    with pytest.raises(InputError, match="file_exists"):
        write_test_credential(tmp_path, NIP, now=NOW)
    assert os.listdir(tmp_path) == ["credential.key"]
    assert (tmp_path / "credential.key").read_text() == "mine"


def test_a_fingerprint_cannot_be_made_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="test_credential_needs_nip_or_pesel"):
        write_test_credential(tmp_path / "new", Subject(SubjectType.FINGERPRINT, "AB" * 32), now=NOW)
    assert os.listdir(tmp_path) == []


def test_a_directory_that_cannot_be_written_stays_as_it_was() -> None:
    with unprivileged() as directory:
        directory.chmod(0o500)
        with pytest.raises(InputError, match="directory_not_writable"):
            write_test_credential(directory, NIP, now=NOW)
        assert os.listdir(directory) == []

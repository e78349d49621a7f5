"""A file that would hold this process up for hours is refused before a key is derived from its password."""

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.klucznik.world import some_nip

from klucznik.clock import SystemClock
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.errors import CredentialError
from klucznik.keys import der
from klucznik.keys.derivation import MOST_ROUNDS_IN_ALL, MOST_SCRYPT, is_too_costly
from klucznik.keys.pkcs12 import open_pkcs12
from klucznik.keys.protect import PEM_ROUNDS, PKCS12_ROUNDS, encrypted_key_pem, pkcs12
from klucznik.keys.reading import key_in
from klucznik.keys.test_credential import self_signed

PASSWORD = "trzy-zielone-zolwie"
KEY = ec.generate_private_key(ec.SECP256R1())
ROUNDS = {PKCS12_ROUNDS: der.integer(PKCS12_ROUNDS), PEM_ROUNDS: der.integer(PEM_ROUNDS)}
BOMB = der.integer(0x7FFFFF)  # as long as the honest ones, so that every length stays right


def a_pkcs12() -> bytes:
    certificate = self_signed(Subject(SubjectType.NIP, some_nip()), KEY, now=SystemClock().now())
    return pkcs12("klucz", certificate, KEY, PASSWORD)


def an_encrypted_key() -> bytes:
    pem = encrypted_key_pem(KEY, PASSWORD.encode())
    return base64.b64decode(b"".join(pem.splitlines()[1:-1]))


def armoured(content: bytes) -> bytes:
    return (
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        + base64.encodebytes(content)
        + b"-----END ENCRYPTED PRIVATE KEY-----\n"
    )


def by_scrypt(n: int, r: int, p: int) -> bytes:
    scrypt = der.element(der.OID, bytes.fromhex("2b06010401da47040b"))
    numbers = [der.integer(one) for one in (n, r, p)]
    derivation = der.element(
        der.SEQUENCE, scrypt, der.element(der.SEQUENCE, der.element(der.OCTETS, b"x" * 16), *numbers)
    )
    cipher = der.element(
        der.SEQUENCE,
        der.element(der.OID, bytes.fromhex("60864801650304012a")),
        der.element(der.OCTETS, b"x" * 16),
    )
    scheme = der.element(
        der.SEQUENCE,
        der.element(der.OID, bytes.fromhex("2a864886f70d01050d")),
        der.element(der.SEQUENCE, derivation, cipher),
    )
    return der.element(der.SEQUENCE, scheme, der.element(der.OCTETS, b"x" * 64))


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(CredentialError) as error:
        act()
    return error.value.reason


def test_every_number_of_rounds_in_a_pkcs12_is_looked_at_before_any_is_done() -> None:
    honest, rounds = a_pkcs12(), ROUNDS[PKCS12_ROUNDS]
    assert open_pkcs12(honest, PASSWORD.encode(), "klucz.p12")
    places = [at for at in range(len(honest)) if honest.startswith(rounds, at)]
    assert len(places) >= 3  # certificate, key, MAC
    for at in places:
        bomb = honest[:at] + BOMB + honest[at + len(rounds) :]
        assert refused(lambda: open_pkcs12(bomb, PASSWORD.encode(), "klucz.p12")) == "key_derivation_too_costly"  # noqa: B023


def test_many_honest_numbers_in_one_pkcs12_are_added_up() -> None:
    """A file of 1 MiB has room for two thousand parts, of which each takes a second."""
    honest = a_pkcs12()
    oid = bytes.fromhex("2a864886f70d01050c")  # PBKDF2
    at = honest.index(oid)
    part = honest[at : honest.index(ROUNDS[PKCS12_ROUNDS], at) + len(ROUNDS[PKCS12_ROUNDS])]
    fitting = MOST_ROUNDS_IN_ALL // PKCS12_ROUNDS - honest.count(oid)
    assert not is_too_costly(honest + part * fitting)
    assert is_too_costly(honest + part * (fitting + 1))
    scrypt = by_scrypt(1 << 14, 8, 1)
    assert not is_too_costly(scrypt * (MOST_SCRYPT >> 17))
    assert is_too_costly(scrypt * ((MOST_SCRYPT >> 17) + 1))


def test_an_encrypted_key_may_not_ask_for_hours_whether_it_is_pem_or_der() -> None:
    honest = an_encrypted_key()
    assert key_in(armoured(honest), PASSWORD.encode(), "klucz.key")
    bomb = honest.replace(ROUNDS[PEM_ROUNDS], BOMB)
    assert bomb != honest
    costly = by_scrypt(1 << 30, 8, 16)
    for content in (bomb, armoured(bomb), costly, armoured(costly)):
        for password in (None, PASSWORD.encode()):
            assert refused(lambda: key_in(content, password, "klucz.key")) == "key_derivation_too_costly"  # noqa: B023
    assert refused(lambda: key_in(by_scrypt(1 << 14, 8, 1), PASSWORD.encode(), "klucz.key")) == "password_wrong"


def test_the_files_that_we_export_ourselves_are_within_the_bound() -> None:
    assert load_pem_private_key(encrypted_key_pem(KEY, PASSWORD.encode()), PASSWORD.encode())
    assert open_pkcs12(a_pkcs12(), PASSWORD.encode(), "klucz.p12")[1].private_numbers() == KEY.private_numbers()

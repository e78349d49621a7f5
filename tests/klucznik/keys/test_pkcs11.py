"""Keys on tokens (SoftHSM): they sign as any other key, they never leave, and a PIN is tried once."""

import copy
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from signxml.algorithms import SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier
from tests.klucznik.tokens import CARD, CARD_PIN, HSM, LOST, TWIN, WRONG_PIN, Tokens

from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.key_uri import KeyUri
from klucznik.domain.keytype import KeyType
from klucznik.errors import Pkcs11Error
from klucznik.keys.credential import load_credential
from klucznik.keys.csr import build_csr, csr_matches
from klucznik.keys.generate import PrivateKey, generate_key
from klucznik.keys.pkcs11 import Pkcs11
from klucznik.keys.test_credential import self_signed
from klucznik.ksef.kod2 import sign_link, verify_link
from klucznik.ksef.xades import sign_document

NOW = datetime.now(UTC)
NIP = "5265877635"
DATA = EnrollmentData(common_name="Jan Kowalski", country_name="PL", given_name="Jan", surname="Kowalski")
KINDS = pytest.mark.parametrize("key_type", KeyType)


def pair(key: PrivateKey) -> x509.Certificate:
    return self_signed(Subject(SubjectType.NIP, NIP), key, now=NOW)


def refusal(act: Callable[[], object]) -> Pkcs11Error:
    with pytest.raises(Pkcs11Error) as refused:
        act()
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return refused.value


@KINDS
def test_a_key_made_on_a_token_signs_requests_and_kod2_links_and_never_leaves(
    tokens: Tokens, key_type: KeyType
) -> None:
    key_id = "0123456789abcdef" * 2 if key_type is KeyType.EC else "fedcba9876543210" * 2
    made = tokens.hsm().make_key(key_type, key_id)
    again = tokens.hsm().key(made.uri)
    assert again.public_key() == made.public_key()
    assert csr_matches(build_csr(DATA, again), DATA, again)
    where = {"qr_host": "qr.ksef.mf.gov.pl", "seller_nip": NIP, "serial_number": "0" * 16}
    link = sign_link(**where, context=Context.of_nip(NIP), invoice=b"faktura", private_key=again)
    verify_link(link, again.public_key(), invoice=b"faktura")

    (kept,) = [one for one in tokens.private_keys(HSM) if one["ID"] == bytes.fromhex(key_id)]
    assert kept == {
        "LABEL": f"klucznik-{key_id}",
        "ID": bytes.fromhex(key_id),
        "SENSITIVE": True,
        "EXTRACTABLE": False,
        "ALWAYS_SENSITIVE": True,
        "NEVER_EXTRACTABLE": True,
        "LOCAL": True,
        "TOKEN": True,
    }
    with pytest.raises(pkcs11.AttributeSensitive):
        tokens.private_value(HSM, bytes.fromhex(key_id))
    for take in (again.private_numbers, again.private_bytes):
        assert refusal(take).reason == "pkcs11_key_stays"
    assert copy.deepcopy(again) is again
    with pytest.raises(TypeError):
        pickle.dumps(again)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), None], ids=["P-256", "P-384", "RSA"])
def test_a_key_on_a_card_signs_in_with_its_certificate_beside_it_or_in_a_file(
    tokens: Tokens, tmp_path: Path, curve: ec.EllipticCurve | None
) -> None:
    key = generate_key(KeyType.RSA) if curve is None else ec.generate_private_key(curve)
    certificate = pair(key)
    uri = tokens.put(CARD, key, certificate)
    (tmp_path / "seal.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    bare = tokens.put(CARD, key)
    for where, file in ((uri, None), (bare, tmp_path / "seal.crt")):
        credential = load_credential(
            cert=file, key=where, password=CARD_PIN.encode(), pkcs11=tokens.pkcs11(), now=datetime.now(UTC)
        )
        assert credential.holder.subject == Subject(SubjectType.NIP, NIP)
        signed = sign_document(b"<a/>", credential.certificate, credential.private_key, now=NOW)
        methods = frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384})
        expected = SignatureConfiguration(expect_references=2, signature_methods=methods)
        XMLVerifier().verify(signed, x509_cert=certificate, expect_config=expected)


def test_of_several_certificates_of_a_key_the_one_that_lasts_longest_is_taken(tokens: Tokens) -> None:
    key = generate_key()
    older = self_signed(Subject(SubjectType.NIP, NIP), key, now=NOW - timedelta(days=30))
    uri = tokens.put(CARD, key, older)
    tokens.put(CARD, None, newer := pair(key))
    pkcs11_ = tokens.pkcs11()
    assert pkcs11_.certificate(uri, pkcs11_.key(uri, CARD_PIN)) == newer


def test_where_the_token_tells_no_public_key_its_certificate_does(tokens: Tokens, tmp_path: Path) -> None:
    key = generate_key()
    beside, alone = tokens.put(CARD, key, pair(key), public=False), tokens.put(CARD, key, public=False)
    reader = tokens.pkcs11()
    assert reader.key(beside, CARD_PIN).public_key() == key.public_key()
    assert refusal(lambda: reader.key(alone, CARD_PIN)).reason == "pkcs11_public_key_missing"
    assert reader.key(alone, CARD_PIN, pair(key)).public_key() == key.public_key()
    # A certificate of another key is found out by the first signature.
    other = reader.key(alone, CARD_PIN, pair(generate_key()))
    assert refusal(lambda: build_csr(DATA, other)).reason == "pkcs11_signature_wrong"


def test_a_wrong_pin_is_shown_to_the_token_once_and_never_again(tokens: Tokens) -> None:
    uri = tokens.put(CARD, generate_key())
    unlucky = tokens.pkcs11()
    assert refusal(lambda: unlucky.key(uri, WRONG_PIN)).reason == "pkcs11_pin_refused"
    assert tokens.wrong_pin_was_given(CARD)
    tokens.pkcs11().key(uri, CARD_PIN)  # the right one wipes that out
    assert not tokens.wrong_pin_was_given(CARD)
    for act in (
        lambda: unlucky.key(uri, WRONG_PIN),
        lambda: unlucky.make_key(uri.of_token, WRONG_PIN, KeyType.EC, "00" * 16),
        lambda: unlucky.tokens(uri.of_token, WRONG_PIN),
    ):
        assert refusal(act).reason == "pkcs11_pin_refused"
    assert not tokens.wrong_pin_was_given(CARD), "the token was asked again"
    assert unlucky.key(uri, CARD_PIN).uri == uri


def test_what_is_wrong_with_a_name_is_said_before_a_pin_is_shown(tokens: Tokens, tmp_path: Path) -> None:
    uri, key = tokens.put(CARD, generate_key()), generate_key()
    (tmp_path / "text.so").write_text("no library")
    twice = tokens.put(CARD, key, name="dwa razy"), tokens.put(CARD, key, name="dwa razy")
    assert len(twice) == 2
    reader, nowhere = tokens.pkcs11(), Pkcs11(None)
    situations: list[tuple[Pkcs11, KeyUri, str | None, str]] = [
        (nowhere, uri, CARD_PIN, "pkcs11_module_not_given"),
        (Pkcs11(str(tmp_path / "nowhere.so")), uri, CARD_PIN, "pkcs11_module_missing"),
        (Pkcs11("libsofthsm2.so"), uri, CARD_PIN, "pkcs11_module_missing"),  # never by a search path
        (Pkcs11(str(tmp_path / "text.so")), uri, CARD_PIN, "pkcs11_module_unusable"),
        (reader, KeyUri(token="Nie ma", id=b"1"), CARD_PIN, "pkcs11_token_missing"),
        (reader, KeyUri(token=TWIN, id=b"1"), CARD_PIN, "pkcs11_tokens_alike"),
        (reader, KeyUri(token=CARD), CARD_PIN, "pkcs11_uri_names_no_key"),
        (reader, uri, None, "pkcs11_pin_needed"),
        (reader, KeyUri(token=CARD, id=b"nie ma"), CARD_PIN, "pkcs11_key_missing"),
        (reader, KeyUri(token=CARD, object="dwa razy"), CARD_PIN, "pkcs11_keys_alike"),
    ]
    for where, name, pin, reason in situations:
        assert refusal(lambda: where.key(name, pin)).reason == reason  # noqa: B023
    assert not tokens.wrong_pin_was_given(CARD)
    assert nowhere.key(KeyUri.parse(f"{uri}?module-path={tokens.module}"), CARD_PIN)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 1024)])  # noqa: S505
def test_keys_that_ksef_does_not_take_are_refused(tokens: Tokens, key: PrivateKey) -> None:
    uri = tokens.put(CARD, key)
    assert refusal(lambda: tokens.pkcs11().key(uri, CARD_PIN)).reason == "pkcs11_key_unsuitable"


def test_the_pin_of_the_installation_is_shown_to_no_other_token(tokens: Tokens) -> None:
    uri = tokens.put(CARD, generate_key())
    assert refusal(lambda: tokens.hsm().key(uri)).reason == "pkcs11_other_token"
    assert not tokens.wrong_pin_was_given(CARD)


def test_a_token_that_is_taken_out_in_the_middle_is_told_as_such(tokens: Tokens, tmp_path: Path) -> None:
    reader = tokens.pkcs11()
    key = reader.key(tokens.put(LOST, generate_key()), CARD_PIN)
    (place,) = [path for path in tokens.directory.iterdir() if _label(path, tokens) == LOST]
    shutil.move(place, tmp_path / "lost")
    try:
        error = refusal(lambda: build_csr(DATA, key))
    finally:
        shutil.move(tmp_path / "lost", place)
    assert error.passing, error
    assert csr_matches(build_csr(DATA, key), DATA, key)


def test_many_threads_may_use_two_tokens_at_once(tokens: Tokens) -> None:
    reader = tokens.pkcs11()
    keys = [reader.key(tokens.put(label, generate_key()), pin) for label, pin in ((CARD, CARD_PIN), (LOST, CARD_PIN))]

    def sign(number: int) -> bool:
        key = keys[number % 2]
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        key.public_key().verify(key.sign(b"x", ec.ECDSA(SHA256())), b"x", ec.ECDSA(SHA256()))
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(sign, range(24)))


def test_rsa_signatures_are_those_of_the_standards(tokens: Tokens) -> None:
    key = tokens.pkcs11().key(tokens.put(CARD, rsa.generate_private_key(65537, 3072)), CARD_PIN)
    assert isinstance(key, rsa.RSAPrivateKey)
    for scheme in (PKCS1v15(), PSS(MGF1(SHA256()), 32)):
        key.public_key().verify(key.sign(b"dane", scheme, SHA256()), b"dane", scheme, SHA256())


def test_a_process_that_was_forked_off_uses_tokens_too(tokens: Tokens) -> None:
    uri = tokens.put(CARD, generate_key())
    script = (
        "import os, sys, warnings; warnings.simplefilter('ignore')\n"
        "from klucznik.keys.pkcs11 import Pkcs11; from klucznik.domain.key_uri import KeyUri\n"
        f"reader, uri = Pkcs11({tokens.module!r}), KeyUri.parse({str(uri)!r})\n"
        f"reader.key(uri, {CARD_PIN!r})\n"
        "child = os.fork()\n"
        f"reader.key(uri, {CARD_PIN!r})\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_list_shows_keys_and_certificates_with_and_without_a_pin(tokens: Tokens) -> None:
    key = generate_key()
    uri = tokens.put(CARD, key, pair(key), name="Pieczęć")
    reader = tokens.pkcs11()
    assert {token.uri.token for token in reader.tokens(KeyUri())} == {CARD, HSM, TWIN, LOST}
    for pin in (None, CARD_PIN):
        (card,) = reader.tokens(uri.of_token, pin)
        assert card.logged_in is (pin is not None)
        (one,) = [one for one in card.objects if one.uri.id == uri.id]
        assert (one.uri.object, one.kind, one.private_key) == ("Pieczęć", "secp256r1", pin is not None)
        assert one.certificate == pair(key) or one.certificate is not None
    assert refusal(lambda: reader.tokens(KeyUri(token=TWIN), CARD_PIN)).reason == "pkcs11_tokens_alike"


def _label(directory: Path, tokens: Tokens) -> str:
    """Of a token by the directory it is kept in, which bears the end of its serial number."""
    serials = {token.serial.decode(): token.label for token in pkcs11.lib(tokens.module).get_tokens()}
    return next((label for serial, label in serials.items() if directory.name.replace("-", "").endswith(serial)), "")

"""KOD II links: what is signed, what is refused, both kinds of keys."""

import base64
import hashlib
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.klucznik.ksef.worlds import CONTEXT, NIP, ec_key, rsa_key

from klucznik.domain.identifiers import Context, ContextType
from klucznik.domain.values import InvalidValue
from klucznik.errors import CredentialError, VerificationFailed
from klucznik.ksef.kod2 import SigningKey, parse_link, sign_link, verify_link

HOST = "qr-test.ksef.mf.gov.pl"
SERIAL = "01F20A5D352AE590"
INVOICE = "<Faktura>zażółć</Faktura>".encode()
# The signed text of the Ministry's sample (facts.md §8). Its signature and certificate are not part of that sheet.
SAMPLE_MESSAGE = (
    "qr-test.ksef.mf.gov.pl/certificate/Nip/1111111111/1111111111/01F20A5D352AE590/"
    "UtQp9Gpc51y-u3xApZjIjgkpZ01js-J8KflSPW8WzIE"
)
KEYS = {"ec": ec_key, "rsa": rsa_key}
both_keys = pytest.mark.parametrize("kind", KEYS)


def key(kind: str) -> SigningKey:
    return ec_key() if kind == "ec" else rsa_key()


def link(private_key: SigningKey, invoice: bytes = INVOICE) -> str:
    return sign_link(
        qr_host=HOST,
        context=CONTEXT,
        seller_nip=NIP,
        serial_number=SERIAL,
        invoice=invoice,
        private_key=private_key,
    )


@cache
def one_link(kind: str) -> str:
    """The same link for every example: a signature has chance in it, and what hypothesis draws may not."""
    return link(key(kind))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_the_ministrys_sample_reads_as_its_parts() -> None:
    parts = parse_link(f"https://{SAMPLE_MESSAGE}/{encoded(bytes(256))}")
    assert parts.message == SAMPLE_MESSAGE
    assert (parts.qr_host, parts.context_type, parts.context_value) == (HOST, "Nip", "1111111111")
    assert (parts.seller_nip, parts.serial_number) == ("1111111111", SERIAL)
    assert encoded(parts.invoice_hash) == "UtQp9Gpc51y-u3xApZjIjgkpZ01js-J8KflSPW8WzIE"


def test_the_samples_message_signed_with_the_bare_primitive_is_accepted() -> None:
    """The algorithm of facts.md §8, written here once more with the library alone: PSS, SHA-256, salt 32."""
    signature = rsa_key().sign(SAMPLE_MESSAGE.encode(), padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    verify_link(f"https://{SAMPLE_MESSAGE}/{encoded(signature)}", rsa_key().public_key(), invoice=None)


@both_keys
def test_what_is_signed_is_the_text_between_the_scheme_and_the_last_slash(kind: str) -> None:
    made = link(key(kind))
    message, signature = made.removeprefix("https://").rsplit("/", 1)
    hashed = encoded(hashlib.sha256(INVOICE).digest())
    assert message == f"{HOST}/certificate/Nip/{NIP}/{NIP}/{SERIAL}/{hashed}"
    assert len(signature) == {"ec": 86, "rsa": 342}[kind]


@both_keys
@given(invoice=st.binary(max_size=200))
@settings(deadline=None, max_examples=25)
def test_a_link_verifies_for_its_invoice_and_for_no_other(kind: str, invoice: bytes) -> None:
    made = link(key(kind), invoice)
    verify_link(made, key(kind).public_key(), invoice=invoice)
    with pytest.raises(VerificationFailed, match="kod2_invoice_differs"):
        verify_link(made, key(kind).public_key(), invoice=invoice + b" ")


@both_keys
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_no_single_character_of_a_link_can_be_changed(kind: str, data: st.DataObject) -> None:
    made = one_link(kind)
    place = data.draw(st.integers(0, len(made) - 1))
    other = data.draw(st.sampled_from("0123456789ABCDEFabcdefxyz-_/=.").filter(lambda c: c != made[place]))
    with pytest.raises(VerificationFailed):
        verify_link(made[:place] + other + made[place + 1 :], key(kind).public_key(), invoice=INVOICE)


@both_keys
def test_a_link_of_another_key_is_refused(kind: str) -> None:
    foreign = (
        ec.generate_private_key(ec.SECP256R1()).public_key()
        if kind == "ec"
        else rsa.generate_private_key(65537, 2048).public_key()
    )
    with pytest.raises(VerificationFailed, match="kod2_signature_wrong"):
        verify_link(link(key(kind)), foreign, invoice=INVOICE)


def test_an_ec_signature_in_der_is_accepted() -> None:
    message = link(ec_key()).removeprefix("https://").rsplit("/", 1)[0]
    signature = ec_key().sign(message.encode(), ec.ECDSA(SHA256()))
    verify_link(f"https://{message}/{encoded(signature)}", ec_key().public_key(), invoice=INVOICE)


def test_a_signature_over_the_digest_is_refused() -> None:
    """Hashing twice is the commonest mistake (facts.md §8)."""
    message = link(ec_key()).removeprefix("https://").rsplit("/", 1)[0]
    signature = ec_key().sign(hashlib.sha256(message.encode()).digest(), ec.ECDSA(SHA256()))
    with pytest.raises(VerificationFailed, match="kod2_signature_wrong"):
        verify_link(f"https://{message}/{encoded(signature)}", ec_key().public_key(), invoice=INVOICE)


@pytest.mark.parametrize("salt", [0, 20, padding.PSS.MAX_LENGTH])
def test_a_pss_signature_with_another_salt_is_refused(salt: int) -> None:
    message = link(rsa_key()).removeprefix("https://").rsplit("/", 1)[0]
    signature = rsa_key().sign(message.encode(), padding.PSS(padding.MGF1(SHA256()), salt), SHA256())
    with pytest.raises(VerificationFailed, match="kod2_signature_wrong"):
        verify_link(f"https://{message}/{encoded(signature)}", rsa_key().public_key(), invoice=INVOICE)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text + "/",
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: text.replace("https:", "http:"),
        lambda text: text.replace("/certificate/", "/invoice/"),
        lambda text: text.replace("/Nip/", "/nip/"),
        lambda text: text.replace(SERIAL, SERIAL.lower()),
        lambda text: text.replace(SERIAL, SERIAL[:-1]),
        lambda text: text.replace(HOST, "user@" + HOST),
        lambda text: text + "?a=b",
        lambda text: text.replace(NIP, "５" + NIP[1:], 1),
    ],
)
def test_a_link_of_any_other_form_is_refused(spoil: object) -> None:
    assert callable(spoil)
    with pytest.raises(VerificationFailed, match="kod2_link_malformed"):
        parse_link(spoil(link(ec_key())))


@given(st.text(max_size=300))
def test_reading_a_link_never_fails_in_another_way(text: str) -> None:
    with pytest.raises(VerificationFailed):
        parse_link(text)


@pytest.mark.parametrize(
    ("context_type", "value"),
    [(ContextType.INTERNAL_ID, f"{NIP}-12345"), (ContextType.NIP_VAT_UE, f"{NIP}-IE1+23456A")],
)
def test_other_contexts_are_named_by_their_type(context_type: ContextType, value: str) -> None:
    made = sign_link(
        qr_host="127.0.0.1:8380",
        context=Context(context_type, value),
        seller_nip=NIP,
        serial_number=SERIAL,
        invoice=INVOICE,
        private_key=ec_key(),
    )
    parts = parse_link(made)
    assert (parts.qr_host, parts.context_type, parts.context_value) == ("127.0.0.1:8380", context_type.value, value)
    verify_link(made, ec_key().public_key(), invoice=INVOICE)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"qr_host": "evil.example/x"}, "qr_host_malformed"),
        ({"context": Context(ContextType.NIP, "5/../1")}, "context_malformed"),
        ({"seller_nip": "0000000000"}, "nip_malformed"),
        ({"serial_number": "01"}, "serial_malformed"),
    ],
)
def test_nothing_is_signed_that_would_not_be_a_link(changed: dict[str, object], reason: str) -> None:
    arguments: dict[str, object] = {
        "qr_host": HOST,
        "context": CONTEXT,
        "seller_nip": NIP,
        "serial_number": SERIAL,
        "invoice": INVOICE,
        "private_key": ec_key(),
    }
    with pytest.raises(InvalidValue, match=reason):
        sign_link(**{**arguments, **changed})  # type: ignore[arg-type]


def test_only_the_keys_of_ksef_certificates_sign_and_verify() -> None:
    p384 = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(CredentialError, match="signing_key_unsupported"):
        link(p384)
    with pytest.raises(VerificationFailed, match="kod2_key_unsupported"):
        verify_link(link(ec_key()), p384.public_key(), invoice=INVOICE)

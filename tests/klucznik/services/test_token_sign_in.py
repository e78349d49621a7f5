"""Signing in with a KSeF token: encrypted for KSeF, once for each challenge, and what every refusal says."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.klucznik.world import SandboxClock, context_of, some_nip, some_pesel

from klucznik.domain.environments import Environment, endpoint
from klucznik.domain.identifiers import Context, ContextType
from klucznik.domain.ksef_token import KsefToken, parse_token
from klucznik.domain.token_sunset import TOKEN_SUNSET
from klucznik.domain.values import InvalidValue
from klucznik.errors import KsefUnavailable, SignInRefused
from klucznik.ksef.answers import Challenge, PublicKeyCertificate
from klucznik.ksef.client import KsefClient
from klucznik.ksef.token_request import USAGE, token_request
from ksef_sandbox import Sandbox

pytestmark = pytest.mark.sqlite

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TEXT = "20250625-EC-20F5EE4000-DA48AE4124-46|nip-5265877635|" + "a1" * 32
CHALLENGE = Challenge("20250625-CR-20F5EE4000-DA48AE4124-46", NOW, NOW + timedelta(minutes=10), None, 1764000000123)


def make_token(ksef: Sandbox, nip: str, *, pesel: str | None = None) -> KsefToken:
    """A token of the company, as its owner makes one."""
    bearer = {"Authorization": f"Bearer {ksef.access_token(nip=nip, pesel=pesel)}"}
    body = {"permissions": ["InvoiceRead", "InvoiceWrite"], "description": "made in a test"}
    answer = httpx.post(f"{ksef.base_url}/tokens", json=body, headers=bearer).raise_for_status()
    return parse_token(answer.json()["token"])


def revoke_token(ksef: Sandbox, nip: str, token: KsefToken) -> None:
    bearer = {"Authorization": f"Bearer {ksef.access_token(nip=nip)}"}
    httpx.delete(f"{ksef.base_url}/tokens/{token.reference_number}", headers=bearer).raise_for_status()


def public_key(
    *, usage: tuple[str, ...] = (USAGE,), start: int = -1, end: int = 1, bits: int = 2048, named: str | None = None
) -> tuple[PublicKeyCertificate, rsa.RSAPrivateKey]:
    """What KSeF might name, valid between two days from now."""
    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "klucz")])
    valid_from, valid_to = NOW + timedelta(days=start), NOW + timedelta(days=end)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(valid_from)
        .not_valid_after(valid_to)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key_id = named or base64.b64encode(hashlib.sha256(spki).digest()).decode()
    return PublicKeyCertificate(key_id, usage, valid_from, valid_to, certificate.public_bytes(Encoding.DER)), key


def opened(body: dict[str, object], key: rsa.RSAPrivateKey) -> bytes:
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return key.decrypt(base64.b64decode(str(body["encryptedToken"])), oaep)


def test_the_token_goes_with_the_milliseconds_of_the_challenge_under_the_newest_key() -> None:
    (old, _), (new, key), (other, _), (over, _) = (
        public_key(start=-30),
        public_key(start=-2),
        public_key(usage=("SymmetricKeyEncryption",), start=-1),
        public_key(start=-9, end=-1),
    )
    token, context = parse_token(TEXT), Context.of_nip("5265877635")
    body = token_request(token, CHALLENGE, context, [old, new, other, over], host="ksef", now=NOW)
    assert opened(body, key) == f"{TEXT}|1764000000123".encode()
    assert body["publicKeyId"] == new.key_id
    assert body["contextIdentifier"] == {"type": "Nip", "value": "5265877635"}
    assert "a1a1" not in str(body)


@pytest.mark.parametrize(
    "unfit",
    [
        public_key(usage=("SymmetricKeyEncryption",))[0],
        public_key(start=1, end=2)[0],
        public_key(start=-2, end=-1)[0],
        public_key(bits=1024)[0],
        public_key(named="A" * 43 + "=")[0],
        PublicKeyCertificate("A" * 43 + "=", (USAGE,), NOW, NOW + timedelta(days=1), b"\x30\x00"),
    ],
    ids=["another use", "not yet", "over", "too small", "another name", "no certificate"],
)
def test_a_key_that_is_not_what_it_should_be_gets_no_token(unfit: PublicKeyCertificate) -> None:
    with pytest.raises(KsefUnavailable, match="token_key_missing"):
        token_request(parse_token(TEXT), CHALLENGE, Context.of_nip("5265877635"), [unfit], host="ksef", now=NOW)


def test_a_token_says_whose_it_is_and_never_shows_itself() -> None:
    token = parse_token(f"  {TEXT}\n")
    assert (token.reference_number, token.context) == (TEXT[:36], Context.of_nip("5265877635"))
    assert "a1a1" not in repr(token)
    unit = parse_token(TEXT.replace("nip-5265877635", "internalId-5265877635-12345"))
    assert unit.context == Context(ContextType.INTERNAL_ID, "5265877635-12345")


@given(st.text(max_size=200) | st.from_regex(re.compile(r"[0-9A-Z|-]{1,180}"), fullmatch=True))
def test_what_is_no_token_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_token(text)
    assert caught.value.data == {}


def test_tokens_end_with_the_last_day_of_2026_on_the_polish_clock() -> None:
    assert TOKEN_SUNSET.ends_at == datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert not TOKEN_SUNSET.over(datetime(2026, 12, 31, 22, 59, tzinfo=UTC))
    assert TOKEN_SUNSET.over(datetime(2026, 12, 31, 23, tzinfo=UTC))


async def test_a_token_signs_in_and_tells_of_its_author(ksef: Sandbox) -> None:
    nip, pesel = some_nip(), some_pesel()
    ksef.link_person(nip=nip, pesel=pesel)
    token = make_token(ksef, nip, pesel=pesel)
    ksef.advance(seconds=60)
    async with client(ksef) as klient:
        session = await klient.sign_in_with_token(context_of(nip), token)
        said = await session.token(token.reference_number)
        await session.end()
        assert said.author is not None
        assert (said.author.value, set(said.permissions)) == (pesel, {"InvoiceRead", "InvoiceWrite"})
        assert await klient.prove_token(context_of(nip), token)


async def test_a_refused_token_says_why(ksef: Sandbox) -> None:
    nip, other = some_nip(), some_nip()
    token = make_token(ksef, nip)
    ksef.advance(seconds=60)
    wrong = parse_token(token.text[:-4] + ("0000" if token.text[-4:] != "0000" else "1111"))
    async with client(ksef) as klient:
        assert await refusal(klient, nip, wrong) == (450, "Nieprawidłowy token")
        assert (await refusal(klient, other, token))[0] == 450
        revoke_token(ksef, nip, token)
        ksef.advance(seconds=60)
        assert await refusal(klient, nip, token) == (450, "Token unieważniony")


async def refusal(klient: KsefClient, nip: str, token: KsefToken) -> tuple[int | None, str]:
    with pytest.raises(SignInRefused) as caught:
        await klient.prove_token(context_of(nip), token)
    assert token.text not in repr(caught.value) + str(caught.value.data)
    return caught.value.code, " ".join(caught.value.details)


def client(ksef: Sandbox) -> KsefClient:
    return KsefClient(endpoint(Environment.SANDBOX, ksef.base_url), clock=SandboxClock(ksef))

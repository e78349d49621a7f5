"""Builders: a clock that waits in no time, test certificates, a KSeF that answers as told."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from klucznik.domain.environments import Endpoint, Environment
from klucznik.domain.identifiers import Context
from klucznik.ksef.client import DocumentSigner, KsefClient
from klucznik.ksef.session import Session
from klucznik.ksef.xades import SigningKey, sign_document

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NIP = "5265877635"
PESEL = "80010112345"
CONTEXT = Context.of_nip(NIP)
ENDPOINT = Endpoint(Environment.TEST, "https://ksef.example/v2", "qr.ksef.example")
CHALLENGE = "20261123-CR-20F5EE4000-DA48AE4124-46"
REFERENCE = "20261123-AU-20F5EE4000-DA48AE4124-46"
# Whatever of these turns up outside a request is a leak.
SIGN_IN_TOKEN, ACCESS_TOKEN, REFRESH_TOKEN = "canary-sign-in-token", "canary-access-token", "canary-refresh-token"


class StillClock:
    """Stands still until somebody waits or moves it; remembers the waits."""

    def __init__(self, now: datetime = NOW) -> None:
        self.moment = now
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.moment += timedelta(seconds=seconds)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


ORGANIZATION_IDENTIFIER = NameOID.ORGANIZATION_IDENTIFIER


def seal(nip: str = NIP) -> list[tuple[x509.ObjectIdentifier, str]]:
    return [
        (NameOID.COUNTRY_NAME, "PL"),
        (NameOID.ORGANIZATION_IDENTIFIER, f"VATPL-{nip}"),
        (NameOID.ORGANIZATION_NAME, "Zażółć sp. z o.o."),
        (NameOID.COMMON_NAME, "Zażółć"),
    ]


def person(pesel: str = PESEL) -> list[tuple[x509.ObjectIdentifier, str]]:
    return [
        (NameOID.COUNTRY_NAME, "PL"),
        (NameOID.GIVEN_NAME, "Łucja"),
        (NameOID.SURNAME, "Żak"),
        (NameOID.SERIAL_NUMBER, f"PNOPL-{pesel}"),
        (NameOID.COMMON_NAME, "Łucja Żak"),
    ]


def nobody() -> list[tuple[x509.ObjectIdentifier, str]]:
    return [(NameOID.COMMON_NAME, "Unknown"), (NameOID.COUNTRY_NAME, "PL")]


def self_signed(
    subject: list[tuple[x509.ObjectIdentifier, str]], key: SigningKey, *, start: datetime | None = None
) -> x509.Certificate:
    """A self-signed certificate, valid for two years from an hour before ``start`` (by default, before now)."""
    start = (start or datetime.now(UTC)) - timedelta(hours=1)
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=730))
        .sign(key, hashes.SHA256())
    )


def signer(subject: list[tuple[x509.ObjectIdentifier, str]], key: SigningKey | None = None) -> DocumentSigner:
    """Signs with a fresh self-signed certificate, at the machine's present moment."""
    key = key or ec_key()
    certificate = self_signed(subject, key)
    return lambda xml: sign_document(xml, certificate, key, now=datetime.now(UTC))


@dataclass
class Scripted:
    """A KSeF that answers each route as told and notes what it was asked.

    Attributes:
        answers: by ``METHOD /path`` (without the base): a response, an exception to raise, or a list of those to be
            used one after the other, the last one for good.
    """

    answers: dict[str, object] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        key = f"{request.method} {request.url.path.removeprefix('/v2')}"
        answer = self.answers[key]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, httpx.Response)
        # A response may be sent once; this makes another of the same kind.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def count(self, key: str) -> int:
        return sum(f"{r.method} {r.url.path.removeprefix('/v2')}" == key for r in self.asked)


def answer(body: object, status: int = 200, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, content=content, headers=named)


def moment(at: datetime) -> str:
    return at.isoformat()


def token(value: str, valid_until: datetime) -> dict[str, str]:
    return {"token": value, "validUntil": moment(valid_until)}


def sign_in_answers(now: datetime = NOW) -> dict[str, object]:
    """What a KSeF answers to a sign-in that goes well."""
    return {
        "POST /auth/challenge": answer({"challenge": CHALLENGE, "timestamp": moment(now), "timestampMs": 1}),
        "POST /auth/xades-signature": answer(
            {
                "referenceNumber": REFERENCE,
                "authenticationToken": token(SIGN_IN_TOKEN, now + timedelta(minutes=45)),
            },
            202,
        ),
        f"GET /auth/{REFERENCE}": answer({"status": {"code": 200, "description": "ok"}}),
        "POST /auth/token/redeem": answer(
            {
                "accessToken": token(ACCESS_TOKEN, now + timedelta(minutes=15)),
                "refreshToken": token(REFRESH_TOKEN, now + timedelta(days=7)),
            }
        ),
        "GET /certificates/limits": answer(
            {
                "canRequest": True,
                "enrollment": {"remaining": 10, "limit": 12},
                "certificate": {"remaining": 4, "limit": 6},
            }
        ),
    }


Handler = Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


def client(ksef: Handler, clock: StillClock | None = None) -> KsefClient:
    return KsefClient(ENDPOINT, clock=clock or StillClock(), transport=httpx.MockTransport(ksef))


def signed_in_answers(**answers: object) -> Scripted:
    return Scripted({**sign_in_answers(), **answers})


async def sign_in(ksef: KsefClient) -> Session:
    """A session of a KSeF that does not look at signatures."""
    return await ksef.sign_in(CONTEXT, lambda xml: xml)

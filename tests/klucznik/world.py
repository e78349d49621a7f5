"""Builders for tests of the services: who signs in, an installation beside a sandbox, a clock that waits in no time.

Networks that misbehave are in `mishaps`.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection
from tests.klucznik.databases import database_url

from klucznik.clock import Clock
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import Enrollment
from klucznik.keys.credential import Credential
from klucznik.keys.holder import read_holder
from klucznik.keys.test_credential import HEAD_START, VALIDITY, self_signed
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued
from klucznik.services.sign_in import unsealed
from klucznik.storage import certificates, issuances
from ksef_sandbox import Sandbox
from ksef_sandbox.requestlog import LoggedRequest

ENROLLMENTS = "/certificates/enrollments"
QUICK: dict[str, bool | int | str] = {
    "auth_delay_ms": 0,
    "enroll_delay_ms": 0,
    "perm_delay_ms": 0,
    "revoke_delay_ms": 0,
    "rate_profile": "off",
}


class SandboxClock:
    """The sandbox's time: both sides stand at the same moment, and whoever waits moves both on."""

    def __init__(self, ksef: Sandbox) -> None:
        self._ksef = ksef
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self._ksef.now()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._ksef.advance(seconds=seconds)


class HeldClock(SandboxClock):
    """Whoever waits does so until the test lets time go on.

    Attributes:
        somebody_waits: set once KSeF has been asked and is waited for.
        goes_on: for the test to set.
    """

    def __init__(self, ksef: Sandbox) -> None:
        super().__init__(ksef)
        self.ksef = ksef
        self.somebody_waits = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.somebody_waits.set()
        await self.goes_on.wait()
        await super().sleep(seconds)


@asynccontextmanager
async def slow_to_check(home: Path, ksef: Sandbox) -> AsyncIterator[tuple[Installation, HeldClock]]:
    """KSeF takes minutes for a signature, and nobody waits for that before they answer.

    Args:
        home: of an installation, which may be there already.
    """
    ksef.set(auth_delay_ms=5 * 60_000)
    async with nobody_waits(home, ksef) as (klucznik, clock):
        yield klucznik, clock


@asynccontextmanager
async def nobody_waits(
    home: Path, ksef: Sandbox, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[tuple[Installation, HeldClock]]:
    """Whoever asks is answered at once, however long KSeF takes; its process does not wait for that in the end."""
    clock = HeldClock(ksef)
    async with installed(home, ksef, clock=clock, transport=transport) as klucznik:
        klucznik.background.answer_within_s = klucznik.background.stop_within_s = 0.0
        yield klucznik, clock


async def checked(klucznik: Installation, clock: HeldClock) -> None:
    """KSeF has come to an end with what it checks, and is quick again."""
    clock.goes_on.set()
    klucznik.background.stop_within_s = 60.0
    await klucznik.background.stop()
    clock.ksef.set(auth_delay_ms=0)


def some_nip() -> str:
    """A NIP as KSeF accepts it; each test takes its own."""
    return f"{random.randint(11, 99)}{random.randint(1, 9)}{random.randrange(10**7):07d}"


def some_pesel() -> str:
    return f"{random.randrange(100):02d}{random.randint(1, 12):02d}{random.randrange(10**7):07d}"


def company(nip: str, ksef: Sandbox) -> Credential:
    """The seal of a company, which is the owner of its own context."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _credential(self_signed(Subject(SubjectType.NIP, nip), key, now=ksef.now()), key)


def owner(nip: str, ksef: Sandbox) -> Credential:
    """The signature of a person who owns the company."""
    pesel = some_pesel()
    ksef.link_person(nip=nip, pesel=pesel)
    return person(pesel, ksef)


def person(pesel: str, ksef: Sandbox) -> Credential:
    """The signature of a person, whatever she may do."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _credential(self_signed(Subject(SubjectType.PESEL, pesel), key, now=ksef.now()), key)


def stranger(nip: str, ksef: Sandbox) -> Credential:
    """A certificate without an identity, whose fingerprint the company has given a permission."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "PL"), x509.NameAttribute(NameOID.COMMON_NAME, "Bez numeru")]
    )
    start = (ksef.now() - HEAD_START).replace(microsecond=0)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALIDITY)
        .sign(key, hashes.SHA256())
    )
    credential = _credential(certificate, key)
    grant = {
        "contextIdentifier": {"type": "Nip", "value": nip},
        "authorizedIdentifier": {"type": "Fingerprint", "value": credential.holder.fingerprint},
        "permissions": [{"permissionType": "InvoiceWrite", "description": "granted in a test"}],
    }
    httpx.post(f"{ksef.base_url}/testdata/permissions", json=grant).raise_for_status()
    return credential


def _credential(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Credential:
    return Credential(certificate, key, "credential.crt", "credential.key", read_holder(certificate))


@asynccontextmanager
async def installed(
    home: Path, ksef: Sandbox, *, clock: Clock | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[Installation]:
    """An installation that talks to the sandbox; by default it lives on the sandbox's clock."""
    opened = await Installation.open(
        home,
        database_url=database_url(home),
        ksef_url=ksef.base_url,
        clock=clock or SandboxClock(ksef),
        transport=transport,
    )
    async with opened as installation:
        yield installation


def set_limits(
    ksef: Sandbox, subject: Subject, *, enrollment: int | None = None, certificate: int | None = None
) -> None:
    """The maxima of a subject, as test data set them."""
    ksef.set_limits(subject.type.value, subject.value, enrollment=enrollment, certificate=certificate)


def calls_of(ksef: Sandbox, subject: Subject) -> list[LoggedRequest]:
    """What a subject has asked of KSeF since the log was cleared, sign-ins left out."""
    return [call for call in ksef.requests() if call.identity is not None and call.identity.value == subject.value]


def filed(ksef: Sandbox, subject: Subject) -> list[LoggedRequest]:
    """The certificate requests of a subject that reached KSeF, accepted or not."""
    return [call for call in calls_of(ksef, subject) if (call.method, call.route) == ("POST", ENROLLMENTS)]


def accepted(ksef: Sandbox, subject: Subject) -> list[LoggedRequest]:
    """Those that KSeF accepted: each is spent."""
    return [call for call in filed(ksef, subject) if call.status == 202]


def context_of(nip: str) -> Context:
    return Context.of_nip(nip)


async def rows_of(installation: Installation, subject: Subject) -> list[Enrollment]:
    """The enrollments of the subject's issuance that has not ended."""

    def read(connection: Connection) -> list[Enrollment]:
        running = issuances.running(connection, installation.environment, subject)
        return [] if running is None else issuances.enrollments_of(connection, running.id)

    return await installation.database.read(read)


async def assert_whole_pair(installation: Installation, outcome: object) -> None:
    """Two proved certificates, each with its own key in the vault."""
    assert isinstance(outcome, Issued), outcome
    assert [held.type.value for held in outcome.certificates] == ["Authentication", "Offline"]
    for held in outcome.certificates:
        assert held.verified_at is not None
        await assert_key_kept(installation, held.der, held.key_id)


async def assert_key_kept(installation: Installation, der: bytes, key_id: str) -> None:
    """The vault gives out the private key of this very certificate."""
    ours = (await unsealed(installation, key_id)).public_key()
    given = x509.load_der_x509_certificate(der).public_key()
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert given.public_bytes(*spki) == ours.public_bytes(*spki)


async def nothing_verified(installation: Installation, subject: Subject) -> bool:
    """Whether no certificate of the subject counts as proved."""
    held = await installation.database.read(
        lambda connection: certificates.of_subject(connection, installation.environment, subject)
    )
    return all(certificate.verified_at is None for certificate in held)

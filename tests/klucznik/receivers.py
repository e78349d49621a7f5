"""Something that happens, and a program that is told: it keeps what arrives and answers as it is told to."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from klucznik.domain.audit import Entry, Event
from klucznik.domain.events import Choice
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.services.telling.events import page

ALL = Choice()


async def kinds_of(klucznik: Installation, choice: Choice = ALL) -> list[str]:
    return [one.kind for one in (await page(klucznik, after=0, choice=choice)).events]


async def happened(klucznik: Installation, nip: str) -> None:
    """Something small that is told of a company."""
    removed = Entry(Event.CONNECTION_REMOVED, {"connection": "c", "context": nip, "method": "token"})
    subject = Subject(SubjectType.NIP, nip)
    await klucznik.database.write(lambda transaction: audit.record(klucznik, transaction, subject, removed))


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read


@dataclass
class Receiver:
    """Answers 200, or what `answers` says as long as it has any.

    Attributes:
        before_answer: awaited when a request is there.
    """

    url: str = ""
    got: list[Received] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    before_answer: Callable[[], Awaitable[None]] | None = None

    @property
    def kinds(self) -> list[str]:
        return [one.event["type"] for one in self.got]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = (line.partition(": ") for line in head.split("\r\n")[1:] if line)
            headers = {name.lower(): value for name, _, value in lines}
            body = await reader.readexactly(int(headers["content-length"]))
            self.got.append(Received(headers, body))
            if self.before_answer is not None:
                await self.before_answer()
            answer = self.answers.pop(0) if self.answers else "200 OK"
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever sent it is gone
        finally:
            writer.close()


def server_named(name: str, directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server of that name, and for those who trust it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(Encoding.PEM)
    file = directory / f"{name}.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + public)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=public.decode())


@asynccontextmanager
async def receiver(*answers: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Runs inside; each of `answers` is given once, such as ``500 Oops``."""
    found = Receiver(answers=list(answers))
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=tls)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?of=klucznik"
    async with server:
        yield found


def verifies(secret: str, one: Received) -> bool:
    """Written by the words of the standard, with nothing of ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join([one.headers["webhook-id"].encode(), one.headers["webhook-timestamp"].encode(), one.body])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{expected}" in one.headers["webhook-signature"].split(" ")

"""A mail server on this machine, and what has come in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from klucznik.domain.languages import Language
from klucznik.services.telling.mail import Encryption, MailServer
from klucznik.services.telling.notices import Mail
from klucznik.services.telling.rounds import Outlets
from klucznik.views.letters import Letters

PUBLIC_URL = "https://klucznik.example"
SENDER = "klucznik@biuro.example"


@dataclass
class Mailbox:
    """An SMTP server on this machine, and what has come in."""

    port: int = 0
    got: list[EmailMessage] = field(default_factory=list)
    refuses: str | None = None

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        return "250 OK"

    @property
    def outlets(self) -> Outlets:
        return outlets(MailServer("127.0.0.1", self.port, Encryption.NONE, SENDER))


@asynccontextmanager
async def mailbox(**settings: Any) -> AsyncIterator[Mailbox]:
    """Runs inside; `settings` of aiosmtpd."""
    found = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(found, **settings), "127.0.0.1", 0)
    async with server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


def outlets(server: MailServer) -> Outlets:
    return Outlets(mail=Mail(server, Letters(Language.POLISH, PUBLIC_URL)))


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())

"""Sends letters over SMTP, TLS verified. What they say and to whom they go is not known here."""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from klucznik.domain.emails import parse_email
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

_ANSWER_WITHIN_S = 30.0
_PORTS = {"smtp": 587, "smtps": 465}


class Undelivered(StrEnum):
    """Why a letter did not go out."""

    SERVER_AWAY = "server_away"
    TLS_FAILED = "tls_failed"
    LOGIN_REFUSED = "login_refused"
    RECIPIENT_REFUSED = "recipient_refused"  # for good: there is no such address
    REFUSED = "refused"

    @property
    def final(self) -> bool:
        return self is Undelivered.RECIPIENT_REFUSED


class Encryption(StrEnum):
    """How a connection to a mail server is encrypted."""

    TLS = "tls"  # from the first byte
    STARTTLS = "starttls"
    NONE = "none"  # on this very machine: there is no network in between that could listen


@dataclass(frozen=True)
class Letter:
    """One e-mail.

    Attributes:
        id: the same whenever the same letter is sent again, so that a mailbox shows it once.
        html: the same as `text`, for programs that show it.
    """

    id: str
    recipient: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class MailServer:
    """An SMTP server and how it is spoken to.

    Attributes:
        sender: address that letters come from.
        trust: whose certificates are believed; None: those that the system trusts.
    """

    host: str
    port: int
    encryption: Encryption
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    trust: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, sender: str) -> MailServer:
        """Read ``smtps://user:password@host:465`` or ``smtp://…:587`` (STARTTLS).

        Raises:
            InputError: ``smtp_url_malformed``, ``mail_sender_malformed``. The URL may have a password: it is not told.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            raise InputError("smtp_url_malformed") from None
        if parts.scheme not in _PORTS or not host or parts.path.strip("/") or parts.query or parts.fragment:
            raise InputError("smtp_url_malformed")
        try:
            checked = parse_email(sender)
        except InvalidValue:
            raise InputError("mail_sender_malformed", value=sender[:100]) from None
        user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
        encryption = Encryption.TLS if parts.scheme == "smtps" else Encryption.STARTTLS
        if encryption is Encryption.STARTTLS and _is_here(host):
            encryption = Encryption.NONE
        return cls(host, port, encryption, checked, user, password)

    async def send(self, letters: Sequence[Letter], *, now: datetime) -> list[Undelivered | None]:
        """Send letters over one connection; of each, why it did not go out."""
        return await asyncio.to_thread(self._send, letters, now)

    def _send(self, letters: Sequence[Letter], now: datetime) -> list[Undelivered | None]:
        answers: list[Undelivered | None] = []
        try:
            with self._connected() as server:
                for letter in letters:
                    answers.append(self._hand_over(server, letter, now))
        except (OSError, smtplib.SMTPException) as error:
            answers += [_why(error)] * (len(letters) - len(answers))
        return answers

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        if self.encryption is Encryption.TLS:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=_ANSWER_WITHIN_S, context=self._context()
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=_ANSWER_WITHIN_S)
        try:
            if self.encryption is Encryption.STARTTLS:
                server.starttls(context=self._context())
            if self.user is not None:
                server.login(self.user, self.password or "")
            yield server
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
        finally:
            server.close()

    def _context(self) -> ssl.SSLContext:
        return self.trust or ssl.create_default_context()

    def _hand_over(self, server: smtplib.SMTP, letter: Letter, now: datetime) -> Undelivered | None:
        try:
            server.send_message(self._message(letter, now), self.sender, [letter.recipient])
        except smtplib.SMTPRecipientsRefused as error:
            for_good = all(code >= 500 for code, _ in error.recipients.values())
            return Undelivered.RECIPIENT_REFUSED if for_good else Undelivered.REFUSED
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError, smtplib.SMTPNotSupportedError):
            return Undelivered.REFUSED
        return None

    def _message(self, letter: Letter, now: datetime) -> EmailMessage:
        message = EmailMessage()
        domain = self.sender.rpartition("@")[2]
        message["From"] = Address("Klucznik", addr_spec=self.sender)
        message["To"] = letter.recipient
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{hashlib.sha256(letter.id.encode()).hexdigest()[:32]}@{domain}>"
        # So that no absence note comes back.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        message.add_alternative(letter.html, subtype="html")
        return message


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: Exception) -> Undelivered:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Undelivered.LOGIN_REFUSED
    if isinstance(error, ssl.SSLError | smtplib.SMTPNotSupportedError):
        return Undelivered.TLS_FAILED
    if isinstance(error, smtplib.SMTPResponseException):
        return Undelivered.REFUSED
    return Undelivered.SERVER_AWAY

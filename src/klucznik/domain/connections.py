"""Connections: for which company we may act, by which method, and how well that works. And the operator.

Pure. The methods' certificates, tokens and grants live elsewhere; here is only what a connection is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.values import InvalidValue

LONGEST_NAME = 100


def parse_connection_name(text: str) -> str:
    """What people call a company: printable characters on one line, spaces put right.

    Raises:
        InvalidValue: there are none, or more than 100.
    """
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidValue("connection_name_malformed", limit=LONGEST_NAME)
    return name


class Method(StrEnum):
    """By what we may act for a company."""

    CERTIFICATES = "certificates"  # issued here
    IMPORTED = "imported"  # issued elsewhere, brought with their keys
    PERMISSION = "permission"  # granted in KSeF to the operator's NIP
    TOKEN = "token"  # noqa: S105  a KSeF token: signs in, can do nothing offline

    @property
    def is_by_certificate(self) -> bool:
        """Whether certificates of the connection's subject, with their keys in the vault, are what it rests on."""
        return self in (Method.CERTIFICATES, Method.IMPORTED)


class Health(StrEnum):
    """What the last look found. Trouble of the network changes nothing here: it says nothing about the connection."""

    UNCHECKED = "unchecked"
    HEALTHY = "healthy"
    AWAITING_GRANT = "awaiting_grant"  # the company was asked to grant the permission by hand
    PERMISSION_LOST = "permission_lost"  # KSeF lets the subject in no more: nothing is granted in this context (415)
    CERTIFICATE_INVALID = "certificate_invalid"  # revoked, suspended or expired (460), or gone from the vault
    TOKEN_INVALID = "token_invalid"  # noqa: S105  revoked, inactive or stripped of its rights (450)
    BLOCKED = "blocked"  # KSeF has locked the context or the subject (470, 480)

    @property
    def is_trouble(self) -> bool:
        """Whether somebody has to do something."""
        return self not in (Health.UNCHECKED, Health.HEALTHY)


# In the order in which people want to see them, the worst first. Rows have the places as numbers: whoever changes this
# renumbers them in a migration.
WORST_FIRST = (
    Health.BLOCKED,
    Health.PERMISSION_LOST,
    Health.CERTIFICATE_INVALID,
    Health.TOKEN_INVALID,
    Health.AWAITING_GRANT,
    Health.UNCHECKED,
    Health.HEALTHY,
)


@dataclass(frozen=True)
class Connection:
    """One company in one environment, and the method by which we may act for it.

    Attributes:
        name: what people call the company; None: never told.
        subject: who signs in; None: the operator.
        health_since: when the last look first found what it found.
        health_code: KSeF's code that came with it.
        checked_at: when KSeF was last asked, with a usable answer.
        deploy_hook: program that is run after each renewal for this company, besides those of the directory.
        revokes_superseded: whether a renewal revokes the Authentication certificate it replaces.
    """

    id: str
    environment: Environment
    context: Context
    method: Method
    subject: Subject | None
    health: Health
    health_since: datetime
    created_at: datetime
    name: str | None = None
    health_code: int | None = None
    checked_at: datetime | None = None
    deploy_hook: str | None = None
    revokes_superseded: bool = False
    version: int = 1


@dataclass(frozen=True)
class Operator:
    """Who runs this installation.

    Attributes:
        nip: ten digits.
        name: full name, 5 to 90 characters, as KSeF wants it in a grant.
        certificate: DER of what the operator signs in with where the vault has no certificate of its NIP.
        key_id: its key in the vault.
    """

    environment: Environment
    nip: str
    name: str
    certificate: bytes | None = field(default=None, repr=False)
    key_id: str | None = None

    @property
    def subject(self) -> Subject:
        """Who the operator is for KSeF, whoever holds the pen."""
        return Subject(SubjectType.NIP, self.nip)


def takes_over(there: Connection | None, subject: Subject) -> bool:
    """Whether certificates that a subject has had issued for a company are what the company is connected by.

    Somebody else's connection, or one by another method, is never replaced on the way: only `connect` does that.
    """
    return there is None or (there.subject == subject and there.method.is_by_certificate)


def as_it_stands(connection: Connection) -> str:
    """Names this connection by this method and this subject, and no other."""
    subject = connection.subject
    whose = "operator" if subject is None else f"{subject.type.value} {subject.value}"
    return f"{connection.id} {connection.method.value} {whose}"


# KSeF's refusals of a sign-in that say something about the connection (§2.7); 21115 refuses a certificate at once.
_REFUSALS = {
    415: Health.PERMISSION_LOST,
    460: Health.CERTIFICATE_INVALID,
    21115: Health.CERTIFICATE_INVALID,
    470: Health.BLOCKED,
    480: Health.BLOCKED,
}


def health_told_by(code: int | None, method: Method) -> Health | None:
    """What a refused sign-in says about a connection; None: nothing."""
    if code == 450 and method is Method.TOKEN:
        return Health.TOKEN_INVALID
    return None if code is None else _REFUSALS.get(code)


def looked_at(connection: Connection, health: Health, code: int | None, at: datetime) -> Connection:
    """The connection after a look that got a usable answer from KSeF."""
    if connection.health is Health.AWAITING_GRANT and health is Health.PERMISSION_LOST:
        health = Health.AWAITING_GRANT  # what was never there is not lost
    since = connection.health_since if health is connection.health else at
    return replace(connection, health=health, health_since=since, health_code=code, checked_at=at)


class Dated(StrEnum):
    """What a date of a connection is about."""

    RENEWAL_DUE = "renewal_due"
    CERTIFICATE_ENDS = "certificate_ends"  # and should have been renewed by now
    CERTIFICATE_ENDED = "certificate_ended"
    TOKENS_END = "tokens_end"


@dataclass(frozen=True)
class NextDate:
    """The next date that matters to a connection."""

    about: Dated
    at: datetime

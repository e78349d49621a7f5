"""Permissions in KSeF: their names, how they are listed, and what follows from a list (facts.md §5).

Pure. Asking KSeF is `ksef.permissions`; granting to the operator and proving it is `services`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.values import InvalidValue


class Permission(StrEnum):
    """Those that something here depends on. KSeF has more, and adds to them."""

    INVOICE_READ = "InvoiceRead"
    INVOICE_WRITE = "InvoiceWrite"
    CREDENTIALS_MANAGE = "CredentialsManage"
    CREDENTIALS_READ = "CredentialsRead"
    SUBUNIT_MANAGE = "SubunitManage"


# What an operator needs to handle a company's invoices; both can be granted to a company (§5.1).
INVOICING = (Permission.INVOICE_READ, Permission.INVOICE_WRITE)
# Each of these alone lets one list the permissions of a context (§5.4); the first alone lets one grant.
_LISTING = (Permission.CREDENTIALS_MANAGE, Permission.CREDENTIALS_READ, Permission.SUBUNIT_MANAGE)


@dataclass(frozen=True)
class GrantedPermission:
    """One permission of somebody in the context that lists it.

    Attributes:
        id: what it is withdrawn by.
        permission: KSeF's name, also one that we do not know.
        subject: whose; None: a kind of identifier that we do not know.
        to_entity: granted to a company rather than to a person: only then can it be delegated.
        active: False where a chain of indirect grants is broken.
        started_at: UTC.
    """

    id: str
    permission: str
    subject: Subject | None
    to_entity: bool
    can_delegate: bool
    active: bool
    started_at: datetime


@dataclass(frozen=True)
class OwnPermission:
    """One permission that the signed-in subject has in the context. The right of an owner is never listed (§5.4).

    Attributes:
        context: where it comes from; None: KSeF names none that we know.
        of_company: it is the company's own, shown to its owner, rather than one of the subject.
    """

    id: str
    permission: str
    context: Context | None
    of_company: bool
    can_delegate: bool
    active: bool
    started_at: datetime


@dataclass(frozen=True)
class ReceivedPermission:
    """One permission that the company of this context has been granted by another company."""

    id: str
    permission: str
    granted_by: Context
    can_delegate: bool
    started_at: datetime


def parse_entity_name(text: str) -> str:
    """The full name of a company, as KSeF wants it in a grant: 5 to 90 characters on one line.

    Raises:
        InvalidValue: ``entity_name_malformed``.
    """
    name = " ".join(text.split())
    if not 5 <= len(name) <= 90 or not name.isprintable():
        raise InvalidValue("entity_name_malformed", length=len(name))
    return name


def lacking(granted: Iterable[GrantedPermission], subject: Subject, *, delegable: bool) -> tuple[Permission, ...]:
    """Which of `INVOICING` are still to be granted to the subject."""
    there = {
        one.permission
        for one in granted
        if one.subject == subject and one.active and (one.can_delegate or not delegable)
    }
    return tuple(permission for permission in INVOICING if permission not in there)


def shows_control(own: Iterable[OwnPermission]) -> bool:
    """Whether somebody whom KSeF lets list the permissions of a context may also grant them.

    An owner's right is never listed: who may list without a listed right to do so is the owner. Who may only look
    has no say in who acts for the company, whichever company that right to look is from.
    """
    listed = {one.permission for one in own if one.active and not one.of_company} & set(_LISTING)
    return not listed or Permission.CREDENTIALS_MANAGE in listed

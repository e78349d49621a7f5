"""Invitations: a company's owner connects it himself, without an account. One link, one NIP, one onboarding. Pure.

A link opens a browser once. Whoever is in may make one for another device of theirs, which is good for an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from klucznik.domain.connections import parse_connection_name
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context
from klucznik.domain.languages import Language
from klucznik.domain.values import InvalidValue

LEAST_DAYS, USUAL_DAYS, MOST_DAYS = 1, 14, 60
DEVICE_LINK_LASTS = timedelta(hours=1)


class InvitationState(StrEnum):
    """How far somebody has come with it. Names are kept: programs read them."""

    OPEN = "open"  # nobody has used the link
    OPENED = "opened"
    DONE = "done"  # the company is connected
    EXPIRED = "expired"
    REVOKED = "revoked"


class LinkTrouble(StrEnum):
    """Why a link opens nothing."""

    USED = "used"
    DONE = "done"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Invitation:
    """One company that is invited.

    Attributes:
        name: what people call the company.
        email: where the link was sent, or is to be sent.
        language: of that letter.
        created_by: the `Principal.id` of who invites.
        token_hash: SHA-256 of the link that is good now or was good last.
        link_expires_at: where that link ends sooner than the invitation.
        link_used_at: when that link has opened a browser.
        opened_at: when the first link did.
    """

    id: str
    environment: Environment
    token_hash: str = field(repr=False)
    context: Context
    created_by: str
    created_at: datetime
    expires_at: datetime
    name: str | None = None
    email: str | None = None
    language: Language = Language.POLISH
    link_expires_at: datetime | None = None
    link_used_at: datetime | None = None
    opened_at: datetime | None = None
    done_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> InvitationState:
        if self.revoked_at is not None:
            return InvitationState.REVOKED
        if self.done_at is not None:
            return InvitationState.DONE
        if self.opened_at is not None:
            return InvitationState.OPENED
        return InvitationState.OPEN if now < self.expires_at else InvitationState.EXPIRED

    def link_trouble(self, now: datetime) -> LinkTrouble | None:
        """Why its link opens nothing now; None: it opens a browser."""
        if self.revoked_at is not None:
            return LinkTrouble.REVOKED
        if self.link_used_at is not None:
            return LinkTrouble.DONE if self.done_at is not None else LinkTrouble.USED
        return None if now < (self.link_expires_at or self.expires_at) else LinkTrouble.EXPIRED


def expiry(days: int, now: datetime) -> datetime:
    """When an invitation of so many days ends.

    Raises:
        InvalidValue: ``invitation_days_out_of_range``.
    """
    if not LEAST_DAYS <= days <= MOST_DAYS:
        raise InvalidValue("invitation_days_out_of_range", least=LEAST_DAYS, most=MOST_DAYS)
    return now + timedelta(days=days)


def parse_company_name(text: str | None) -> str | None:
    """What people call a company, on one line; None where nothing is said.

    Raises:
        InvalidValue: ``connection_name_malformed``.
    """
    return parse_connection_name(text) if text and text.strip() else None

"""Letters to one person, each for itself: a link that opens something, or word of what was done to an account. Pure.

The link is a secret: it is kept sealed, apart from its letter, and only until the letter is gone.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from klucznik.domain.audit import Fact
from klucznik.domain.languages import Language


class LetterKind(StrEnum):
    """What a letter is about. Names are kept: rows have them."""

    INVITATION = "letter.invitation"  # to a company, with its link
    FIRST_PASSWORD = "letter.first_password"  # noqa: S105  to a new user, with a link
    FORGOTTEN = "letter.forgotten"  # a link for another password, by an administrator
    ASKED_FOR = "letter.asked_for"  # the same, for whoever has named an address at the sign-in
    PASSWORD_CHANGED = "letter.password_changed"  # noqa: S105


class LetterTrouble(StrEnum):
    """Why a letter is not sent any more, whatever the mail server says. Names are kept: rows have them."""

    LINK_VOID = "link_void"  # taken back, used, over, or another one was made


class DeliveryState(StrEnum):
    """How far a letter has come. Names are kept: programs read them."""

    WAITING = "waiting"  # to be sent, perhaps once more
    SENT = "sent"  # the mail server has taken it
    FAILED = "failed"  # for good


@dataclass(frozen=True)
class Letter:
    """A letter on its way.

    Attributes:
        about: there is one letter about it: another one takes its place.
        recipient: an address; of `LetterKind.ASKED_FOR` what somebody has typed, which is looked for among users.
        language: None: that of the user with this address, or else of the installation.
        data: what is told besides the link; no secret.
        claimed_until: while somebody is sending it.
    """

    id: str
    kind: LetterKind
    about: str
    recipient: str
    created_at: datetime
    data: Mapping[str, Fact] = field(default_factory=dict)
    language: Language | None = None
    attempts: int = 0
    claimed_until: datetime | None = None


@dataclass(frozen=True)
class Delivery:
    """What has become of a letter.

    Attributes:
        at: when it was sent; while it waits, when it is tried next.
        problem: why it has not gone out so far: of `mail.Undelivered` or `LetterTrouble`.
    """

    recipient: str
    state: DeliveryState
    at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ToSend:
    """All that a letter says.

    Attributes:
        until: how long the link is good.
    """

    letter: Letter
    recipient: str
    language: Language | None = None
    link: str | None = field(default=None, repr=False)
    until: datetime | None = None


def new_letter(
    kind: LetterKind,
    about: str,
    recipient: str,
    *,
    now: datetime,
    language: Language | None = None,
    data: Mapping[str, Fact] | None = None,
) -> Letter:
    return Letter(secrets.token_hex(16), kind, about, recipient, now, data or {}, language)


def about_invitation(invitation_id: str) -> str:
    return f"letter:invitation:{invitation_id}"


def about_account(user_id: str) -> str:
    """Links that an administrator has made for a user."""
    return f"letter:account:{user_id}"

"""Users of this installation, their browsers that are signed in, and links that open an account once. Pure.

Who may do what is `roles`; passwords are `passwords`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from klucznik.domain.languages import Language
from klucznik.domain.roles import ACTIONS, Principal, Role
from klucznik.domain.values import InvalidValue

# A browser is signed out after so long, whatever it does; and sooner where nobody touches it.
SESSION_LASTS = timedelta(hours=12)
IDLE_LASTS = timedelta(hours=2)
# The password was right: so long may the second factor take.
HALF_LASTS = timedelta(minutes=10)
# An invited client reads, signs at gov.pl and comes back: without an account, the browser is all there is.
INVITED_LASTS = timedelta(days=7)
# Private keys are handed out only so soon after the password was entered.
PROOF_LASTS = timedelta(minutes=5)
LONGEST_NAME = 100


class Digest(StrEnum):
    """How somebody is told of what happens. Names are kept: rows have them."""

    IMMEDIATELY = "immediately"
    DAILY = "daily"
    WEEKLY = "weekly"
    OFF = "off"


class LinkPurpose(StrEnum):
    """What a link opens, once. Names are kept: rows have them."""

    SET_UP = "set_up"  # the first administrator; good while there is no user
    INVITED = "invited"  # a colleague's first password
    FORGOTTEN = "forgotten"  # another password for one that is forgotten, by an administrator
    ASKED_FOR = "asked_for"  # the same, by e-mail to whoever has the account: anybody may ask for it


LINK_LASTS = {
    LinkPurpose.SET_UP: timedelta(hours=24),
    LinkPurpose.INVITED: timedelta(days=7),
    LinkPurpose.FORGOTTEN: timedelta(hours=2),
    LinkPurpose.ASKED_FOR: timedelta(hours=1),
}


@dataclass(frozen=True)
class AccountLink:
    """A link that was given out; its token is with whoever got it."""

    token_hash: str = field(repr=False)
    purpose: LinkPurpose
    created_at: datetime
    expires_at: datetime
    user_id: str | None = None
    used_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        return self.used_at is None and now < self.expires_at


@dataclass(frozen=True)
class User:
    """Somebody who may sign in here.

    Attributes:
        email: in lower case; what they sign in with.
        language: in which letters come; None: as the installation speaks.
        password_hash: argon2id; None until they have set a password by a link.
        totp_since: since when a second factor is asked for; None: it is not.
        totp_step: the last time step whose code was used.
    """

    id: str
    email: str
    name: str
    role: Role
    created_at: datetime
    digest: Digest = Digest.DAILY
    language: Language | None = None
    password_hash: str | None = field(default=None, repr=False)
    totp_since: datetime | None = None
    totp_step: int | None = None
    disabled_at: datetime | None = None
    version: int = 1

    @property
    def principal(self) -> Principal:
        return Principal(f"user:{self.id}", self.email, self.role, ACTIONS[self.role])


@dataclass(frozen=True)
class Passkey:
    """A key in a browser, phone or security key, which proves its owner without a password.

    Attributes:
        id: as the authenticator names it.
        sign_count: how often it was used, where the authenticator counts; 0: it does not.
    """

    id: bytes
    user_id: str
    name: str
    public_key: bytes = field(repr=False)
    sign_count: int
    created_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class BrowserSession:
    """A browser that is signed in.

    Attributes:
        token_hash: SHA-256 of what the cookie holds, in hexadecimal digits.
        csrf: what every form of this session brings back.
        complete_at: None: the password was right, and the second factor is still to come.
        proved_at: when they last proved who they are, by password or passkey; of whoever came by an invitation, when a
            signature was given here.
    """

    token_hash: str = field(repr=False)
    csrf: str = field(repr=False)
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    user_id: str | None = None
    invitation_id: str | None = None
    complete_at: datetime | None = None
    proved_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        idle = INVITED_LASTS if self.invitation_id else IDLE_LASTS
        if self.complete_at is None and now >= self.created_at + HALF_LASTS:
            return False
        return now < self.expires_at and now < self.seen_at + idle

    def proved_lately(self, now: datetime) -> bool:
        """Whether they have proved who they are so soon before that keys may be handed out."""
        return self.proved_at is not None and now < self.proved_at + PROOF_LASTS


def parse_user_email(text: str) -> str:
    """What somebody signs in with, in lower case. An address inside an office (``anna@biuro.local``) is one too.

    Raises:
        InvalidValue: ``user_email_malformed``.
    """
    from email_validator import EmailNotValidError, validate_email  # a command needs none of it

    try:
        found = validate_email(text.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise InvalidValue("user_email_malformed", value=text.strip()[:80]) from None
    return found.normalized.lower()


def parse_user_name(text: str) -> str:
    """A name of up to 100 printable characters; white space is brought down to single spaces.

    Raises:
        InvalidValue: ``user_name_malformed`` (``limit``).
    """
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidValue("user_name_malformed", limit=LONGEST_NAME)
    return name

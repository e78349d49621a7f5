"""Users of this installation and their browsers that are signed in. Pure; who may do what is `roles`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from klucznik.domain.roles import ACTIONS, Principal, Role

# A browser is signed out after so long, whatever it does; and sooner where nobody touches it.
SESSION_LASTS = timedelta(hours=12)
IDLE_LASTS = timedelta(hours=2)
# An invited client reads, signs at gov.pl and comes back: without an account, the browser is all there is.
INVITED_LASTS = timedelta(days=7)
# Private keys are handed out only so soon after the password was entered.
PROOF_LASTS = timedelta(minutes=5)


class Digest(StrEnum):
    """How somebody is told of what happens. Names are kept: rows have them."""

    IMMEDIATELY = "immediately"
    DAILY = "daily"
    WEEKLY = "weekly"
    OFF = "off"


@dataclass(frozen=True)
class User:
    """Somebody who may sign in here.

    Attributes:
        email: in lower case; what they sign in with.
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
    password_hash: str | None = field(default=None, repr=False)
    totp_since: datetime | None = None
    totp_step: int | None = None
    disabled_at: datetime | None = None
    version: int = 1

    @property
    def principal(self) -> Principal:
        return Principal(f"user:{self.id}", self.email, self.role, ACTIONS[self.role])


@dataclass(frozen=True)
class BrowserSession:
    """A browser that is signed in.

    Attributes:
        token_hash: SHA-256 of what the cookie holds, in hexadecimal digits.
        csrf: what every form of this session brings back.
        complete_at: None: the password was right, and the second factor is still to come.
        proved_at: when the password was entered last.
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
        return now < self.expires_at and now < self.seen_at + idle

    def proved_lately(self, now: datetime) -> bool:
        """Whether the password was entered so soon before that keys may be handed out."""
        return self.proved_at is not None and now < self.proved_at + PROOF_LASTS

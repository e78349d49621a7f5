"""Documents that people take away to sign: what each is for, and until when its signature is of any use. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context

# KSeF's challenge lives so long (facts.md §2.1); counted from before it was asked for.
CHALLENGE_LASTS = timedelta(minutes=10)
# How long KSeF is waited for: of a qualified certificate it asks the issuer's revocation service, which takes "as long
# as it needs" (facts.md §2.5).
PROCESSED_WITHIN = timedelta(minutes=15)

Options: TypeAlias = "Mapping[str, str | bool]"


class Purpose(StrEnum):
    """What goes on once somebody has signed. Names are kept: rows have them."""

    ISSUE = "issue"
    RESUME = "resume"  # of an issuance that waits for a signature
    GRANT = "grant"  # the owner lets the operator in
    ONBOARD = "onboard"  # the onboarding that the options name goes on, with whatever is chosen there


@dataclass(frozen=True)
class SignatureRequest:
    """One document for one signature.

    Attributes:
        issuance_id: whose subject has to sign; None: anybody may who can sign for the context.
        options: what was asked for with the purpose, by name.
        challenge: what the signed file is recognised by. No secret: it is worth nothing without a signature.
        document: the unsigned XML, exactly as it was given.
        used_at: when its signed form was handed in; it is never handed in a second time.
    """

    id: str
    environment: Environment
    context: Context
    purpose: Purpose
    issuance_id: str | None
    options: Options
    challenge: str
    document: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None

    def left(self, now: datetime) -> timedelta:
        """How long a signature still helps."""
        return max(timedelta(0), self.expires_at - now)

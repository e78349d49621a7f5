"""The text of a KSeF token: what it says of itself, and what must never be shown (facts.md §6)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from klucznik.domain.identifiers import Context, ContextType, Subject
from klucznik.domain.values import InvalidValue

# `reference|context|secret`, for example `20250625-EC-…|nip-5265877635|…`.
_TOKEN = re.compile(
    r"(\d{8}-EC-[0-9A-F]{10}-[0-9A-F]{10}-[0-9A-F]{2})\|([A-Za-z]{1,12})-([0-9A-Z-]{1,20})\|[0-9A-Za-z]{32,96}",
    re.ASCII,
)
_CONTEXTS = {"nip": ContextType.NIP, "internalid": ContextType.INTERNAL_ID}


@dataclass(frozen=True)
class KsefToken:
    """A token whose shape is KSeF's. Whether it signs in, only a sign-in tells.

    Attributes:
        reference_number: 36 characters, ``YYYYMMDD-EC-…``; no secret.
        context: the only company (or unit) it opens; None where it names a kind that nobody makes tokens for.
        text: the whole of it.
    """

    reference_number: str
    context: Context | None
    text: str = field(repr=False)


@dataclass(frozen=True)
class TokenRecord:
    """What KSeF says of a token.

    Attributes:
        author: who made it. It can do what its author may do at the time, and never more than `permissions`.
    """

    reference_number: str
    author: Subject | None
    permissions: tuple[str, ...]
    description: str
    created_at: datetime


def parse_token(text: str) -> KsefToken:
    """The token in a text; white space around it is taken off.

    Raises:
        InvalidValue: ``ksef_token_malformed``. The text is not in it: it may be a secret with a typing error.
    """
    found = _TOKEN.fullmatch(text.strip())
    if found is None:
        raise InvalidValue("ksef_token_malformed")
    kind = _CONTEXTS.get(found[2].lower())
    return KsefToken(found[1], None if kind is None else Context(kind, found[3]), found[0])

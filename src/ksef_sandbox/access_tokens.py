"""The three JSON Web Tokens of a sign-in: made, read, refused when expired or of the wrong kind (facts.md §2.8).
Whether the session behind a token still lives is a question for `auth.py`.
"""

import base64
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from ksef_sandbox.errors import Unauthorized
from ksef_sandbox.identity import Holder
from ksef_sandbox.records import SignIn
from ksef_sandbox.wire import JsonValue, json_bytes

ISSUER = "ksef-sandbox"


class TokenKind(StrEnum):
    """The `typ` claim."""

    AUTHENTICATION = "AuthenticationToken"
    ACCESS = "ContextToken"
    REFRESH = "RefreshToken"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as it is handed out."""

    text: str
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class ReadToken:
    """What a presented token says; `permissions` only in an access token."""

    kind: TokenKind
    reference: str
    permissions: frozenset[str]


def issue(
    key: bytes,
    kind: TokenKind,
    session: SignIn,
    now: datetime,
    *,
    lifetime_s: int,
    permissions: frozenset[str] = frozenset(),
) -> IssuedToken:
    """Make a token. Two of the same kind in one second are equal, as they are in KSeF (facts.md §2.8)."""
    issued_at = int(now.timestamp())
    claims: dict[str, JsonValue] = {"typ": kind.value}
    if kind is TokenKind.ACCESS:
        claims |= _context_claims(session, permissions)
    claims |= {
        "arn": session.reference,
        "exp": issued_at + lifetime_s,
        "iat": issued_at,
        "iss": ISSUER,
        "aud": ISSUER,
    }
    valid_until = datetime.fromtimestamp(issued_at, UTC) + timedelta(seconds=lifetime_s)
    return IssuedToken(_signed(key, claims), valid_until)


def read(key: bytes, text: str, kinds: frozenset[TokenKind], now: datetime) -> ReadToken:
    """Read a presented token; raises Unauthorized unless it is ours, alive and of one of the kinds."""
    claims = _claims(key, text)
    kind = TokenKind(claims["typ"])
    if kind not in kinds or now.timestamp() >= claims["exp"]:
        raise Unauthorized
    return ReadToken(kind, claims["arn"], frozenset(json.loads(claims.get("per", "[]"))))


# Every request brings a token, and only tokens made here are ever taken: one header, one key, one form (RFC 7515).
def _signed(key: bytes, claims: dict[str, JsonValue]) -> str:
    content = _HEADER + b"." + _base64url(json_bytes(claims))
    return (content + b"." + _signature(key, content)).decode()


def _claims(key: bytes, text: str) -> dict[str, Any]:
    """The claims of a token that this key has signed, so exactly as `issue` wrote them; raises Unauthorized."""
    content, _, signature = text.encode().rpartition(b".")
    if not hmac.compare_digest(signature, _signature(key, content)):
        raise Unauthorized
    claims = content.rpartition(b".")[2]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + b"=" * (-len(claims) % 4)))
    return read


def _signature(key: bytes, content: bytes) -> bytes:
    return _base64url(hmac.digest(key, content, "sha256"))


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


_HEADER = _base64url(json_bytes({"alg": "HS256", "typ": "JWT"}))


def _context_claims(session: SignIn, permissions: frozenset[str]) -> dict[str, JsonValue]:
    """Claims of a real access token; lists and objects are JSON inside strings there."""
    claims: dict[str, JsonValue] = {
        "cit": session.context.type.value,
        "civ": session.context.value,
        "aum": session.method.value,
        "sud": json.dumps(_subject_details(session), ensure_ascii=False),
        "per": json.dumps(sorted(permissions)),
        "pec": "[]",
        "rol": "[]",
        "pep": "[]",
        "iop": "[]",
    }
    policy = session.ip_policy
    if policy is not None:
        addresses = {
            "ip4Addresses": list(policy.addresses),
            "ip4Ranges": list(policy.ranges),
            "ip4Masks": list(policy.masks),
        }
        claims["ipp"] = json.dumps(addresses)
    return claims


def _subject_details(session: SignIn) -> dict[str, JsonValue]:
    details: dict[str, JsonValue] = {
        "subjectIdentifier": {"type": session.identity.type.value, "value": session.identity.value}
    }
    return details | (_holder_details(session.holder) if session.holder else {})


def _holder_details(holder: Holder) -> dict[str, JsonValue]:
    values: dict[str, str | None] = {
        "commonName": holder.common_name,
        "countryName": holder.country_name,
        "givenNames": holder.given_name,
        "surname": holder.surname,
        "serialNumber": holder.serial_number,
        "organizationName": holder.organization_name,
        "organizationIdentifier": holder.organization_identifier,
    }
    return {name: value for name, value in values.items() if value is not None}

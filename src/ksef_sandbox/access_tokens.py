"""The three JSON Web Tokens of a sign-in: made, read, refused when expired or of the wrong kind (facts.md §2.8).
Whether the session behind a token still lives is a question for `auth.py`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import jwt
from jwt.types import Options

from ksef_sandbox.errors import Unauthorized
from ksef_sandbox.identity import Holder
from ksef_sandbox.records import SignIn
from ksef_sandbox.wire import JsonValue

ISSUER = "ksef-sandbox"
_OPTIONS: Options = {"verify_exp": False, "verify_iat": False, "require": ["typ", "arn", "exp"]}


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
    claims: dict[str, object] = {"typ": kind.value}
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
    return IssuedToken(jwt.encode(claims, key, algorithm="HS256"), valid_until)


def read(key: bytes, text: str, kinds: frozenset[TokenKind], now: datetime) -> ReadToken:
    """Read a presented token; raises Unauthorized unless it is ours, alive and of one of the kinds."""
    try:
        # Expiry is judged below, by the sandbox's clock.
        claims = jwt.decode(text, key, algorithms=["HS256"], audience=ISSUER, issuer=ISSUER, options=_OPTIONS)
        kind = TokenKind(claims["typ"])
    except (jwt.PyJWTError, ValueError) as error:
        raise Unauthorized from error
    if kind not in kinds or now.timestamp() >= int(claims["exp"]):
        raise Unauthorized
    return ReadToken(kind, str(claims["arn"]), frozenset(json.loads(claims.get("per", "[]"))))


def _context_claims(session: SignIn, permissions: frozenset[str]) -> dict[str, object]:
    """Claims of a real access token; lists and objects are JSON inside strings there."""
    claims: dict[str, object] = {
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

"""From a sign-in to tokens and back: status, redeeming, refreshing, listing and ending sessions (facts.md §2.7-2.9).
How a sign-in begins is `sign_in.py`; the form of tokens is `access_tokens.py`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ksef_sandbox import access_tokens, ksef_tokens, rights
from ksef_sandbox.access_tokens import IssuedToken, TokenKind
from ksef_sandbox.errors import BadRequest, Gone
from ksef_sandbox.records import SignIn, Status
from ksef_sandbox.state import World

RETENTION = timedelta(days=7)  # facts.md §1.5

IN_PROGRESS = Status(100, "Uwierzytelnianie w toku")
REVOKED = Status(
    425,
    "Uwierzytelnienie unieważnione",
    ("Uwierzytelnienie i powiązane refresh tokeny zostały unieważnione przez użytkownika",),
)


@dataclass(frozen=True, slots=True)
class TokenPair:
    access: IssuedToken
    refresh: IssuedToken


def status_of(session: SignIn, now: datetime) -> Status:
    """The status as it shows at this moment (table of facts.md §2.7)."""
    if session.revoked_at is not None:
        return REVOKED
    return session.outcome if session.ready_at <= now else IN_PROGRESS


def find(world: World, reference: str) -> SignIn:
    """The sign-in of that reference; raises BadRequest 21304."""
    session = world.sign_ins.get(reference)
    if session is None:
        raise _not_found(reference)
    return session


def _not_found(reference: str) -> BadRequest:
    return BadRequest(21304, f"Operacja uwierzytelniania o numerze referencyjnym {reference} nie została znaleziona.")


def find_for_status(world: World, reference: str, token_reference: str, now: datetime) -> SignIn:
    """The sign-in whose status is asked for, with the token of the same sign-in; raises BadRequest 21304 or Gone."""
    if reference != token_reference:
        raise _not_found(reference)
    session = find(world, reference)
    if now >= session.started_at + RETENTION:
        raise Gone
    return session


def authentication_token(world: World, session: SignIn, now: datetime) -> IssuedToken:
    """The token that follows the sign-in until it is redeemed."""
    lifetime = world.switches.token_ttl_auth_s
    return access_tokens.issue(world.token_key, TokenKind.AUTHENTICATION, session, now, lifetime_s=lifetime)


def redeem(world: World, reference: str, now: datetime) -> TokenPair:
    """Exchange a finished sign-in for its tokens, once; raises BadRequest 21301, 21304 or 21308 (facts.md §2.8)."""
    session = find(world, reference)
    status = status_of(session, now)
    if status.code == 470:
        raise BadRequest(21308)
    if status.code != 200:
        raise BadRequest(21301, f"Status uwierzytelniania ({status.code}) nie pozwala na pobranie tokenów.")
    if ksef_tokens.is_revoked(world, session.token_reference, now):
        raise BadRequest(21301, "Token KSeF został unieważniony.")
    if session.redeemed_at is not None:
        raise BadRequest(21301, f"Tokeny dla operacji uwierzytelniania {reference} zostały już pobrane.")
    lifetime = world.switches.token_ttl_refresh_s
    refresh_token = access_tokens.issue(world.token_key, TokenKind.REFRESH, session, now, lifetime_s=lifetime)
    access_token = _access_token(world, session, now)
    world.sign_ins.put(replace(session, redeemed_at=now, refresh_valid_until=refresh_token.valid_until))
    return TokenPair(access_token, refresh_token)


def refresh(world: World, reference: str, now: datetime) -> IssuedToken:
    """A new access token with the rights of now; raises BadRequest 21301, 21304 or 21308 (facts.md §2.8)."""
    session = find(world, reference)
    if rights.is_deceased(world, session.identity, now):
        raise BadRequest(21308)
    code = status_of(session, now).code
    if code == 200 and not rights.session_permissions(world, session, now):
        code = 415  # whoever has lost every right could not sign in again either
    if code != 200:
        raise BadRequest(21301, f"Status uwierzytelniania ({code}) nie pozwala na odświeżenie tokenu dostępowego.")
    world.sign_ins.put(replace(session, last_refresh_at=now))
    return _access_token(world, session, now)


def _access_token(world: World, session: SignIn, now: datetime) -> IssuedToken:
    permissions = rights.session_permissions(world, session, now)
    lifetime = world.switches.token_ttl_access_s
    return access_tokens.issue(
        world.token_key, TokenKind.ACCESS, session, now, lifetime_s=lifetime, permissions=permissions
    )


def active_sessions(world: World, session: SignIn, now: datetime) -> list[SignIn]:
    """Live sessions of the same identity in the same context, the newest first (ASSUME of facts.md §2.9)."""
    found = world.sign_ins.where(world.sign_ins_by_owner, (session.identity, session.context))
    return [other for other in reversed(found) if _is_active(world, other, now)]


def _is_active(world: World, session: SignIn, now: datetime) -> bool:
    if status_of(session, now).code != 200:
        return False
    end = session.started_at + timedelta(seconds=world.switches.token_ttl_auth_s)
    return now < (session.refresh_valid_until or end)


def end_session(world: World, session: SignIn, reference: str, now: datetime) -> None:
    """End a session of the same identity and context; access tokens live on until they expire (facts.md §2.9)."""
    found = find(world, reference)
    if (found.identity, found.context) != (session.identity, session.context):
        raise _not_found(reference)
    if found.revoked_at is None:
        world.sign_ins.put(replace(found, revoked_at=now))

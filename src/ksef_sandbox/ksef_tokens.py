"""KSeF tokens: made, listed, revoked, and signing in with them (facts.md §2.10, §6).
What a token session may then do is `rights.py`; the keys for encryption are `encryption.py`.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ksef_sandbox import encryption, rights, sign_in
from ksef_sandbox.errors import BadRequest, Forbidden, InvalidInput
from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.permission_records import KsefToken, Permission, TokenSignIn
from ksef_sandbox.records import ORDINARY, Fate, SignIn, SignInMethod, Status
from ksef_sandbox.references import Kind
from ksef_sandbox.state import World

CONTEXT_TYPES = (ContextType.NIP, ContextType.INTERNAL_ID)
# A sign-in whose token could not be read belongs to nobody.
NOBODY = Identity(IdentityType.FINGERPRINT, "0" * 64)


class TokenState(StrEnum):
    PENDING = "Pending"
    ACTIVE = "Active"
    REVOKING = "Revoking"
    REVOKED = "Revoked"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class TokenFilters:
    """Filters of GET /tokens; None or empty lets everything through."""

    states: frozenset[TokenState]
    description: str | None
    author: str | None
    author_type: str | None


def generate(
    world: World, session: SignIn, permissions: tuple[str, ...], description: str, now: datetime
) -> tuple[KsefToken, str]:
    """Make a token with some of the author's rights; returns it and its text, which is shown only now.

    Raises Forbidden for a token session, BadRequest 26001 and 26002.
    """
    if session.method is SignInMethod.TOKEN:
        raise Forbidden("auth-method-not-allowed", authenticationMethodCategory="Token")
    if session.context.type not in CONTEXT_TYPES:
        allowed = ", ".join(CONTEXT_TYPES)
        raise BadRequest(26002, f"Obecny typ kontekstu: {session.context.type}. Dozwolone typy: {allowed}.")
    present = rights.permissions(world, session.identity, session.context, now)
    missing = [name for name in permissions if not _may_pass_on(world, session.context, present, name, now)]
    if missing:
        raise BadRequest(26001, f"Brakujące uprawnienia: {', '.join(missing)}.")
    reference = world.randomness.reference(Kind.TOKEN, now)
    context = session.context
    prefix = context.type.value[0].lower() + context.type.value[1:]
    text = f"{reference}|{prefix}-{context.value}|{world.randomness.hex(64).lower()}"
    token = KsefToken(
        reference=reference,
        text_hash=_hash(text),
        context=context,
        author=session.identity,
        permissions=permissions,
        description=description,
        created_at=now,
        active_at=now + _delay(world),
    )
    return world.ksef_tokens.put(token), text


def _may_pass_on(world: World, context: ContextIdentifier, present: frozenset[str], name: str, now: datetime) -> bool:
    if name == Permission.ENFORCEMENT_OPERATIONS and name not in present:
        roles = {role.name for role in rights.roles(world, context.value, now)}
        return rights.OWNER in present and not rights.ENFORCEMENT_ROLES.isdisjoint(roles)
    return rights.allows(present, name)


def state_of(token: KsefToken, now: datetime) -> TokenState:
    """The state as it shows at this moment."""
    if token.revoked_at is not None and now >= token.revoked_at:
        return TokenState.REVOKED
    if token.revoking_at is not None and now >= token.revoking_at:
        return TokenState.REVOKING
    return TokenState.ACTIVE if now >= token.active_at else TokenState.PENDING


def is_revoked(world: World, reference: str | None, now: datetime) -> bool:
    """Whether the token of that reference can no longer be used; False where there is none."""
    token = world.ksef_tokens.get(reference) if reference else None
    return token is not None and state_of(token, now) in (TokenState.REVOKING, TokenState.REVOKED)


def find(world: World, session: SignIn, reference: str, now: datetime, *manage: str) -> KsefToken:
    """A token of this context that the caller may see, or manage where it has one of these permissions.

    Raises InvalidInput when there is no such token here, Forbidden when it is not the caller's to see.
    """
    token = world.ksef_tokens.get(reference)
    if token is None or token.context != session.context:
        raise InvalidInput(f"Token o numerze referencyjnym {reference} nie został znaleziony.")
    present = rights.session_permissions(world, session, now)
    if not (rights.allows(present, *manage) or _is_own(world, session, token, now)):
        raise Forbidden("insufficient-resource-access")
    return token


def visible(world: World, session: SignIn, filters: TokenFilters, now: datetime) -> list[KsefToken]:
    """Tokens the caller may see, the newest first."""
    present = rights.session_permissions(world, session, now)
    sees_all = rights.allows(present, Permission.CREDENTIALS_MANAGE, Permission.CREDENTIALS_READ)
    found = reversed(world.ksef_tokens.where(world.ksef_tokens_by_context, session.context))
    own = [token for token in found if sees_all or _is_own(world, session, token, now)]
    return [token for token in own if _passes(token, filters, now)]


def _is_own(world: World, session: SignIn, token: KsefToken, now: datetime) -> bool:
    if session.method is SignInMethod.TOKEN:
        return token.reference == session.token_reference
    return token.author == session.identity or token.author in rights.linked(world, session.identity, now)


def _passes(token: KsefToken, filters: TokenFilters, now: datetime) -> bool:
    return (
        (not filters.states or state_of(token, now) in filters.states)
        and (filters.description is None or filters.description.lower() in token.description.lower())
        and (filters.author is None or filters.author.lower() in token.author.value.lower())
        and (filters.author_type is None or filters.author_type == token.author.type)
    )


def revoke(world: World, token: KsefToken, now: datetime) -> None:
    """Begin to revoke a token; sessions opened with it live on (facts.md §2.9). Revoking again changes nothing."""
    if token.revoking_at is None:
        world.ksef_tokens.put(replace(token, revoking_at=now, revoked_at=now + _delay(world)))


def begin_sign_in(world: World, request: TokenSignIn, now: datetime, *, fate: Fate = ORDINARY) -> SignIn:
    """Start a sign-in with an encrypted token; raises BadRequest 21111 and 21470, everything else ends in a status."""
    challenge = sign_in.take_challenge(world, request.challenge, now)
    if request.public_key_id is not None and request.public_key_id not in _token_key_ids(world):
        raise BadRequest(21470, f"Klucz o identyfikatorze {request.public_key_id} nie jest wspierany.")
    world.challenges.put(replace(challenge, used_at=now))
    session = SignIn(
        reference=world.randomness.reference(Kind.AUTHENTICATION, now),
        identity=NOBODY,
        holder=None,
        context=request.context,
        method=SignInMethod.TOKEN,
        started_at=now,
        ready_at=now + timedelta(milliseconds=world.switches.auth_delay_ms) + fate.delay,
        outcome=sign_in.SUCCESS,
        ip_policy=request.ip_policy,
    )
    try:
        token = _usable_token(world, request, int(challenge.issued_at.timestamp() * 1000), now)
    except _Unusable as error:
        return world.sign_ins.put(replace(session, outcome=fate.outcome or _failure(error.detail)))
    session = replace(session, identity=token.author, token_reference=token.reference)
    session = replace(session, outcome=fate.outcome or _outcome(world, session, now))
    if session.outcome is sign_in.SUCCESS:
        world.ksef_tokens.put(replace(token, last_use_at=now))
    return world.sign_ins.put(session)


def _outcome(world: World, session: SignIn, now: datetime) -> Status:
    """As for any sign-in, but a token is worth nothing once its author has lost the rights it carries."""
    outcome = sign_in.outcome_of(world, session.identity, session.context, now)
    if outcome is sign_in.SUCCESS and not rights.session_permissions(world, session, now):
        return sign_in.NO_RIGHTS
    return outcome


def _token_key_ids(world: World) -> set[str]:
    return {key.public_key_id for key in encryption.public_keys(world) if key.usage == encryption.TOKEN_USAGE}


class _Unusable(Exception):
    """Why the token that was sent does not sign in: a detail of status 450 (facts.md §2.7)."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def _failure(detail: str) -> Status:
    return Status(450, "Uwierzytelnianie zakończone niepowodzeniem z powodu błędnego tokenu", (detail,))


def _usable_token(world: World, request: TokenSignIn, timestamp_ms: int, now: datetime) -> KsefToken:
    """The token that was sent, active and meant for this context; raises _Unusable."""
    text, sent_ms = _decrypt(world, request.encrypted_token)
    token = world.ksef_tokens.get(text.partition("|")[0])
    if token is None or token.text_hash != _hash(text):
        raise _Unusable("Nieprawidłowy token")
    if sent_ms != timestamp_ms:
        raise _Unusable("Nieprawidłowy czas tokena")
    if token.context != request.context:
        raise _Unusable(f"Token nie może być użyty w kontekście {request.context.type} {request.context.value}")
    state = state_of(token, now)
    if state in (TokenState.REVOKING, TokenState.REVOKED):
        raise _Unusable("Token unieważniony")
    if state is not TokenState.ACTIVE:
        raise _Unusable("Token nieaktywny")
    return token


def _decrypt(world: World, encrypted: bytes) -> tuple[str, int]:
    """Text of the token and the timestamp behind it; raises _Unusable."""
    try:
        plain = encryption.decrypt_token(world, encrypted)
    except ValueError as error:
        raise _Unusable("Nieprawidłowe szyfrowanie tokena") from error
    try:
        text, _, sent_ms = plain.decode().rpartition("|")
        return text, int(sent_ms)
    except ValueError as error:
        raise _Unusable("Nieprawidłowe kodowanie tokena") from error


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _delay(world: World) -> timedelta:
    return timedelta(milliseconds=world.switches.perm_delay_ms)

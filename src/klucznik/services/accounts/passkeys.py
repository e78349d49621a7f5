"""Passkeys: made, used instead of a password and second factor, used as a second factor, taken away.

A browser signs a challenge of ours together with the address that it stands before, so that no other site gets an
answer that is good here. Challenges are kept nowhere: each says itself when and for whom it was made, under a MAC, and
a passkey answers no challenge that is older than its last use.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection as Transaction

from klucznik.domain.accounts import BrowserSession, Passkey, User
from klucznik.domain.api_keys import LONGEST_NAME
from klucznik.errors import AccessDenied, InputError
from klucznik.services.accounts.browser_sessions import begin_session
from klucznik.services.accounts.passwords import Entered, entered, user_of
from klucznik.services.accounts.second_factor import changed, new_codes, put_codes, second_factor_of
from klucznik.services.installation import Installation
from klucznik.storage import browser_sessions, passkeys, recovery_codes, users

_ANSWER_WITHIN = timedelta(minutes=5)
_NONCE = 16
_AT = 8
_MAC = 32
MOST = 20


@dataclass(frozen=True)
class Place:
    """Where passkeys are good.

    Attributes:
        host: they are bound to it.
        origin: what a browser says that it stands before.
    """

    host: str
    origin: str


@dataclass(frozen=True)
class _Answered:
    """A challenge that was answered by a passkey."""

    challenged_at: datetime
    sign_count: int
    user: User
    key: Passkey


class _For(StrEnum):
    NEW = "new"
    SIGN_IN = "sign in"
    SESSION = "session"  # the second factor, and proving who one is


async def ask_for_new(installation: Installation, session: BrowserSession, place: Place) -> str:
    """What the browser needs to make a passkey, as JSON."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    user = await user_of(installation, session)
    there = await installation.database.read(lambda transaction: passkeys.of_user(transaction, user.id))
    options = generate_registration_options(
        rp_id=place.host,
        rp_name="Klucznik",
        user_id=user.id.encode(),
        user_name=user.email,
        user_display_name=user.name,
        challenge=_challenge(installation, _For.NEW, session),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one.id) for one in there],
    )
    return options_to_json(options)


async def add(
    installation: Installation, session: BrowserSession, place: Place, *, name: str, answer: str
) -> tuple[str, ...] | None:
    """Keep a passkey that a browser has made. All other browsers of the user are signed out.

    Returns:
        Recovery codes, to be shown once, where the account had no second factor before.

    Raises:
        InputError: ``passkey_name_malformed``, ``passkey_not_accepted``, ``passkeys_too_many``.
    """
    from webauthn import verify_registration_response
    from webauthn.helpers.exceptions import WebAuthnException

    user, called = await user_of(installation, session), " ".join(name.split())
    if not called or len(called) > LONGEST_NAME or not called.isprintable():
        raise InputError("passkey_name_malformed", limit=LONGEST_NAME)
    challenge = _challenge_in(answer)
    if _made_at(installation, _For.NEW, session, challenge) is None:
        raise InputError("passkey_not_accepted")
    try:
        made = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=place.host,
            expected_origin=place.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise InputError("passkey_not_accepted") from None
    now, codes = installation.clock.now(), new_codes()
    key = Passkey(made.credential_id, user.id, called, made.credential_public_key, made.sign_count, now)

    def commit(transaction: Transaction) -> bool:
        before = second_factor_of(transaction, user)
        if len(before.passkeys) >= MOST:
            raise InputError("passkeys_too_many", limit=MOST)
        if not passkeys.add(transaction, key):
            raise InputError("passkey_not_accepted")
        if not before.is_on:
            put_codes(transaction, user.id, codes, now)
        changed(installation, transaction, user.id, "passkey_added", keep=session)
        return not before.is_on

    return codes if await installation.database.write(commit) else None


async def remove(installation: Installation, session: BrowserSession, passkey_id: str) -> None:
    """Take one away. All other browsers of the user are signed out.

    Args:
        passkey_id: in hexadecimal digits.

    Raises:
        InputError: ``passkey_unknown``.
    """
    user = await user_of(installation, session)
    try:
        wanted = bytes.fromhex(passkey_id)
    except ValueError:
        raise InputError("passkey_unknown") from None

    def commit(transaction: Transaction) -> None:
        if not passkeys.remove(transaction, user.id, wanted):
            raise InputError("passkey_unknown")
        if not second_factor_of(transaction, user).is_on:
            recovery_codes.remove_all(transaction, user.id)
        changed(installation, transaction, user.id, "passkey_removed", keep=session)

    await installation.database.write(commit)


def ask_for_sign_in(installation: Installation, place: Place) -> str:
    """What a browser in which nobody is signed in needs to sign with a passkey of its choice, as JSON."""
    return _request(place, _challenge(installation, _For.SIGN_IN, None), ())


async def ask_for_session(installation: Installation, session: BrowserSession, place: Place) -> str:
    """What a browser needs to sign with a passkey of the user of its session, as JSON."""
    user = await user_of(installation, session)
    there = await installation.database.read(lambda transaction: passkeys.of_user(transaction, user.id))
    return _request(place, _challenge(installation, _For.SESSION, session), tuple(one.id for one in there))


async def sign_in(installation: Installation, place: Place, answer: str) -> Entered:
    """A whole session for whoever has a passkey: it is held, and its owner was verified by the device.

    Raises:
        AccessDenied: ``passkey_refused``.
    """
    return await _used(installation, place, answer, _For.SIGN_IN, None)


async def finish(installation: Installation, session: BrowserSession, place: Place, answer: str) -> Entered:
    """A whole session for whoever has given the password, and now a passkey; raises as `sign_in`."""
    return await _used(installation, place, answer, _For.SESSION, session)


async def prove(installation: Installation, session: BrowserSession, place: Place, answer: str) -> None:
    """The user of a session has proved who they are just now; raises as `sign_in`."""
    answered = await _verified(installation, place, answer, _For.SESSION, session)

    def commit(transaction: Transaction) -> None:
        now = installation.clock.now()
        _use(transaction, answered, now)
        browser_sessions.prove(transaction, session, now=now)

    await installation.database.write(commit)


async def _used(
    installation: Installation, place: Place, answer: str, what_for: _For, session: BrowserSession | None
) -> Entered:
    answered = await _verified(installation, place, answer, what_for, session)

    def commit(transaction: Transaction) -> Entered:
        _use(transaction, answered, installation.clock.now())
        current = users.load(transaction, answered.user.id)
        if current is None or current.disabled_at is not None:
            raise AccessDenied("passkey_refused")
        if session is not None:
            browser_sessions.remove(transaction, session.token_hash)
        opened = begin_session(installation, transaction, user_id=current.id)
        return entered(installation, transaction, current, "passkey", opened)

    return await installation.database.write(commit)


async def _verified(
    installation: Installation, place: Place, answer: str, what_for: _For, session: BrowserSession | None
) -> _Answered:
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    challenge, passkey_id = _challenge_in(answer), _id_in(answer)
    challenged_at = _made_at(installation, what_for, session, challenge)

    def read(transaction: Transaction) -> tuple[Passkey, User] | None:
        key = passkeys.load(transaction, passkey_id)
        user = None if key is None else users.load(transaction, key.user_id)
        return None if key is None or user is None else (key, user)

    found = await installation.database.read(read)
    if challenged_at is None or found is None or (session is not None and session.user_id != found[1].id):
        raise AccessDenied("passkey_refused")
    key, user = found
    try:
        used = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=place.host,
            expected_origin=place.origin,
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise AccessDenied("passkey_refused") from None
    return _Answered(challenged_at, used.new_sign_count, user, key)


def _use(transaction: Transaction, answered: _Answered, now: datetime) -> None:
    key, at = answered.key, answered.challenged_at
    if not passkeys.use(transaction, key.id, sign_count=answered.sign_count, challenged_at=at, now=now):
        raise AccessDenied("passkey_refused")


def _request(place: Place, challenge: bytes, allowed: tuple[bytes, ...]) -> str:
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=place.host,
        challenge=challenge,
        allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in allowed],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def _challenge(installation: Installation, what_for: _For, session: BrowserSession | None) -> bytes:
    at = int(installation.clock.now().timestamp() * 1_000_000).to_bytes(_AT, "big")
    said = secrets.token_bytes(_NONCE) + at
    return said + _mac(installation, what_for, session, said, installation.vault.current_key_id)


def _made_at(
    installation: Installation, what_for: _For, session: BrowserSession | None, challenge: bytes
) -> datetime | None:
    """When a challenge was made; None where it is not ours, was for something else, or is over."""
    said, mac = challenge[: _NONCE + _AT], challenge[_NONCE + _AT :]
    if len(mac) != _MAC:
        return None
    if not hmac.compare_digest(mac, _mac(installation, what_for, session, said, installation.vault.current_key_id)):
        return None
    at = datetime.fromtimestamp(int.from_bytes(said[_NONCE:], "big") / 1_000_000, UTC)
    return at if at <= installation.clock.now() < at + _ANSWER_WITHIN else None


def _mac(installation: Installation, what_for: _For, session: BrowserSession | None, said: bytes, key_id: str) -> bytes:
    bound_to = "" if session is None else session.token_hash
    head = "\n".join(("klucznik passkey 1", what_for.value, bound_to, "")).encode()
    return installation.vault.mac(head + said, key_id)


def _challenge_in(answer: str) -> bytes:
    """The challenge that a browser says it has signed; that it has is checked with the signature."""
    try:
        client_data = json.loads(_bytes_of(json.loads(answer)["response"]["clientDataJSON"]))
        return _bytes_of(client_data["challenge"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""


def _id_in(answer: str) -> bytes:
    try:
        return _bytes_of(json.loads(answer)["rawId"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""


def _bytes_of(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(text[:40]) from error

"""The second factor: codes of an app (TOTP) and recovery codes. Passkeys, which are one as well, are `passkeys`.

An account that has any asks for one after the password. Turning it on or off, like every change of what opens an
account, signs out all other browsers.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection as Transaction

from klucznik.domain.accounts import BrowserSession, Passkey, User
from klucznik.domain.audit import Entry, Event
from klucznik.errors import AccessDenied, InputError, StorageError
from klucznik.services import audit
from klucznik.services.accounts.browser_sessions import begin_session, hash_of
from klucznik.services.accounts.guesses import Guesser, count_guess, forget_guesses
from klucznik.services.accounts.passwords import Entered, entered, user_of
from klucznik.services.installation import Installation
from klucznik.storage import browser_sessions, passkeys, recovery_codes, sealed_secrets, users

if TYPE_CHECKING:
    from pyotp import TOTP

_ISSUER = "Klucznik"
_KIND = "totp"
_KIND_NEW = "totp_new"  # shown, not confirmed yet
_CONFIRM_WITHIN = timedelta(minutes=15)
_STEP_S = 30
# Clocks of phones are off by some seconds, and people type slowly.
_STEPS_AROUND = (0, -1, 1)
RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is taken for something else
_GROUPS, _GROUP = 4, 4


@dataclass(frozen=True)
class SecondFactor:
    """What an account has besides its password."""

    totp_since: datetime | None
    passkeys: tuple[Passkey, ...]
    recovery_codes: int

    @property
    def is_on(self) -> bool:
        return self.totp_since is not None or bool(self.passkeys)


@dataclass(frozen=True)
class NewTotp:
    """What an app is given: the secret itself, and as the address in the picture that it photographs."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


async def second_factor(installation: Installation, user: User) -> SecondFactor:
    return await installation.database.read(lambda transaction: second_factor_of(transaction, user))


def second_factor_of(transaction: Transaction, user: User) -> SecondFactor:
    return SecondFactor(
        user.totp_since,
        tuple(passkeys.of_user(transaction, user.id)),
        recovery_codes.count(transaction, user.id),
    )


async def new_totp(installation: Installation, session: BrowserSession) -> NewTotp:
    """A secret for an app; it counts once a code has shown that the app has it. Within 15 minutes it stays the same.

    Raises:
        InputError: ``totp_is_on``.
    """
    user = await user_of(installation, session)
    if user.totp_since is not None:
        raise InputError("totp_is_on")
    from pyotp import random_base32

    def commit(transaction: Transaction) -> str:
        now = installation.clock.now()
        sealed = sealed_secrets.load(transaction, _KIND_NEW, user.id, now=now)
        if sealed is not None:
            return installation.vault.unseal_secret(sealed).decode()
        secret = random_base32()
        made = installation.vault.seal_secret(_KIND_NEW, user.id, secret.encode())
        sealed_secrets.put(transaction, made, now=now, expires_at=now + _CONFIRM_WITHIN)
        return secret

    secret = await installation.database.write(commit)
    return NewTotp(secret, _totp(secret).provisioning_uri(name=user.email, issuer_name=_ISSUER))


async def turn_totp_on(installation: Installation, session: BrowserSession, code: str) -> tuple[str, ...]:
    """The app has the secret: from now on it is asked for. The recovery codes come back, to be shown once.

    Raises:
        InputError: ``totp_code_wrong``, ``totp_not_begun`` (or it took longer than 15 minutes).
    """
    user = await user_of(installation, session)
    await count_guess(installation, Guesser(user.email, code_of=user.id))
    codes = new_codes()

    def commit(transaction: Transaction) -> None:
        now = installation.clock.now()
        sealed = sealed_secrets.load(transaction, _KIND_NEW, user.id, now=now)
        if sealed is None:
            raise InputError("totp_not_begun")
        secret = installation.vault.unseal_secret(sealed)
        step = _step_of(secret.decode(), code, now, after=None)
        if step is None:
            raise InputError("totp_code_wrong")
        sealed_secrets.forget(transaction, _KIND_NEW, user.id)
        sealed_secrets.put(transaction, installation.vault.seal_secret(_KIND, user.id, secret), now=now)
        users.save(transaction, replace(user, totp_since=now, totp_step=step), now=now)
        forget_guesses(installation, transaction, Guesser(user.email, code_of=user.id))
        put_codes(transaction, user.id, codes, now)
        changed(installation, transaction, user.id, "totp_on", keep=session)

    await installation.database.write(commit)
    return codes


async def turn_totp_off(installation: Installation, session: BrowserSession) -> None:
    user = await user_of(installation, session)

    def commit(transaction: Transaction) -> None:
        _remove_totp(installation, transaction, user)
        if not passkeys.of_user(transaction, user.id):
            recovery_codes.remove_all(transaction, user.id)
        changed(installation, transaction, user.id, "totp_off", keep=session)

    await installation.database.write(commit)


async def remove_all_factors(installation: Installation, user_id: str) -> User:
    """For somebody who has lost them all: the password alone opens the account again. Their browsers are signed out.

    Raises:
        InputError: ``user_unknown``.
    """

    def commit(transaction: Transaction) -> User:
        user = users.load(transaction, user_id)
        if user is None:
            raise InputError("user_unknown", user=user_id[:40])
        saved = _remove_totp(installation, transaction, user)
        passkeys.remove(transaction, user.id)
        recovery_codes.remove_all(transaction, user.id)
        changed(installation, transaction, user.id, "removed", keep=None)
        return saved

    return await installation.database.write(commit)


async def renew_codes(installation: Installation, session: BrowserSession) -> tuple[str, ...]:
    """New recovery codes in place of those before, to be shown once.

    Raises:
        InputError: ``second_factor_is_off``.
    """
    user, codes = await user_of(installation, session), new_codes()

    def commit(transaction: Transaction) -> None:
        if not second_factor_of(transaction, user).is_on:
            raise InputError("second_factor_is_off")
        put_codes(transaction, user.id, codes, installation.clock.now())
        changed(installation, transaction, user.id, "codes_renewed", keep=session)

    await installation.database.write(commit)
    return codes


async def finish_with_code(installation: Installation, session: BrowserSession, code: str, *, who: Guesser) -> Entered:
    """A whole session for whoever has given the password, and now a code of the app or a recovery code.

    Raises:
        AccessDenied: ``second_factor_wrong``.
        TooManyAttempts: the code was not looked at.
    """
    user = await user_of(installation, session)
    guesser = replace(who, email=user.email, code_of=user.id)
    await count_guess(installation, guesser)

    def commit(transaction: Transaction) -> Entered:
        current = users.load(transaction, user.id, to_let_in=True)
        # The browser may have been signed out meanwhile, as by a new password.
        there = browser_sessions.remove(transaction, session.token_hash)
        if not there or current is None or current.disabled_at is not None:
            raise AccessDenied("second_factor_wrong")
        how = _used(installation, transaction, current, code)
        if how is None:
            raise AccessDenied("second_factor_wrong")
        forget_guesses(installation, transaction, guesser)
        return entered(
            installation, transaction, current, how, begin_session(installation, transaction, user_id=user.id)
        )

    try:
        return await installation.database.write(commit)
    except StorageError as error:
        if error.reason != "state_moved_on":
            raise
        # The same code at the same moment somewhere else: one of them was used.
        raise AccessDenied("second_factor_wrong") from None


def _used(installation: Installation, transaction: Transaction, user: User, code: str) -> str | None:
    """Use a code up; what kind it was."""
    now = installation.clock.now()
    bare = "".join(code.lower().split()).replace("-", "")
    sealed = None if user.totp_since is None else sealed_secrets.load(transaction, _KIND, user.id, now=now)
    if sealed is not None:
        step = _step_of(installation.vault.unseal_secret(sealed).decode(), bare, now, after=user.totp_step)
        if step is not None:
            users.save(transaction, replace(user, totp_step=step), now=now)
            return "totp"
    return "recovery_code" if recovery_codes.use(transaction, user.id, hash_of(bare)) else None


def _step_of(secret: str, code: str, now: datetime, *, after: int | None) -> int | None:
    """The step of time whose code it is, unless that one, or a later one, was used before."""
    totp, step = _totp(secret), int(now.timestamp()) // _STEP_S
    bare = "".join(code.split())
    fitting = [
        step + around
        for around in _STEPS_AROUND
        if hmac.compare_digest(totp.generate_otp(step + around).encode(), bare.encode())
    ]
    return next((one for one in fitting if after is None or one > after), None)


def _totp(secret: str) -> TOTP:
    from pyotp import TOTP

    return TOTP(secret, interval=_STEP_S)


def _remove_totp(installation: Installation, transaction: Transaction, user: User) -> User:
    sealed_secrets.forget(transaction, _KIND, user.id)
    sealed_secrets.forget(transaction, _KIND_NEW, user.id)
    without = replace(user, totp_since=None, totp_step=None)
    return users.save(transaction, without, now=installation.clock.now())


def new_codes() -> tuple[str, ...]:
    """Recovery codes as they are shown: ``abcd-efgh-jkmn-pqrs``."""
    return tuple(
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    )


def put_codes(transaction: Transaction, user_id: str, codes: tuple[str, ...], now: datetime) -> None:
    hashes = [hash_of(code.replace("-", "")) for code in codes]
    recovery_codes.replace_all(transaction, user_id, hashes, now=now)


def changed(
    installation: Installation, transaction: Transaction, user_id: str, what: str, *, keep: BrowserSession | None
) -> None:
    """What opens the account has changed: recorded, and all browsers but the one at hand are signed out."""
    browser_sessions.remove_of_user(transaction, user_id, but=None if keep is None else keep.token_hash)
    facts = {"user": user_id, "change": what}
    audit.record(installation, transaction, None, Entry(Event.SECOND_FACTOR_CHANGED, facts))

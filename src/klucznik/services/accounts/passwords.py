"""Signing in with a password, and setting one: by a link, or in place of the one before."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection as Transaction

from klucznik.domain.accounts import BrowserSession, LinkPurpose, User, parse_user_email, parse_user_name
from klucznik.domain.audit import Entry, Event
from klucznik.domain.languages import Language
from klucznik.domain.passwords import LONGEST, check_new_password, normalised
from klucznik.domain.roles import Role
from klucznik.domain.values import InvalidValue
from klucznik.errors import AccessDenied, InputError
from klucznik.services import audit
from klucznik.services.accounts.account_links import look_at_link, use_link
from klucznik.services.accounts.browser_sessions import begin_session
from klucznik.services.accounts.guesses import Guesser, count_guess, device_cookie, forget_guesses
from klucznik.services.installation import Installation
from klucznik.services.telling.letters import put_password_changed
from klucznik.storage import account_links, browser_sessions, passkeys, users
from klucznik.storage.races import alone


@dataclass(frozen=True)
class Entered:
    """A browser that is signed in, perhaps but for the second factor.

    Attributes:
        token: for the cookie of the session.
        device: for the cookie by which the browser is known again; None while the second factor is to come.
        language: which they have chosen, where they are in.
    """

    token: str = field(repr=False)
    session: BrowserSession
    device: str | None = field(default=None, repr=False)
    language: Language | None = None


async def sign_in(installation: Installation, password: str, *, who: Guesser) -> Entered:
    """A session for whoever knows the password of an account.

    Whether there is an account shows neither in the answer nor in its time.

    Raises:
        AccessDenied: ``sign_in_wrong``.
        TooManyAttempts: the password was not looked at.
    """
    await count_guess(installation, who)
    user = await installation.database.read(lambda transaction: users.by_email(transaction, who.email))
    hashed = None if user is None or user.disabled_at is not None else user.password_hash
    fits = await installation.hashing.fits(password[: LONGEST + 1], hashed, installation.clock)
    if user is None or hashed is None or not fits:
        raise AccessDenied("sign_in_wrong")
    fresh = await _hashed_anew(installation, user, password)

    def commit(transaction: Transaction) -> Entered:
        now = installation.clock.now()
        current = users.load(transaction, user.id, to_let_in=True)
        if current is None or current.disabled_at is not None or current.password_hash != hashed:
            raise AccessDenied("sign_in_wrong")
        if fresh is not None:
            users.save(transaction, replace(current, password_hash=fresh), now=now)
        forget_guesses(installation, transaction, who)
        complete = not second_factor_is_on(transaction, current)
        session = begin_session(installation, transaction, user_id=current.id, complete=complete)
        return entered(installation, transaction, current, "password", session) if complete else Entered(*session)

    return await installation.database.write(commit)


async def _hashed_anew(installation: Installation, user: User, password: str) -> str | None:
    if user.password_hash is None or not installation.hashing.is_old(user.password_hash):
        return None
    return await installation.hashing.hash(password, installation.clock)


def second_factor_is_on(transaction: Transaction, user: User) -> bool:
    """Whether the password alone does not open the account."""
    return user.totp_since is not None or bool(passkeys.of_user(transaction, user.id))


def entered(
    installation: Installation, transaction: Transaction, user: User, how: str, opened: tuple[str, BrowserSession]
) -> Entered:
    """Record that a browser has signed in, as part of the transaction that lets it in."""
    token, session = opened
    acting = installation.acting(user.principal.id)
    facts = {"user": user.id, "how": how}
    audit.record(acting, transaction, None, Entry(Event.SIGNED_IN_HERE, facts))
    return Entered(token, session, device_cookie(installation, user.email), user.language)


async def set_up(installation: Installation, token: str, *, email: str, name: str, password: str) -> Entered:
    """Make the first administrator by the link of the set-up, and sign them in.

    Raises:
        AccessDenied: ``link_not_good``.
        InputError: what is wrong with the e-mail address, the name or the password.
    """
    link, _ = await look_at_link(installation, token)
    if link.purpose is not LinkPurpose.SET_UP:
        raise AccessDenied("link_not_good")
    try:
        address, called = parse_user_email(email), parse_user_name(name)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    hashed = await _new_hash(installation, password, address, called)

    def commit(transaction: Transaction) -> Entered:
        # Two who hold the link at the same moment: one is the administrator, the other is too late.
        alone(transaction, "administrators")
        use_link(installation, transaction, token)
        now = installation.clock.now()
        user = User(secrets.token_hex(16), address, called, Role.ADMINISTRATOR, now, password_hash=hashed)
        users.add(transaction, user, now=now)
        facts = {"user": user.id, "email": address, "role": user.role.value}
        acting = installation.acting(user.principal.id)
        audit.record(acting, transaction, None, Entry(Event.USER_ADDED, facts))
        return entered(
            installation, transaction, user, "link", begin_session(installation, transaction, user_id=user.id)
        )

    return await installation.database.write(commit)


async def set_password_by_link(installation: Installation, token: str, password: str) -> User:
    """Set the password that a link is for. All browsers of the user are signed out; nobody is signed in.

    Raises:
        AccessDenied: ``link_not_good``.
        InputError: what is wrong with the password.
    """
    link, user = await look_at_link(installation, token)
    if user is None:
        raise AccessDenied("link_not_good")
    hashed = await _new_hash(installation, password, user.email, user.name)

    def still(transaction: Transaction) -> User:
        _, found = use_link(installation, transaction, token)
        if found is None:
            raise AccessDenied("link_not_good")
        return found

    return await _set(installation, still, hashed, how=link.purpose.value)


async def change_password(
    installation: Installation, session: BrowserSession, *, current: str, new: str, who: Guesser
) -> User:
    """Set another password. All other browsers of the user are signed out.

    Raises:
        AccessDenied: ``own_password_wrong``.
        TooManyAttempts: the password was not looked at.
        InputError: what is wrong with the new password.
    """
    user = await check_password(installation, session, current, who=who)
    hashed = await _new_hash(installation, new, user.email, user.name)

    def unchanged(transaction: Transaction) -> User:
        found = users.load(transaction, user.id)
        if found is None or found.password_hash != user.password_hash:
            raise AccessDenied("own_password_wrong")
        return found

    return await _set(installation, unchanged, hashed, how="changed", keep=session.token_hash)


async def check_password(installation: Installation, session: BrowserSession, password: str, *, who: Guesser) -> User:
    """The user of a session, who knows the password.

    Raises:
        AccessDenied: ``own_password_wrong``.
        TooManyAttempts: the password was not looked at.
    """
    await count_guess(installation, who)
    user = await user_of(installation, session)
    if not await installation.hashing.fits(password[: LONGEST + 1], user.password_hash, installation.clock):
        raise AccessDenied("own_password_wrong")
    await installation.database.write(lambda transaction: forget_guesses(installation, transaction, who))
    return user


async def prove_by_password(
    installation: Installation, session: BrowserSession, password: str, *, who: Guesser
) -> None:
    """The user of a session has proved who they are just now; raises as `check_password`."""
    await check_password(installation, session, password, who=who)
    now = installation.clock.now()
    await installation.database.write(lambda transaction: browser_sessions.prove(transaction, session, now=now))


async def user_of(installation: Installation, session: BrowserSession) -> User:
    """Whose a session is; raises AccessDenied ``account_needed`` where it is a client's, who has no account."""
    user_id = session.user_id
    user = None
    if user_id is not None:
        user = await installation.database.read(lambda transaction: users.load(transaction, user_id))
    if user is None:
        raise AccessDenied("account_needed")
    return user


async def _new_hash(installation: Installation, password: str, email: str, name: str) -> str:
    try:
        check_new_password(normalised(password), email=email, name=name)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    return await installation.hashing.hash(password, installation.clock)


async def _set(
    installation: Installation,
    current: Callable[[Transaction], User],
    hashed: str,
    *,
    how: str,
    keep: str | None = None,
) -> User:
    def commit(transaction: Transaction) -> User:
        now, user = installation.clock.now(), current(transaction)
        saved = users.save(transaction, replace(user, password_hash=hashed), now=now)
        browser_sessions.remove_of_user(transaction, user.id, but=keep)
        account_links.remove_of(transaction, user.id)
        acting = installation.acting(user.principal.id)
        audit.record(acting, transaction, None, Entry(Event.PASSWORD_SET, {"user": user.id, "how": how}))
        if user.password_hash is not None:  # of their first one they know
            put_password_changed(installation, transaction, saved)
        return saved

    return await installation.database.write(commit)

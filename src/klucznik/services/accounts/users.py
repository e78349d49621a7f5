"""Users as administrators see them: invited, given another role, shut out and let in again.

Whatever takes something away from a user signs out their browsers at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection as Transaction

from klucznik.domain.accounts import LinkPurpose, User, parse_user_email, parse_user_name
from klucznik.domain.audit import Entry, Event
from klucznik.domain.languages import Language, parse_language
from klucznik.domain.letters import about_account
from klucznik.domain.roles import Role
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError
from klucznik.services import audit
from klucznik.services.accounts.account_links import make_link
from klucznik.services.installation import Installation
from klucznik.services.telling.letters import put_account_link
from klucznik.storage import account_links, browser_sessions, letters, passkeys, users

PAGE = 100
# What a person with an account may be; clients come by invitations and have none.
ROLES = (Role.STAFF, Role.AUDITOR, Role.ADMINISTRATOR)


@dataclass(frozen=True)
class Listed:
    """A user in the list.

    Attributes:
        second_factor: whether their password alone does not open the account.
    """

    user: User
    second_factor: bool


async def list_users(installation: Installation, *, after: str = "") -> list[Listed]:
    """A page of users in the order of their e-mail addresses, from behind `after` on."""

    def read(transaction: Transaction) -> list[Listed]:
        found = users.page(transaction, limit=PAGE, after=after)
        with_passkeys = passkeys.owners_among(transaction, [user.id for user in found])
        return [Listed(user, user.totp_since is not None or user.id in with_passkeys) for user in found]

    return await installation.database.read(read)


async def load_user(installation: Installation, user_id: str) -> User:
    """Raises InputError ``user_unknown``."""
    return await installation.database.read(lambda transaction: _existing(transaction, user_id))


async def find_user(installation: Installation, email: str) -> User:
    """Raises InputError ``user_unknown``."""
    found = await installation.database.read(lambda transaction: users.by_email(transaction, email.strip()))
    if found is None:
        raise InputError("user_unknown", user=email[:80])
    return found


async def invite(
    installation: Installation, *, email: str, name: str, role: str, language: str | None = None
) -> tuple[str, User]:
    """A new user without a password, and the token of the link by which they set one.

    Args:
        language: in which letters come; None: as the installation speaks.

    Raises:
        InputError: ``user_email_malformed``, ``user_name_malformed``, ``role_unknown``, ``language_unknown``,
            ``user_exists``.
    """
    user = _new_user(installation, email=email, name=name, role=role, language=language)
    return await installation.database.write(lambda transaction: _add(installation, transaction, user)), user


async def invite_by_mail(
    installation: Installation, *, email: str, name: str, role: str, page: str, language: str | None = None
) -> User:
    """A new user, as `invite`, to whom the link goes in a letter, and to nobody else.

    Args:
        page: address of the page that the link leads to, to which its token is added.
    """
    user = _new_user(installation, email=email, name=name, role=role, language=language)

    def commit(transaction: Transaction) -> None:
        token = _add(installation, transaction, user)
        put_account_link(installation, transaction, user, LinkPurpose.INVITED, page + token)

    await installation.database.write(commit)
    return user


def _new_user(installation: Installation, *, email: str, name: str, role: str, language: str | None) -> User:
    given = _role(role)
    try:
        address, called = parse_user_email(email), parse_user_name(name)
        speaks = None if language is None else parse_language(language)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    return User(secrets.token_hex(16), address, called, given, installation.clock.now(), language=speaks)


def _add(installation: Installation, transaction: Transaction, user: User) -> str:
    if not users.add_unless_there(transaction, user, now=user.created_at):
        raise InputError("user_exists", email=user.email)
    facts = {"user": user.id, "email": user.email, "role": user.role.value}
    audit.record(installation, transaction, None, Entry(Event.USER_ADDED, facts))
    return make_link(installation, transaction, LinkPurpose.INVITED, user)


async def new_link(installation: Installation, user_id: str) -> tuple[str, User]:
    """The token of a new link by which a user sets a password: the first one, or one for one that is forgotten.

    The password of before goes on being good until the link is used.

    Raises:
        InputError: ``user_unknown``, ``user_disabled``.
    """

    def commit(transaction: Transaction) -> tuple[str, User]:
        token, user, _ = _link_of(installation, transaction, user_id)
        return token, user

    return await installation.database.write(commit)


async def send_link(installation: Installation, user_id: str, *, page: str) -> User:
    """A new link, as `new_link`, that goes to the user in a letter and to nobody else.

    Args:
        page: as of `invite_by_mail`.
    """

    def commit(transaction: Transaction) -> User:
        token, user, purpose = _link_of(installation, transaction, user_id)
        put_account_link(installation, transaction, user, purpose, page + token)
        return user

    return await installation.database.write(commit)


def _link_of(installation: Installation, transaction: Transaction, user_id: str) -> tuple[str, User, LinkPurpose]:
    user = _existing(transaction, user_id)
    if user.disabled_at is not None:
        raise InputError("user_disabled", email=user.email)
    purpose = LinkPurpose.INVITED if user.password_hash is None else LinkPurpose.FORGOTTEN
    letters.take_back(transaction, [about_account(user.id)])  # its link is void now
    return make_link(installation, transaction, purpose, user), user, purpose


async def speak(installation: Installation, user_id: str, language: Language) -> None:
    """From now on letters to the user come in this language."""

    def commit(transaction: Transaction) -> None:
        user = _existing(transaction, user_id)
        if user.language is not language:
            users.save(transaction, replace(user, language=language), now=installation.clock.now())

    await installation.database.write(commit)


async def set_role(installation: Installation, user_id: str, role: str, *, by: str) -> User:
    """Give a user another role; their browsers are signed out.

    Args:
        by: id of the user who does it.

    Raises:
        InputError: ``role_unknown``, ``user_unknown``, ``own_account``, ``last_administrator``.
    """
    given = _role(role)
    return await _change(installation, user_id, by, lambda user: replace(user, role=given))


async def disable(installation: Installation, user_id: str, *, by: str) -> User:
    """Shut a user out at once: browsers are signed out, links are void. What they have done stays in the log.

    Raises:
        InputError: ``user_unknown``, ``own_account``, ``last_administrator``.
    """
    now = installation.clock.now()
    return await _change(installation, user_id, by, lambda user: replace(user, disabled_at=user.disabled_at or now))


async def enable(installation: Installation, user_id: str, *, by: str) -> User:
    """Let a user in again, with the password of before; raises as `disable`."""
    return await _change(installation, user_id, by, lambda user: replace(user, disabled_at=None))


async def sign_out_everywhere(installation: Installation, user_id: str, *, but: str | None = None) -> None:
    """Sign out all browsers of a user.

    Args:
        but: hash of the token of the one that stays.
    """

    def commit(transaction: Transaction) -> None:
        browser_sessions.remove_of_user(transaction, user_id, but=but)
        audit.record(installation, transaction, None, Entry(Event.BROWSERS_SIGNED_OUT, {"user": user_id}))

    await installation.database.write(commit)


async def _change(installation: Installation, user_id: str, by: str, change: Callable[[User], User]) -> User:
    if user_id == by:
        raise InputError("own_account")

    def commit(transaction: Transaction) -> User:
        administrators = users.administrators(transaction)
        user = _existing(transaction, user_id)
        wanted = change(user)
        if wanted == user:
            return user
        keeps = wanted.role is Role.ADMINISTRATOR and wanted.disabled_at is None
        if administrators == [user.id] and not keeps:
            raise InputError("last_administrator", email=user.email)
        saved = users.save(transaction, wanted, now=installation.clock.now())
        browser_sessions.remove_of_user(transaction, user.id)
        if saved.disabled_at is not None:
            account_links.remove_of(transaction, user.id)
        facts = {"user": user.id, "role": saved.role.value, "disabled": saved.disabled_at is not None}
        audit.record(installation, transaction, None, Entry(Event.USER_CHANGED, facts))
        return saved

    return await installation.database.write(commit)


def _role(name: str) -> Role:
    if name not in ROLES:
        raise InputError("role_unknown", value=name[:40])
    return Role(name)


def _existing(transaction: Transaction, user_id: str) -> User:
    user = users.load(transaction, user_id)
    if user is None:
        raise InputError("user_unknown", user=user_id[:40])
    return user

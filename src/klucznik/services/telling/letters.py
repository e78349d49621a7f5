"""Letters to one person: put down with what they tell of, sent by whoever works, and their links forgotten then.

A link rests sealed, apart from its letter, from the transaction that makes it until the mail server has taken it. One
that opens nothing any more is not sent. Of a forgotten password only what was typed is put down: whether somebody signs
in with it is found out here, so that the page which asks does the same whoever asks.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection as Transaction

from klucznik.domain.accounts import LINK_LASTS, LinkPurpose, User, parse_user_email
from klucznik.domain.invitations import Invitation
from klucznik.domain.letters import (
    Delivery,
    Letter,
    LetterKind,
    LetterTrouble,
    ToSend,
    about_account,
    about_invitation,
    new_letter,
)
from klucznik.domain.notices import next_try
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError
from klucznik.services.accounts.account_links import make_link
from klucznik.services.accounts.browser_sessions import hash_of
from klucznik.services.accounts.guesses import count_asking
from klucznik.services.installation import Installation
from klucznik.services.telling.mail import Undelivered
from klucznik.services.telling.notices import Mail
from klucznik.storage import account_links, invitations, letters, operators, sealed_secrets, users

# Longer than sending takes: while a claim holds, nobody else sends the same.
_CLAIMED_FOR = timedelta(minutes=10)
_AT_ONCE = 20
# What is wrong with the letter itself; anything else is wrong with the server, and with the next letter too.
_OF_THE_LETTER = (None, Undelivered.RECIPIENT_REFUSED, Undelivered.REFUSED)

_log = logging.getLogger("klucznik.mail")


async def ask_for_password(installation: Installation, email: str, *, address: str | None, page: str) -> None:
    """Whoever signs in with this address gets a link by which they set another password. That nobody does is not told.

    Args:
        address: of the client who asks; None where it is not known.
        page: address of the page that the link leads to, to which its token is added.

    Raises:
        InputError: ``user_email_malformed``.
        TooManyAttempts: it was asked for too often, for this account or from there.
    """
    try:
        typed = parse_user_email(email)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    await count_asking(installation, typed, address)
    now = installation.clock.now()
    # Each by itself: that the one before is there, or is not, takes no other time.
    about = f"letter:asked_for:{secrets.token_hex(16)}"
    letter = new_letter(LetterKind.ASKED_FOR, about, typed, now=now, data={"page": page})
    await installation.database.write(
        lambda transaction: letters.put(transaction, installation.environment, [letter], due_at=now)
    )


def put_account_link(
    installation: Installation, transaction: Transaction, user: User, purpose: LinkPurpose, link: str
) -> None:
    """A link that an administrator has made goes to the user; part of the transaction that makes it."""
    kind = LetterKind.FIRST_PASSWORD if purpose is LinkPurpose.INVITED else LetterKind.FORGOTTEN
    now = installation.clock.now()
    letter = new_letter(kind, about_account(user.id), user.email, now=now, data={"name": user.name})
    _put(installation, transaction, [(letter, link)], expires_at=now + LINK_LASTS[purpose])


def put_invitations(
    installation: Installation, transaction: Transaction, these: Sequence[tuple[Invitation, str]]
) -> None:
    """Invitations go to their companies, each with its link; all of them end at the same moment."""
    if not these:
        return
    operator = operators.load(transaction, installation.environment)
    now, made = installation.clock.now(), []
    for one, link in these:
        assert one.email is not None  # noqa: S101  who has no address is not written to
        data = {
            "nip": one.context.value,
            "name": one.name,
            "operator": None if operator is None else operator.name,
            "operator_nip": None if operator is None else operator.nip,
        }
        about = about_invitation(one.id)
        made.append(
            (new_letter(LetterKind.INVITATION, about, one.email, now=now, language=one.language, data=data), link)
        )
    _put(installation, transaction, made, expires_at=these[0][0].expires_at)


def put_password_changed(installation: Installation, transaction: Transaction, user: User) -> None:
    """The user is told that their password is another one now; part of the transaction in which it becomes so."""
    now = installation.clock.now()
    about = f"letter:password:{secrets.token_hex(16)}"
    letter = new_letter(LetterKind.PASSWORD_CHANGED, about, user.email, now=now)
    letters.put(transaction, installation.environment, [letter], due_at=now)


async def delivery_of_invitation(installation: Installation, invitation_id: str) -> Delivery | None:
    """What has become of its letter; None: it was not sent by us, or so long ago that nothing is known."""
    return (await deliveries_of_invitations(installation, [invitation_id])).get(invitation_id)


async def deliveries_of_invitations(installation: Installation, ids: Sequence[str]) -> dict[str, Delivery]:
    """The same of many, by the invitation's id."""
    abouts = {about_invitation(one): one for one in ids}
    found = await installation.database.read(lambda transaction: letters.deliveries(transaction, list(abouts)))
    return {abouts[about]: delivery for about, delivery in found.items()}


async def delivery_to_user(installation: Installation, user_id: str) -> Delivery | None:
    """What has become of the last link that an administrator has sent to a user."""
    about = about_account(user_id)
    return (await installation.database.read(lambda transaction: letters.deliveries(transaction, [about]))).get(about)


async def send_due(installation: Installation, mail: Mail) -> bool:
    """Send some that are due; whether there may be more, and the mail server takes them."""
    environment, database, now = installation.environment, installation.database, installation.clock.now()
    if not await database.read(lambda transaction: letters.any_due(transaction, environment, now=now)):
        return False
    to_send, claimed = await database.write(lambda transaction: _take(installation, transaction, now))
    answers = await mail.server.send([mail.write.personal(one) for one in to_send], now=now) if to_send else []

    def save(transaction: Transaction) -> None:
        for one, problem in zip(to_send, answers, strict=True):
            _save(transaction, one.letter, problem, now)

    await database.write(save)
    for problem, number in Counter(one.value for one in answers if one is not None).items():
        # Not to whom: an address is a person's.
        facts = {"problem": problem, "letters": number, "host": mail.server.host}
        _log.warning("mail_not_sent", extra={"facts": facts})
    return claimed > 0 and all(problem in _OF_THE_LETTER for problem in answers)


def _put(
    installation: Installation, transaction: Transaction, these: Sequence[tuple[Letter, str]], *, expires_at: datetime
) -> None:
    now = installation.clock.now()
    letters.put(transaction, installation.environment, [letter for letter, _ in these], due_at=now)
    sealed = [installation.vault.seal_secret(letters.SEALED_AS, letter.id, link.encode()) for letter, link in these]
    sealed_secrets.add(transaction, sealed, now=now, expires_at=expires_at)


def _take(installation: Installation, transaction: Transaction, now: datetime) -> tuple[list[ToSend], int]:
    """Claim what is due, and find all that it says; how many there were. What is not to be sent is settled."""
    claimed = letters.claim(transaction, installation.environment, most=_AT_ONCE, now=now, until=now + _CLAIMED_FOR)
    people = users.by_emails(transaction, [one.recipient for one in claimed])
    links = _links(installation, transaction, claimed, now)
    for one in claimed:
        if one.kind is LetterKind.ASKED_FOR and one.id not in links:
            link = _asked_for(installation, transaction, one, people.get(one.recipient), now)
            if link is not None:
                links[one.id] = link
    hashes = {one: hash_of(link.rpartition("/")[2]) for one, link in links.items()}
    good = _good_until(installation, transaction, list(hashes.values()), now)
    to_send: list[ToSend] = []
    for one in claimed:
        user, link = people.get(one.recipient), links.get(one.id)
        until = good.get(hashes.get(one.id, ""))
        if one.kind is not LetterKind.PASSWORD_CHANGED and until is None:
            _drop(transaction, one)
            continue
        # To the address of the account, never to what was typed: two that look alike are two.
        recipient, speaks = (one.recipient, None) if user is None else (user.email, user.language)
        to_send.append(ToSend(one, recipient, one.language or speaks, link, until))
    return to_send, len(claimed)


def _asked_for(
    installation: Installation, transaction: Transaction, letter: Letter, user: User | None, now: datetime
) -> str | None:
    """The link that somebody has asked for; None: nobody signs in with that address, or it was asked for long ago."""
    ends = letter.created_at + LINK_LASTS[LinkPurpose.ASKED_FOR]
    if user is None or user.disabled_at is not None or now >= ends:
        return None
    token = make_link(installation, transaction, LinkPurpose.ASKED_FOR, user)
    link = f"{letter.data['page']}{token}"
    sealed = installation.vault.seal_secret(letters.SEALED_AS, letter.id, link.encode())
    sealed_secrets.put(transaction, sealed, now=now, expires_at=now + LINK_LASTS[LinkPurpose.ASKED_FOR])
    return link


def _links(
    installation: Installation, transaction: Transaction, these: Sequence[Letter], now: datetime
) -> dict[str, str]:
    """The links that are sealed for these letters, by the letter's id."""
    found = sealed_secrets.load_all(transaction, letters.SEALED_AS, [one.id for one in these], now=now)
    return {owner: installation.vault.unseal_secret(sealed).decode() for owner, sealed in found.items()}


def _good_until(
    installation: Installation, transaction: Transaction, hashes: Sequence[str], now: datetime
) -> Mapping[str, datetime]:
    """Of these links those that open something, and how long, by the hash of their token."""
    accounts = account_links.load_all(transaction, hashes)
    invited = invitations.by_links(transaction, installation.environment, hashes)
    return {
        **{one: link.expires_at for one, link in accounts.items() if link.is_good(now)},
        **{
            one: invitation.link_expires_at or invitation.expires_at
            for one, invitation in invited.items()
            if invitation.link_trouble(now) is None
        },
    }


def _drop(transaction: Transaction, letter: Letter) -> None:
    if letter.kind is LetterKind.ASKED_FOR:  # nobody is told that there was no account
        letters.remove(transaction, [letter.id])
    else:
        letters.not_sent(transaction, letter, problem=LetterTrouble.LINK_VOID.value, again_at=None)


def _save(transaction: Transaction, letter: Letter, problem: Undelivered | None, now: datetime) -> None:
    asked_for = letter.kind is LetterKind.ASKED_FOR
    if asked_for and (problem is None or problem.final):
        letters.remove(transaction, [letter.id])  # as little is kept of it as where there is no account
        return
    if problem is None:
        letters.sent(transaction, letter, now=now)
        return
    again = None if problem.final else next_try(letter.attempts, now)
    letters.not_sent(transaction, letter, problem=problem.value, again_at=again)

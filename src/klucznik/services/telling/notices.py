"""Notices: made of events for every user who wants them, and sent when each wants them, all that is due in one letter.

What a letter says is written by whoever is given as `Writer`: words do not belong here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Protocol

from sqlalchemy import Connection as Transaction

from klucznik.domain.accounts import Digest, User
from klucznik.domain.connections import Connection, Method
from klucznik.domain.environments import Environment
from klucznik.domain.events import Happening, PublicEvent
from klucznik.domain.identifiers import Context
from klucznik.domain.languages import Language
from klucznik.domain.letters import ToSend
from klucznik.domain.notices import DAYS_BEFORE, STALE_AFTER, Notice, due, expiring, is_noticed, next_try, token_ending
from klucznik.domain.token_sunset import TOKEN_SUNSET
from klucznik.errors import InputError
from klucznik.services.installation import Installation
from klucznik.services.telling.mail import Letter, MailServer, Undelivered
from klucznik.storage import certificates, connections, events, letters, notices, sealed_secrets, users

# Longer than sending takes: while a claim holds, nobody else sends the same.
_CLAIMED_FOR = timedelta(minutes=10)
_RECIPIENTS = 20
_PAGE = 500
_SENT_FORGOTTEN_AFTER = timedelta(days=400)
EVENTS_KEPT = timedelta(days=90)

_log = logging.getLogger("klucznik.mail")


@dataclass(frozen=True)
class ToWrite:
    """What a letter is to tell one person.

    Attributes:
        names: what people call the companies that are in it, by NIP.
        language: None: as the installation speaks.
    """

    recipient: str
    notices: tuple[Notice, ...]
    names: Mapping[str, str]
    language: Language | None = None


class Writer(Protocol):
    """Puts into words what people are told."""

    def notices(self, one: ToWrite) -> Letter: ...

    def personal(self, one: ToSend) -> Letter: ...


@dataclass(frozen=True)
class Mail:
    """The way by which letters go out."""

    server: MailServer
    write: Writer


def put_down(
    transaction: Transaction, environment: Environment, found: Sequence[PublicEvent], *, now: datetime
) -> None:
    """Part of the transaction that tells events on: what people are told of them, and when."""
    noticed = [event for event in found if is_noticed(event)]
    if not noticed:
        return
    told = [(user, due(user.digest, now)) for user in users.told(transaction)]
    notices.add(transaction, environment, [(event, user, at) for event in noticed for user, at in told], now=now)


async def send_due(installation: Installation, mail: Mail) -> int:
    """Send what is due; to how many people letters were tried."""
    environment, database, now = installation.environment, installation.database, installation.clock.now()
    if not await database.read(lambda transaction: notices.any_due(transaction, environment, now=now)):
        return 0
    until = now + _CLAIMED_FOR
    found = await database.write(
        lambda transaction: notices.claim(transaction, environment, recipients=_RECIPIENTS, now=now, until=until)
    )
    nips = {one.nip for one in found if one.nip is not None}
    names = await database.read(lambda transaction: connections.names_of(transaction, environment, nips))
    people = await database.read(lambda transaction: users.by_emails(transaction, {one.recipient for one in found}))
    spoken = {email: user.language for email, user in people.items()}
    to_write = [
        ToWrite(whose, tuple(mine), names, spoken.get(whose))
        for whose, mine in groupby(found, lambda one: one.recipient)
    ]
    answers = await mail.server.send([mail.write.notices(one) for one in to_write], now=now)

    def save(transaction: Transaction) -> None:
        for one, problem in zip(to_write, answers, strict=True):
            _save(transaction, one, problem, now)

    await database.write(save)
    for problem in answers:
        if problem is not None:
            # Not to whom: an address is a person's.
            _log.warning("mail_not_sent", extra={"facts": {"problem": problem.value, "host": mail.server.host}})
    return len(to_write)


async def send_everything(installation: Installation, mail: Mail) -> None:
    """Until nothing is due any more."""
    while await send_due(installation, mail):
        pass


def _save(transaction: Transaction, one: ToWrite, problem: Undelivered | None, now: datetime) -> None:
    if problem is None:
        notices.sent(transaction, one.notices, now=now)
        return
    attempts = max(notice.attempts for notice in one.notices)
    again = None if problem.final else next_try(attempts, now)
    notices.not_sent(transaction, one.notices, problem=problem.value, again_at=again)


async def look_for_ends(installation: Installation) -> None:
    """Tell of certificates and tokens that end soon: each once for 90, 60, 30 and 7 days.

    So many queries for a page of certificates, whatever is on it.
    """
    environment, now = installation.environment, installation.clock.now()
    before = now + timedelta(days=DAYS_BEFORE[0])
    last: certificates.Ending | None = None
    while True:

        def read(transaction: Transaction, after: certificates.Ending | None = last) -> list[certificates.Ending]:
            return certificates.ending(transaction, environment, now=now, before=before, after=after, size=_PAGE)

        page = await installation.database.read(read)
        if not page:
            break
        await _tell(
            installation,
            [expiring(one.certificate, one.nip, signs_in=one.signs_in, now=now) for one in page],
            now,
        )
        last = page[-1]
    await _look_for_tokens(installation, now)


async def forget_what_is_old(installation: Installation) -> None:
    """Events and their deliveries after 90 days, letters when they are no news or can come no more, their links."""
    environment, now = installation.environment, installation.clock.now()

    def forget(transaction: Transaction) -> int:
        sealed_secrets.forget_expired(transaction, letters.SEALED_AS, now=now)
        notices.forget(
            transaction, environment, unsent_before=now - STALE_AFTER, sent_before=now - _SENT_FORGOTTEN_AFTER
        )
        return events.forget(transaction, environment, before=now - EVENTS_KEPT, most=_PAGE)

    while await installation.database.write(forget):
        pass


async def _look_for_tokens(installation: Installation, now: datetime) -> None:
    ends_at = TOKEN_SUNSET.ends_at
    last: Context | None = None
    if not timedelta() < ends_at - now <= timedelta(days=DAYS_BEFORE[0]):
        return
    while True:

        def read(transaction: Transaction, after: Context | None = last) -> list[Connection]:
            return connections.page(transaction, installation.environment, size=_PAGE, after=after, method=Method.TOKEN)

        page = await installation.database.read(read)
        if not page:
            return
        await _tell(
            installation, [token_ending(one.id, one.context.value, ends_at=ends_at, now=now) for one in page], now
        )
        last = page[-1].context


async def _tell(installation: Installation, found: Sequence[Happening | None], now: datetime) -> None:
    happenings = [one for one in found if one is not None]
    if happenings:
        await installation.database.write(
            lambda transaction: events.add_once(
                transaction, installation.environment, happenings, actor=installation.owner, now=now
            )
        )


async def how_told(installation: Installation, user_id: str) -> Digest:
    """How a user wants to be told."""
    return (await installation.database.read(lambda transaction: _user(transaction, user_id))).digest


async def tell_how(installation: Installation, user_id: str, digest: Digest) -> None:
    """From now on the user is told so; what is waiting goes out as it was meant to."""

    def commit(transaction: Transaction) -> None:
        there = _user(transaction, user_id)
        if there.digest is not digest:
            users.save(transaction, replace(there, digest=digest), now=installation.clock.now())

    await installation.database.write(commit)


def _user(transaction: Transaction, user_id: str) -> User:
    found = users.load(transaction, user_id)
    if found is None:
        raise InputError("user_unknown")
    return found

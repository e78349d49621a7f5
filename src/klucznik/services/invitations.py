"""Invites companies, takes invitations back, and lets in whoever comes with a link. The way itself is `onboarding`.

A token is made at random, given out once and kept as its SHA-256. Whoever invites sees no more of the company for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection as Transaction

from klucznik.domain.accounts import BrowserSession
from klucznik.domain.audit import Entry, Event
from klucznik.domain.connections import Operator
from klucznik.domain.emails import parse_email
from klucznik.domain.identifiers import Context
from klucznik.domain.invitations import (
    DEVICE_LINK_LASTS,
    USUAL_DAYS,
    Invitation,
    InvitationState,
    LinkTrouble,
    expiry,
    parse_company_name,
)
from klucznik.domain.languages import Language, parse_language
from klucznik.domain.letters import about_invitation
from klucznik.domain.onboarding import Setback, not_signed_in
from klucznik.domain.roles import Action, Principal
from klucznik.domain.values import InvalidValue
from klucznik.errors import AccessDenied, InputError
from klucznik.services import audit
from klucznik.services.accounts.browser_sessions import begin_session, hash_of
from klucznik.services.installation import Installation
from klucznik.services.telling.letters import put_invitations
from klucznik.storage import browser_sessions, connections, invitations, letters, onboardings, operators, sealed_secrets
from klucznik.storage.races import alone

PAGE = 50


@dataclass(frozen=True)
class Invited:
    """An invitation and its link, which is shown this once.

    Attributes:
        token: 256 bits in 43 characters; what the link ends with.
    """

    invitation: Invitation
    token: str = field(repr=False)


@dataclass(frozen=True)
class Found:
    """What a link leads to.

    Attributes:
        trouble: why it opens nothing; None: it opens a browser, once.
        operator: who invites; None: nobody has said who runs this installation.
    """

    invitation: Invitation
    trouble: LinkTrouble | None
    operator: Operator | None


async def invite(
    installation: Installation,
    by: Principal,
    nip: str,
    *,
    name: str | None = None,
    email: str | None = None,
    days: int = USUAL_DAYS,
    note: Callable[[Transaction, str], None] = lambda _, __: None,
) -> Invited:
    """Invite a company.

    Args:
        nip: as people write it.
        days: 1 to 60.
        note: part of the transaction, with the id of what it makes.

    Raises:
        AccessDenied: ``not_allowed``; ``page_unknown``: that company is not theirs.
        InputError: ``nip_malformed``, ``connection_name_malformed``, ``email_malformed``,
            ``invitation_days_out_of_range``; ``invitation_there``: one is on its way;
            ``company_connected``: only who runs the installation invites a company that is connected here.
    """
    token = new_token()
    made = _invitation(installation, by, nip, token, name=name, email=email, days=days, language=Language.POLISH)
    await _add(installation, by, made, note)
    return Invited(made, token)


async def invite_by_mail(
    installation: Installation,
    by: Principal,
    nip: str,
    *,
    page: str,
    email: str | None,
    language: str,
    name: str | None = None,
    days: int = USUAL_DAYS,
    note: Callable[[Transaction, str], None] = lambda _, __: None,
) -> Invitation:
    """Invite a company by a letter: its link goes there and to nobody else.

    Args:
        page: address of the page that the link leads to, to which its token is added.
        language: of the letter.

    Raises:
        As `invite`; InputError: ``language_unknown``, ``invitation_email_missing``.
    """
    token = new_token()
    made = _invitation(installation, by, nip, token, name=name, email=email, days=days, language=language)
    if made.email is None:
        raise InputError("invitation_email_missing")

    def send(transaction: Transaction, invitation_id: str) -> None:
        put_invitations(installation, transaction, [(made, page + token)])
        note(transaction, invitation_id)

    await _add(installation, by, made, send)
    return made


def _invitation(
    installation: Installation,
    by: Principal,
    nip: str,
    token: str,
    *,
    name: str | None,
    email: str | None,
    days: int,
    language: str,
) -> Invitation:
    now = installation.clock.now()
    try:
        invitation = Invitation(
            id=secrets.token_hex(16),
            environment=installation.environment,
            token_hash=hash_of(token),
            context=Context.of_nip(nip),
            created_by=by.id,
            created_at=now,
            expires_at=expiry(days, now),
            name=parse_company_name(name),
            email=parse_email(email) if email and email.strip() else None,
            language=parse_language(language),
        )
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    _check_may(by, invitation.context)
    return invitation


async def _add(
    installation: Installation, by: Principal, invitation: Invitation, note: Callable[[Transaction, str], None]
) -> None:
    def commit(transaction: Transaction) -> None:
        context, now = invitation.context, installation.clock.now()
        lock(installation, transaction)
        # A program's customer names any NIP; what is connected here is another's until its owner has signed.
        if not by.runs_the_installation and connections.of_context(transaction, installation.environment, context):
            raise InputError("company_connected", nip=context.value)
        if invitations.under_way(transaction, installation.environment, [context], now=now):
            raise InputError("invitation_there", nip=context.value)
        invitations.add(transaction, [invitation])
        record(installation, transaction, Event.INVITATION_MADE, [invitation])
        note(transaction, invitation.id)

    await installation.database.write(commit)


async def page_of_invitations(
    installation: Installation,
    by: Principal,
    *,
    size: int = PAGE,
    state: InvitationState | None = None,
    after: str | None = None,
) -> list[Invitation]:
    """A page of those that they may see, the newest first; `after`: id of the last one of the page before.

    Raises:
        AccessDenied: ``not_allowed``.
    """
    _check_may(by, None)
    now, environment = installation.clock.now(), installation.environment

    def read(transaction: Transaction) -> list[Invitation]:
        last = None if after is None else invitations.load(transaction, environment, after)
        whose = None if by.runs_the_installation else by.id
        return invitations.page(transaction, environment, size=size, now=now, created_by=whose, state=state, after=last)

    return await installation.database.read(read)


async def one_invitation(installation: Installation, by: Principal, invitation_id: str) -> Invitation:
    """Raises InputError ``invitation_unknown`` also where it is not theirs; AccessDenied ``not_allowed``."""
    _check_may(by, None)
    return await installation.database.read(lambda transaction: _theirs(installation, transaction, by, invitation_id))


async def revoke(installation: Installation, by: Principal, invitation_id: str) -> Invitation:
    """Take an invitation back: its link and the browsers it has opened lead nowhere. Once more does no harm.

    Raises:
        InputError: ``invitation_unknown``; ``invitation_done``: the company is connected, which stays so.
    """
    _check_may(by, None)

    def commit(transaction: Transaction) -> Invitation:
        there = _theirs(installation, transaction, by, invitation_id)
        if there.done_at is not None:
            raise InputError("invitation_done", nip=there.context.value)
        if there.revoked_at is None:
            invitations.revoke(transaction, there.id, now=installation.clock.now())
            record(installation, transaction, Event.INVITATION_REVOKED, [there])
        return _theirs(installation, transaction, by, invitation_id)

    return await installation.database.write(commit)


async def renew_link(
    installation: Installation, by: Principal, invitation_id: str, *, days: int = USUAL_DAYS
) -> Invited:
    """Another link: the one before and every browser it has opened lead nowhere. What was begun goes on with the new.

    Who comes with it may be somebody else, whoever makes it included: a sign-in to KSeF that rested is forgotten.

    Raises:
        InputError: ``invitation_unknown``, ``invitation_done``, ``invitation_revoked``,
            ``invitation_days_out_of_range``.
    """
    token = new_token()
    return Invited(await _renew(installation, by, invitation_id, token, days=days), token)


async def send_again(
    installation: Installation,
    by: Principal,
    invitation_id: str,
    *,
    page: str,
    email: str | None = None,
    language: str | None = None,
    days: int = USUAL_DAYS,
) -> Invitation:
    """Another link by a letter, as `renew_link`; to nobody else.

    Args:
        page: as of `invite_by_mail`.
        email, language: from now on; None: as before.

    Raises:
        InputError: as `renew_link`; ``email_malformed``, ``language_unknown``, ``invitation_email_missing``.
    """
    try:
        recipient = parse_email(email) if email and email.strip() else None
        speaks = None if language is None else parse_language(language)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    token = new_token()

    def send(transaction: Transaction, there: Invitation) -> None:
        to = recipient or there.email
        if to is None:
            raise InputError("invitation_email_missing")
        invitations.address(transaction, there.id, email=to, language=speaks or there.language)
        renewed = _theirs(installation, transaction, by, there.id)
        put_invitations(installation, transaction, [(renewed, page + token)])

    return await _renew(installation, by, invitation_id, token, days=days, then=send)


async def _renew(
    installation: Installation,
    by: Principal,
    invitation_id: str,
    token: str,
    *,
    days: int,
    then: Callable[[Transaction, Invitation], None] = lambda _, __: None,
) -> Invitation:
    _check_may(by, None)
    try:
        expires_at = expiry(days, installation.clock.now())
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None

    def commit(transaction: Transaction) -> Invitation:
        there = _theirs(installation, transaction, by, invitation_id)
        if there.done_at is not None:
            raise InputError("invitation_done", nip=there.context.value)
        if there.revoked_at is not None:
            raise InputError("invitation_revoked", nip=there.context.value)
        invitations.new_links(transaction, [(there.id, hash_of(token))], expires_at=None)
        invitations.prolong(transaction, there.id, expires_at=expires_at)
        invitations.close_browsers(transaction, there.id)
        begun = onboardings.of_invitation(transaction, installation.environment, there.id)
        if begun is not None:
            _sign_out(installation, transaction, begun.id)
        record(installation, transaction, Event.INVITATION_RENEWED, [there])
        letters.take_back(transaction, [about_invitation(there.id)])
        then(transaction, there)
        return _theirs(installation, transaction, by, invitation_id)

    return await installation.database.write(commit)


async def look(installation: Installation, token: str) -> Found:
    """What a link leads to. Nothing is used up: programs that scan mail follow links too.

    Raises:
        InputError: ``invitation_unknown``.
    """

    def read(transaction: Transaction) -> tuple[Invitation | None, Operator | None]:
        environment = installation.environment
        found = invitations.by_link(transaction, environment, hash_of(token))
        return found, None if found is None else operators.load(transaction, environment)

    invitation, operator = await installation.database.read(read)
    if invitation is None:
        raise InputError("invitation_unknown")
    return Found(invitation, invitation.link_trouble(installation.clock.now()), operator)


def _sign_out(installation: Installation, transaction: Transaction, onboarding_id: str) -> None:
    """Who has signed is signed in no more, nor is anybody whose signature KSeF is checking still."""
    there = onboardings.load(transaction, installation.environment, onboarding_id, to_change=True)
    sealed_secrets.forget(transaction, onboardings.SECRET, onboarding_id)
    if there is not None and there.checking_since is not None:
        dropped = not_signed_in(there, Setback.SIGN_IN_UNFINISHED, None)
        onboardings.save(transaction, dropped, now=installation.clock.now())


async def enter(installation: Installation, token: str) -> tuple[str, BrowserSession]:
    """Open a browser with a link: once.

    Raises:
        InputError: ``invitation_unknown``; ``invitation_link_used``, ``invitation_expired``, ``invitation_revoked``,
            ``invitation_done``.
    """
    found = await look(installation, token)
    _check_good(found.invitation, found.trouble)
    now = installation.clock.now()

    def commit(transaction: Transaction) -> tuple[str, BrowserSession]:
        if not invitations.use_link(transaction, found.invitation, now=now):
            raise InputError("invitation_link_used", nip=found.invitation.context.value)
        record(installation, transaction, Event.INVITATION_OPENED, [found.invitation])
        # Together: a link that is made anew, or taken back, at this moment closes this browser too.
        return begin_session(installation, transaction, invitation_id=found.invitation.id)

    return await installation.database.write(commit)


async def invitation_of(installation: Installation, session: BrowserSession) -> Invitation:
    """The invitation by which a browser is in.

    Raises:
        AccessDenied: ``page_unknown``: it is in by none.
    """
    invitation_id = session.invitation_id
    found = await installation.database.read(
        lambda transaction: (
            None if invitation_id is None else invitations.load(transaction, installation.environment, invitation_id)
        )
    )
    if found is None:
        raise AccessDenied("page_unknown")
    return found


async def link_for_another_device(installation: Installation, session: BrowserSession) -> Invited:
    """A link with which whoever is in goes on elsewhere; good once, for an hour. This browser stays in.

    Raises:
        AccessDenied: ``page_unknown``; ``not_signed_in``: the invitation was taken back or renewed meanwhile.
    """
    there, token = await invitation_of(installation, session), new_token()
    expires_at = min(installation.clock.now() + DEVICE_LINK_LASTS, session.expires_at)

    def commit(transaction: Transaction) -> None:
        invitations.new_links(transaction, [(there.id, hash_of(token))], expires_at=expires_at)
        # Looked at once the invitation is ours: whoever gives it another link then shuts this browser out first.
        if browser_sessions.load(transaction, session.token_hash) is None:
            raise AccessDenied("not_signed_in")
        record(installation, transaction, Event.INVITATION_OTHER_DEVICE, [there])

    await installation.database.write(commit)
    return Invited(await invitation_of(installation, session), token)


def new_token() -> str:
    """256 bits."""
    return secrets.token_urlsafe(32)


def lock(installation: Installation, transaction: Transaction) -> None:
    """Nobody else invites until this transaction ends."""
    alone(transaction, f"invitations {installation.environment}")


def record(installation: Installation, transaction: Transaction, event: Event, these: Sequence[Invitation]) -> None:
    entries = [Entry(event, {"invitation": one.id, "context": one.context.value}) for one in these]
    audit.record(installation, transaction, None, *entries)


def _theirs(installation: Installation, transaction: Transaction, by: Principal, invitation_id: str) -> Invitation:
    found = invitations.load(transaction, installation.environment, invitation_id[:32])
    # A program is told of its own alone: with another link it would go on where somebody has signed already.
    if found is None or not (by.runs_the_installation or found.created_by == by.id):
        raise InputError("invitation_unknown")
    return found


def _check_may(by: Principal, context: Context | None) -> None:
    if not by.may(Action.INVITE):
        raise AccessDenied("not_allowed", action=Action.INVITE.value)
    if context is not None and not by.reaches(context.value):
        raise AccessDenied("page_unknown")


def _check_good(invitation: Invitation, trouble: LinkTrouble | None) -> None:
    nip = invitation.context.value
    if trouble is LinkTrouble.USED:
        raise InputError("invitation_link_used", nip=nip)
    if trouble is LinkTrouble.DONE:
        raise InputError("invitation_done", nip=nip)
    if trouble is LinkTrouble.EXPIRED:
        raise InputError("invitation_expired", nip=nip)
    if trouble is LinkTrouble.REVOKED:
        raise InputError("invitation_revoked", nip=nip)

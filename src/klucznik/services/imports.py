"""Brings many companies at once: a list is read and looked at, then its good lines are carried out after a yes.

A batch is one transaction with the same number of statements however long the list is. What a line makes has an id that
follows from the line, and a line is settled with what it makes: a list that is carried out again goes on where it was.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import TypeVar

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event
from klucznik.domain.bulk_imports import BulkImport, ImportLine, ImportState, LineOutcome, Tally, id_from
from klucznik.domain.connections import Connection, Health, Method, Operator
from klucznik.domain.csv_import import Column, Fault, ImportMethod, Line, read, with_fault
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, ContextType
from klucznik.domain.invitations import USUAL_DAYS, Invitation, InvitationState, expiry
from klucznik.domain.languages import Language, parse_language
from klucznik.domain.letters import DeliveryState, about_invitation
from klucznik.domain.roles import Action, Principal
from klucznik.domain.values import InvalidValue
from klucznik.errors import AccessDenied, InputError
from klucznik.services import audit
from klucznik.services import invitations as inviting
from klucznik.services.accounts.browser_sessions import hash_of
from klucznik.services.connections import new_connection
from klucznik.services.installation import Installation
from klucznik.services.operator import check_can_sign_in, load_operator
from klucznik.services.telling.letters import put_invitations
from klucznik.storage import connections, imports, invitations, letters
from klucznik.storage.races import alone

T = TypeVar("T")

BATCH = 500
PAGE = 50
_LONGEST_FILE_NAME = 100


@dataclass(frozen=True)
class Brought:
    """A list and how far its lines have come."""

    bulk_import: BulkImport
    tally: Tally


@dataclass(frozen=True)
class Link:
    """The link of one invitation that a list has made; shown this once."""

    invitation: Invitation
    token: str = field(repr=False)


async def bring(
    installation: Installation,
    by: Principal,
    content: bytes,
    *,
    file_name: str,
    otherwise: ImportMethod = ImportMethod.INVITATION,
    note: Callable[[Transaction, str], None] = lambda _, __: None,
) -> Brought:
    """Read a list and keep it to be looked at. Nothing is done with its companies yet.

    Args:
        file_name: as the browser said; only the name is kept.
        otherwise: what is to be done with lines that do not say.
        note: part of the transaction, with the id of what it makes.

    Raises:
        AccessDenied: ``not_allowed``.
        InputError: as `csv_import.read`.
    """
    _check_may(by)
    checksums = installation.environment is Environment.PRODUCTION
    try:
        found = await asyncio.to_thread(read, content, otherwise=otherwise, checksums=checksums)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    office = await _office(installation, found)
    now = installation.clock.now()
    fresh = BulkImport(
        id=secrets.token_hex(16),
        environment=installation.environment,
        file_name=_bare_name(file_name),
        state=ImportState.PREVIEW,
        created_by=by.id,
        created_at=now,
    )

    def commit(transaction: Transaction) -> Brought:
        looked: list[Line] = []
        for batch in _batches(found):
            there = _there(installation, transaction, batch)
            looked += [_judged(line, by, office, there) for line in batch]
        imports.add(transaction, fresh, looked)
        note(transaction, fresh.id)
        return Brought(fresh, imports.tally(transaction, fresh.id))

    return await installation.database.write(commit)


async def one_import(installation: Installation, by: Principal, import_id: str) -> Brought:
    """Raises InputError ``import_unknown`` also where it is not theirs; AccessDenied ``not_allowed``."""
    _check_may(by)

    def find(transaction: Transaction) -> Brought:
        found = _theirs(installation, transaction, by, import_id)
        return Brought(found, imports.tally(transaction, found.id))

    return await installation.database.read(find)


async def page_of_imports(
    installation: Installation, by: Principal, *, size: int = PAGE, after: str | None = None
) -> list[BulkImport]:
    """A page of those that they may see, the newest first; `after`: id of the last one of the page before."""
    _check_may(by)

    def find(transaction: Transaction) -> list[BulkImport]:
        last = None if after is None else imports.load(transaction, installation.environment, after)
        created_by = None if by.runs_the_installation else by.id
        return imports.page(transaction, installation.environment, size=size, created_by=created_by, after=last)

    return await installation.database.read(find)


async def page_of_lines(
    installation: Installation,
    by: Principal,
    import_id: str,
    *,
    size: int = PAGE,
    after: int = 0,
    bad: bool | None = None,
) -> list[ImportLine]:
    """A page of the lines by their number; raises as `one_import`."""
    _check_may(by)

    def find(transaction: Transaction) -> list[ImportLine]:
        found = _theirs(installation, transaction, by, import_id)
        return imports.lines(transaction, found.id, size=size, after=after, bad=bad)

    return await installation.database.read(find)


async def carry_out(
    installation: Installation,
    by: Principal,
    import_id: str,
    *,
    days: int = USUAL_DAYS,
    language: str = Language.POLISH,
    by_mail: str | None = None,
) -> Brought:
    """Invite and connect what the good lines name. Whoever asks again, or at the same time, makes nothing twice.

    Args:
        days: how long the invitations are good.
        language: of letters.
        by_mail: the links of those whose line has an address go there: address of the page that links lead to, to
            which their tokens are added. None: links are given out by `links`.

    Raises:
        InputError: ``import_unknown``; ``invitation_days_out_of_range``, ``language_unknown``; ``operator_not_set``,
            ``operator_without_credential``: nobody can be let in.
    """
    found = (await one_import(installation, by, import_id)).bulk_import
    try:
        invited = _Invited(expiry(days, installation.clock.now()), parse_language(language), by_mail)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    operator = await _operator_to_let_in(installation, found)
    while await installation.database.write(
        lambda transaction: _carried_out(installation, transaction, by, found, operator, invited)
    ):
        continue
    await installation.database.write(
        lambda transaction: imports.finish(transaction, found.id, now=installation.clock.now())
    )
    return await one_import(installation, by, import_id)


async def discard(installation: Installation, by: Principal, import_id: str) -> None:
    """Forget a list; what it has made stays. Raises as `one_import`."""
    _check_may(by)

    def commit(transaction: Transaction) -> None:
        imports.remove(transaction, _theirs(installation, transaction, by, import_id).id)

    await installation.database.write(commit)


async def links(installation: Installation, by: Principal, import_id: str) -> list[Link]:
    """A link for each company that a list has invited and that has not opened one yet. Those given out before are void.

    Those that have theirs by e-mail, or soon will, are left out: theirs stays good.

    Raises:
        InputError: ``import_unknown``.
    """
    _check_may(by)
    now = installation.clock.now()

    def commit(transaction: Transaction) -> list[Link]:
        found = _theirs(installation, transaction, by, import_id)
        invited = imports.numbers(transaction, found.id, LineOutcome.INVITED)
        made: list[Link] = []
        for batch in _batches([id_from(found.id, number) for number in invited]):
            these = invitations.of_ids(transaction, installation.environment, batch)
            written = letters.deliveries(transaction, [about_invitation(one.id) for one in these])
            failed = {about for about, one in written.items() if one.state is DeliveryState.FAILED}
            mailed = written.keys() - failed
            fresh = [
                Link(one, inviting.new_token())
                for one in these
                if one.state(now) is InvitationState.OPEN and about_invitation(one.id) not in mailed
            ]
            hashes = [(one.invitation.id, hash_of(one.token)) for one in fresh]
            invitations.new_links(transaction, hashes, expires_at=None)
            made += fresh
        if made:
            nips = [one.invitation.context.value for one in made]
            entry = Entry(Event.IMPORT_LINKS_MADE, {"import": found.id, "contexts": nips})
            audit.record(installation, transaction, None, entry)
        return made

    return await installation.database.write(commit)


@dataclass(frozen=True)
class _There:
    """Companies that nothing more is to be done for."""

    connected: set[str]
    invited: set[str]


@dataclass(frozen=True)
class _Office:
    """The operator as far as permissions can be granted to it.

    Attributes:
        lacks: what it lacks for that.
    """

    operator: Operator | None
    lacks: InputError | None = None


@dataclass(frozen=True)
class _Invited:
    """What is the same for all invitations of a list."""

    expires_at: datetime
    language: Language
    by_mail: str | None


def _carried_out(
    installation: Installation,
    transaction: Transaction,
    by: Principal,
    bulk_import: BulkImport,
    operator: Operator | None,
    invited_as: _Invited,
) -> int:
    """Carry out the next lines; how many there were."""
    alone(transaction, f"import {bulk_import.id}")
    inviting.lock(installation, transaction)
    lines = imports.to_carry_out(transaction, bulk_import.id, size=BATCH)
    if not lines:
        return 0
    there = _there(installation, transaction, lines)
    new = [line for line in lines if _is_new(line, there)]
    to_invite, with_links = [], []
    for line in new:
        if line.method is not ImportMethod.INVITATION:
            continue
        token = inviting.new_token()  # given to nobody but by a letter; `links` makes others
        to_invite.append(_invitation(installation, bulk_import, line, by, invited_as, token))
        if invited_as.by_mail is not None and line.email is not None:
            with_links.append((to_invite[-1], invited_as.by_mail + token))
    asked = [line for line in new if line.method is ImportMethod.PERMISSION]
    awaited: list[Connection] = []
    if to_invite:
        invitations.add(transaction, to_invite)
        inviting.record(installation, transaction, Event.INVITATION_MADE, to_invite)
        put_invitations(installation, transaction, with_links)
    if operator is not None and asked:
        fresh = [_connection(installation, bulk_import, line) for line in asked]
        awaited = connections.add_unless_there(transaction, fresh, now=installation.clock.now())
        facts = {"operator": operator.nip, "control": "administrator", "import": bulk_import.id}
        entries = [Entry(Event.CONNECTION_BY_PERMISSION, {"context": one.context.value, **facts}) for one in awaited]
        if entries:
            audit.record(installation, transaction, operator.subject, *entries)
    invited = {one.context.value for one in to_invite}
    connected = {one.context.value for one in awaited}
    imports.settle(transaction, bulk_import.id, [(line.number, _outcome(line, invited, connected)) for line in lines])
    return len(lines)


def _outcome(line: Line, invited: set[str], connected: set[str]) -> LineOutcome:
    if line.nip in invited:
        return LineOutcome.INVITED
    return LineOutcome.AWAITED if line.nip in connected else LineOutcome.SKIPPED


def _is_new(line: Line, there: _There) -> bool:
    if line.nip in there.connected:
        return False
    return line.method is ImportMethod.PERMISSION or line.nip not in there.invited


def _invitation(
    installation: Installation,
    bulk_import: BulkImport,
    line: Line,
    by: Principal,
    invited_as: _Invited,
    token: str,
) -> Invitation:
    return Invitation(
        id=id_from(bulk_import.id, line.number),
        environment=installation.environment,
        token_hash=hash_of(token),
        context=_context(line),
        created_by=by.id,
        created_at=installation.clock.now(),
        expires_at=invited_as.expires_at,
        name=line.name,
        email=line.email,
        language=invited_as.language,
    )


def _connection(installation: Installation, bulk_import: BulkImport, line: Line) -> Connection:
    fresh = new_connection(installation, _context(line), Method.PERMISSION, None, name=line.name)
    return replace(fresh, id=id_from(bulk_import.id, line.number), health=Health.AWAITING_GRANT)


def _there(installation: Installation, transaction: Transaction, lines: Sequence[Line]) -> _There:
    contexts = [_context(line) for line in lines if line.nip is not None]
    environment, now = installation.environment, installation.clock.now()
    return _There(
        connections.among(transaction, environment, contexts),
        invitations.under_way(transaction, environment, contexts, now=now),
    )


def _judged(line: Line, by: Principal, office: _Office, there: _There) -> Line:
    """The line with what only we know of it. Of companies that are not theirs nobody is told anything."""
    nip = line.nip
    if nip is None:
        return line
    if not by.reaches(nip):
        return with_fault(line, Fault(Column.NIP, "import_company_not_theirs", {"nip": nip}))
    if nip in there.connected:
        line = with_fault(line, Fault(Column.NIP, "company_connected", {"nip": nip}))
    if line.method is ImportMethod.INVITATION and nip in there.invited:
        line = with_fault(line, Fault(Column.NIP, "invitation_there", {"nip": nip}))
    if line.method is ImportMethod.PERMISSION:
        fault = _against_permission(nip, by, office)
        return line if fault is None else with_fault(line, fault)
    return line


def _against_permission(nip: str, by: Principal, office: _Office) -> Fault | None:
    # That a company has let the operator in proves nothing of who brings its NIP (`services.control`).
    if not by.runs_the_installation:
        return Fault(Column.METHOD, "import_needs_signature", {"nip": nip})
    if office.lacks is not None:
        said = {name: value for name, value in office.lacks.data.items() if value is not None}
        return Fault(Column.METHOD, office.lacks.reason, said)
    if office.operator is not None and office.operator.nip == nip:
        return Fault(Column.NIP, "operator_is_the_company", {"nip": nip})
    return None


async def _office(installation: Installation, lines: Sequence[Line]) -> _Office:
    if all(line.method is not ImportMethod.PERMISSION for line in lines):
        return _Office(None)
    try:
        operator = await load_operator(installation)
        await check_can_sign_in(installation, operator)
    except InputError as error:
        return _Office(None, error)
    return _Office(operator)


async def _operator_to_let_in(installation: Installation, bulk_import: BulkImport) -> Operator | None:
    """None where no company is to let anybody in."""
    wanted = await installation.database.read(
        lambda transaction: imports.is_to_carry_out(transaction, bulk_import.id, ImportMethod.PERMISSION)
    )
    if not wanted:
        return None
    operator = await load_operator(installation)
    await check_can_sign_in(installation, operator)
    return operator


def _context(line: Line) -> Context:
    return Context(ContextType.NIP, str(line.nip))


def _theirs(installation: Installation, transaction: Transaction, by: Principal, import_id: str) -> BulkImport:
    found = imports.load(transaction, installation.environment, import_id[:32])
    if found is None or not (by.runs_the_installation or found.created_by == by.id):
        raise InputError("import_unknown")
    return found


def _check_may(by: Principal) -> None:
    if not by.may(Action.IMPORT):
        raise AccessDenied("not_allowed", action=Action.IMPORT.value)


def _batches(all_of_them: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(all_of_them), BATCH):
        yield all_of_them[start : start + BATCH]


def _bare_name(file_name: str) -> str:
    """Without its directories, and of characters that can be printed: it is shown and never opened."""
    name = PurePosixPath(PureWindowsPath(file_name[-1000:]).as_posix()).name
    return "".join(character for character in name if character.isprintable())[:_LONGEST_FILE_NAME] or "–"

"""A company's page: its connection and all that belongs to it, read in one transaction; and small changes to it.

Everything on it has a bound, however many companies there are, and however many a person signs for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Event
from klucznik.domain.certificates import PAIR, HeldCertificate
from klucznik.domain.connections import Connection, Method, parse_connection_name
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.issuance import Issuance
from klucznik.domain.permissions import OwnPermission
from klucznik.domain.programs import parse_program
from klucznik.domain.renewal import RenewalPlan, renewal_plan
from klucznik.domain.values import InvalidValue
from klucznik.errors import InputError
from klucznik.services.connections import ConnectionStatus, Programs, find_connection, record, statuses
from klucznik.services.installation import Installation
from klucznik.services.operator import load_operator, sign_in_as_operator
from klucznik.services.renewal.renewals import FAILURES_COUNTED, not_before
from klucznik.services.sign_in import sign_in, sign_out
from klucznik.services.status import IssuanceStatus
from klucznik.services.ways import way_for
from klucznik.storage import certificates, connections, issuances, ksef_tokens, program_uses
from klucznik.storage.races import alone

ISSUANCES = 5
OTHERS = 20
# What has ended is shown for a while, so that nobody looks for it in vain.
_SHOWN_AFTER_ITS_END = timedelta(days=90)


@dataclass(frozen=True)
class RenewalNews:
    """How it stands with the renewal of the subject's certificates.

    Attributes:
        running: the subject's issuance that has not ended.
        last: the latest renewal.
        not_before: when the next may be tried, after KSeF has rejected one.
    """

    plan: RenewalPlan
    running: Issuance | None
    last: Issuance | None
    not_before: datetime | None


@dataclass(frozen=True)
class Company:
    """A connection with all that its page shows.

    Attributes:
        held: the subject's certificates in the vault that serve, or have ended a short while ago.
        others: further companies for which the same subject signs in, `OTHERS` at most.
        more_others: whether there are more.
        roads: the latest issuances for this company.
    """

    status: ConnectionStatus
    held: tuple[Programs, ...]
    others: tuple[Connection, ...]
    more_others: bool
    token_reference: str | None
    renewal: RenewalNews | None
    roads: tuple[IssuanceStatus, ...]

    @property
    def connection(self) -> Connection:
        return self.status.connection


async def company(installation: Installation, context: Context) -> Company:
    """All that a company's page shows.

    Raises:
        InputError: ``not_connected``.
    """
    environment, now = installation.environment, installation.clock.now()

    def read(transaction: Transaction) -> Company:
        connection = connections.of_context(transaction, environment, context)
        if connection is None:
            raise InputError("not_connected", nip=context.value)
        subject = connection.subject if connection.method.is_by_certificate else None
        (status,) = statuses(transaction, [connection], now)
        held = [] if subject is None else certificates.of_subject(transaction, environment, subject)
        shown = [one for one in held if one.revoked_at is None and now < one.valid_to + _SHOWN_AFTER_ITS_END]
        shown.sort(key=lambda one: PAIR.index(one.type))
        uses = program_uses.of_certificates(transaction, environment, [one.serial_number for one in shown])
        others = [] if subject is None else _others(transaction, connection, subject)
        token = ksef_tokens.load(transaction, connection.id)
        roads = issuances.of_context(transaction, environment, context, most=ISSUANCES)
        enrollments = issuances.enrollments_of_many(transaction, [one.id for one in roads])
        return Company(
            status=status,
            held=tuple(Programs(one, uses.get(one.serial_number, ())) for one in shown),
            others=tuple(others[:OTHERS]),
            more_others=len(others) > OTHERS,
            token_reference=None if token is None else token.reference_number,
            renewal=None if subject is None else _renewal(transaction, installation, subject, held),
            roads=tuple(IssuanceStatus(one, tuple(enrollments.get(one.id, ()))) for one in roads),
        )

    return await installation.database.read(read)


def _others(transaction: Transaction, connection: Connection, subject: Subject) -> list[Connection]:
    found = connections.of_subject(transaction, connection.environment, subject, most=OTHERS + 2)
    return [one for one in found if one.id != connection.id]


def _renewal(
    transaction: Transaction, installation: Installation, subject: Subject, held: list[HeldCertificate]
) -> RenewalNews | None:
    plan = renewal_plan(held, installation.clock.now())
    if plan is None:
        return None
    renewals = issuances.renewals(transaction, installation.environment, subject, most=FAILURES_COUNTED)
    running = issuances.running(transaction, installation.environment, subject)
    return RenewalNews(plan, running, renewals[0] if renewals else None, not_before(renewals))


async def rename(installation: Installation, context: Context, name: str) -> Connection:
    """Say what people call a company; an empty name takes the one it had away.

    Raises:
        InputError: ``not_connected``, ``connection_name_malformed``.
    """
    try:
        plain = parse_connection_name(name) if name.strip() else None
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None

    def commit(transaction: Transaction) -> Connection:
        alone(transaction, f"connection {installation.environment} {context}")
        there = connections.of_context(transaction, installation.environment, context)
        if there is None:
            raise InputError("not_connected", nip=context.value)
        saved = connections.save(transaction, replace(there, name=plain), now=installation.clock.now())
        record(installation, transaction, Event.CONNECTION_CHANGED, saved, name=saved.name)
        return saved

    return await installation.database.write(commit)


async def held_for(installation: Installation, context: Context, serial_number: str) -> Programs:
    """A certificate of the subject that signs in for a company.

    Raises:
        InputError: ``not_connected``, ``certificate_not_held``.
    """
    connection = await find_connection(installation, context)
    environment = installation.environment

    def read(transaction: Transaction) -> Programs | None:
        one = certificates.by_serial(transaction, environment, serial_number)
        if one is None or one.subject != connection.subject or not connection.method.is_by_certificate:
            return None
        return Programs(
            one, program_uses.of_certificates(transaction, environment, [serial_number]).get(serial_number, ())
        )

    found = await installation.database.read(read)
    if found is None:
        raise InputError("certificate_not_held", serial=serial_number[:16], nip=context.value)
    return found


async def mark_program(
    installation: Installation, context: Context, serial_number: str, program: str, *, uses: bool
) -> None:
    """Remember that a program uses a certificate, or that it does no more.

    Raises:
        InputError: ``program_name_malformed``; as `held_for`.
    """
    held = (await held_for(installation, context, serial_number)).certificate
    try:
        name = parse_program(program)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None
    environment, now = installation.environment, installation.clock.now()

    def commit(transaction: Transaction) -> None:
        if uses:
            program_uses.record(transaction, environment, held.serial_number, name, now=now)
        else:
            program_uses.forget(transaction, environment, held.serial_number, name)

    await installation.database.write(commit)


async def permissions_in_ksef(installation: Installation, context: Context) -> tuple[OwnPermission, ...]:
    """What whoever signs in for a company may do there, as KSeF lists it now.

    Raises:
        InputError: ``not_connected``, ``no_credential``; of a permission ``operator_not_set``,
            ``operator_without_credential``.
        KlucznikError: KSeF does not let it in, or does not answer.
    """
    connection = await find_connection(installation, context)
    if connection.method is Method.PERMISSION:
        signed_in = await sign_in_as_operator(installation, await load_operator(installation), context)
    else:
        signed_in = await sign_in(installation, context, await way_for(installation, context, None))
    try:
        return tuple([one async for one in signed_in.session.permissions.own() if one.active])
    finally:
        await sign_out(signed_in)

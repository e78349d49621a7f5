"""KSeF certificates whose private key is in the vault."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, case, exists, func, insert, or_, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import FromClause

from klucznik.domain.certificates import EXPIRES_WITHIN, CertificateType, Expiry, HeldCertificate, Origin
from klucznik.domain.connections import Method
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.sealed import ON_TOKEN
from klucznik.storage import connection_dates
from klucznik.storage.schema import certificates, connections, private_keys

# With each certificate, how its key is kept.
_HELD = select(certificates, private_keys.c.algorithm.label("key_kept")).join(private_keys)

# Made once, see `issuances`.
_ADD = insert(certificates)
_ONE = and_(certificates.c.environment == bindparam("where"), certificates.c.serial_number == bindparam("number"))
_BY_SERIAL = _HELD.where(_ONE)
_MARK = update(certificates).where(_ONE)
_OF_SUBJECT = _HELD.where(
    certificates.c.environment == bindparam("where"),
    certificates.c.subject_type == bindparam("kind"),
    certificates.c.subject_value == bindparam("of"),
).order_by(certificates.c.valid_from.desc(), certificates.c.created_at.desc())


def add(connection: Connection, certificate: HeldCertificate, *, now: datetime) -> None:
    row = {
        "environment": certificate.environment.value,
        "serial_number": certificate.serial_number,
        "subject_type": certificate.subject.type.value,
        "subject_value": certificate.subject.value,
        "type": certificate.type.value,
        "name": certificate.name,
        "common_name": certificate.common_name,
        "valid_from": certificate.valid_from,
        "valid_to": certificate.valid_to,
        "der": certificate.der,
        "key_id": certificate.key_id,
        "origin": certificate.origin.value,
        "verified_at": certificate.verified_at,
        "revoked_at": certificate.revoked_at,
        "created_at": now,
    }
    connection.execute(_ADD, row)
    if certificate.usable(certificate.valid_from):
        _move_dates(connection, certificate.environment, certificate.subject)


def by_serial(connection: Connection, environment: Environment, serial_number: str) -> HeldCertificate | None:
    row = connection.execute(_BY_SERIAL, {"where": environment.value, "number": serial_number}).one_or_none()
    return None if row is None else _certificate(row)


def of_subject(connection: Connection, environment: Environment, subject: Subject) -> list[HeldCertificate]:
    """Newest first."""
    theirs = {"where": environment.value, "kind": subject.type.value, "of": subject.value}
    rows = connection.execute(_OF_SUBJECT, theirs)
    return [_certificate(row) for row in rows]


def of_subjects(
    connection: Connection, environment: Environment, subjects: Collection[Subject]
) -> dict[Subject, list[HeldCertificate]]:
    """The certificates of several subjects in one query, each subject's newest first."""
    found: dict[Subject, list[HeldCertificate]] = {subject: [] for subject in subjects}
    if not found:
        return found
    # Kind by kind, as the index is; two columns in one list are a scan to SQLite, and so is a kind with an empty list.
    theirs = [
        and_(
            certificates.c.environment == environment.value,
            certificates.c.subject_type == kind.value,
            certificates.c.subject_value.in_([subject.value for subject in found if subject.type is kind]),
        )
        for kind in SubjectType
        if any(subject.type is kind for subject in found)
    ]
    rows = connection.execute(
        _HELD.where(or_(*theirs)).order_by(certificates.c.valid_from.desc(), certificates.c.created_at.desc())
    )
    for certificate in map(_certificate, rows):
        found[certificate.subject].append(certificate)
    return found


def page(
    connection: Connection,
    environment: Environment,
    *,
    after: str | None = None,
    size: int = 1000,
    subject: Subject | None = None,
) -> list[HeldCertificate]:
    """Everything in the vault for an environment, or for one subject there, paged by serial number."""
    query = _HELD.where(certificates.c.environment == environment.value)
    if subject is not None:
        kind, value = subject.type.value, subject.value
        query = query.where(certificates.c.subject_type == kind, certificates.c.subject_value == value)
    if after is not None:
        query = query.where(certificates.c.serial_number > after)
    rows = connection.execute(query.order_by(certificates.c.serial_number).limit(size))
    return [_certificate(row) for row in rows]


def subjects(
    connection: Connection,
    environment: Environment,
    *,
    ending_before: datetime | None = None,
    after: Subject | None = None,
    size: int = 1000,
) -> list[Subject]:
    """Subjects with certificates that are proved and not revoked, paged; `after` is the last one of the page before.

    Args:
        ending_before: only those of which, for some type, the certificate that lasts longest ends before this.
    """
    kind, value = certificates.c.subject_type, certificates.c.subject_value
    proved = certificates.c.verified_at.is_not(None) | (certificates.c.origin == Origin.IMPORTED.value)
    each = (
        select(kind, value, func.max(certificates.c.valid_to).label("valid_to"))
        .where(certificates.c.environment == environment.value, certificates.c.revoked_at.is_(None), proved)
        .group_by(kind, value, certificates.c.type)
        .subquery()
    )
    query = select(each.c.subject_type, each.c.subject_value).distinct()
    if ending_before is not None:
        query = query.where(each.c.valid_to < ending_before)
    if after is not None:
        query = query.where(tuple_(each.c.subject_type, each.c.subject_value) > (after.type.value, after.value))
    rows = connection.execute(query.order_by(each.c.subject_type, each.c.subject_value).limit(size))
    return [Subject(SubjectType(row.subject_type), row.subject_value) for row in rows]


def able_to_sign_in(
    connection: Connection, environment: Environment, *, now: datetime, most: int, subject: Subject | None = None
) -> list[Subject]:
    """Subjects with an Authentication certificate that can be used now, at most so many.

    Args:
        subject: only this one.
    """
    kind, value = certificates.c.subject_type, certificates.c.subject_value
    query = select(kind, value).distinct()
    query = query.where(
        certificates.c.environment == environment.value,
        certificates.c.type == CertificateType.AUTHENTICATION.value,
        certificates.c.revoked_at.is_(None),
        certificates.c.valid_from <= now,
        certificates.c.valid_to > now,
        certificates.c.verified_at.is_not(None) | (certificates.c.origin == Origin.IMPORTED.value),
    )
    if subject is not None:
        query = query.where(kind == subject.type.value, value == subject.value)
    rows = connection.execute(query.order_by(kind, value).limit(most))
    return [Subject(SubjectType(row.subject_type), row.subject_value) for row in rows]


class Ending(NamedTuple):
    """A certificate that ends, a company that is connected by it, and whether something signs in for its successor.

    Attributes:
        nip: None: no company is connected by it.
    """

    certificate: HeldCertificate
    nip: str | None
    signs_in: bool


def ending(
    connection: Connection,
    environment: Environment,
    *,
    now: datetime,
    before: datetime,
    after: Ending | None,
    size: int = 500,
) -> list[Ending]:
    """Certificates in service that end before a moment, once for each company; of each type the one that lasts longest.

    Args:
        after: the last one of the page before.
    """
    longer, signing = certificates.alias("longer"), certificates.alias("signing")
    serial, company = certificates.c.serial_number, func.coalesce(connections.c.context_value, "")
    signs_in = exists().where(
        _same_subject(signing),
        signing.c.type == CertificateType.AUTHENTICATION.value,
        signing.c.revoked_at.is_(None),
        signing.c.valid_from <= now,
        signing.c.valid_to > now,
        _proved(signing),
    )
    query = (
        _HELD.add_columns(company.label("company"), signs_in.label("can"))
        .outerjoin(
            connections,
            and_(
                connections.c.environment == certificates.c.environment,
                connections.c.subject_type == certificates.c.subject_type,
                connections.c.subject_value == certificates.c.subject_value,
                connections.c.method.in_([one.value for one in Method if one.is_by_certificate]),
            ),
        )
        .where(
            certificates.c.environment == environment.value,
            certificates.c.revoked_at.is_(None),
            certificates.c.valid_to > now,
            certificates.c.valid_to <= before,
            _proved(certificates),
            ~exists().where(
                _same_subject(longer),
                longer.c.type == certificates.c.type,
                longer.c.revoked_at.is_(None),
                longer.c.valid_to > certificates.c.valid_to,
                _proved(longer),
            ),
        )
    )
    if after is not None:
        query = query.where(tuple_(serial, company) > (after.certificate.serial_number, after.nip or ""))
    rows = connection.execute(query.order_by(serial, company).limit(size))
    return [Ending(_certificate(row), row.company or None, bool(row.can)) for row in rows]


def _same_subject(other: FromClause) -> ColumnElement[bool]:
    names = ("environment", "subject_type", "subject_value")
    return and_(*(other.c[name] == certificates.c[name] for name in names))


def _proved(table: FromClause) -> ColumnElement[bool]:
    return table.c.verified_at.is_not(None) | (table.c.origin == Origin.IMPORTED.value)


def count_expiring(
    connection: Connection, environment: Environment, *, now: datetime
) -> dict[tuple[CertificateType, Expiry], int]:
    """How many run out how soon. Of each subject and type the one that lasts longest counts, revoked ones never."""
    last = (
        select(certificates.c.type, func.max(certificates.c.valid_to).label("valid_to"))
        .where(certificates.c.environment == environment.value, certificates.c.revoked_at.is_(None))
        .group_by(certificates.c.subject_type, certificates.c.subject_value, certificates.c.type)
        .subquery()
    )
    soon = case(
        *((last.c.valid_to <= now + within, expiry.value) for expiry, within in EXPIRES_WITHIN.items()),
        else_=Expiry.LATER.value,
    ).label("soon")
    rows = connection.execute(select(last.c.type, soon, func.count().label("number")).group_by(last.c.type, soon))
    return {(CertificateType(row.type), Expiry(row.soon)): row.number for row in rows}


def mark_verified(connection: Connection, environment: Environment, serial_number: str, *, now: datetime) -> None:
    _mark(connection, environment, serial_number, verified_at=now)


def mark_revoked(connection: Connection, environment: Environment, serial_number: str, *, now: datetime) -> None:
    _mark(connection, environment, serial_number, revoked_at=now)


def _mark(connection: Connection, environment: Environment, serial_number: str, **values: datetime) -> None:
    connection.execute(_MARK, {"where": environment.value, "number": serial_number, **values})
    marked = by_serial(connection, environment, serial_number)
    if marked is not None:
        _move_dates(connection, environment, marked.subject)


def _move_dates(connection: Connection, environment: Environment, subject: Subject) -> None:
    """Connections that rest on the subject's certificates have other dates now."""
    connection_dates.move(connection, environment, subject, of_subject(connection, environment, subject))


def _certificate(row: Row[Any]) -> HeldCertificate:
    return HeldCertificate(
        environment=Environment(row.environment),
        serial_number=row.serial_number,
        subject=Subject(SubjectType(row.subject_type), row.subject_value),
        type=CertificateType(row.type),
        name=row.name,
        common_name=row.common_name,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        der=row.der,
        key_id=row.key_id,
        key_on_token=row.key_kept == ON_TOKEN,
        origin=Origin(row.origin),
        verified_at=row.verified_at,
        revoked_at=row.revoked_at,
    )

"""Our tables as lines of JSON and back, the same for SQLite and PostgreSQL. Nothing is decrypted here.

Left out: leases (who works now), logins, sessions of browsers and documents to sign (they end by themselves), links
that open an account once (a used one would be good again) or are on their way in a letter, wrong guesses of passwords.
Data keys are told apart, for they are rewrapped.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    LargeBinary,
    MetaData,
    Select,
    Table,
    func,
    insert,
    literal,
    select,
    text,
    union,
    update,
)

from klucznik.domain.identifiers import Subject
from klucznik.domain.issuance import EnrollmentState
from klucznik.domain.sealed import WrappedDataKey
from klucznik.errors import InputError
from klucznik.storage.columns import UtcDateTime
from klucznik.storage.database import make_tables
from klucznik.storage.letters import SEALED_AS as IN_A_LETTER
from klucznik.storage.onboardings import SECRET
from klucznik.storage.schema import (
    certificates,
    data_keys,
    enrollments,
    issuances,
    leases,
    logins,
    private_keys,
    restored_subjects,
    signature_requests,
)
from klucznik.storage.schema_people import (
    account_links,
    failed_sign_ins,
    idempotency_keys,
    invitations,
    sealed_secrets,
    web_sessions,
)
from klucznik.storage.tables import HEAD, metadata

_PAGE = 500
_APART = (
    data_keys,
    leases,
    logins,
    signature_requests,
    web_sessions,
    account_links,
    failed_sign_ins,
    idempotency_keys,
)
# What a person would miss, and by what its rows are known.
_COUNTED = {private_keys: "id", certificates: "serial_number", issuances: "id"}


def lines(
    connection: Connection, rewrap: Callable[[list[str]], Sequence[WrappedDataKey]], now: datetime
) -> Iterator[str]:
    """Everything that is kept, as it stands in this transaction.

    Args:
        rewrap: gives the data keys of these ids as they shall stand in the dump.
    """
    ids = list(connection.execute(select(data_keys.c.id).order_by(data_keys.c.created_at, data_keys.c.id)).scalars())
    keys = [[key.data_key_id, key.master_key_id, _base64(key.nonce), _base64(key.ciphertext)] for key in rewrap(ids)]
    yield _line({"revision": HEAD, "made_at": now.isoformat(), "data_keys": keys})
    rows = 0
    for table in _kept():
        yield _line({"table": table.name, "columns": [[column.name, _kind(column)] for column in table.columns]})
        kinds = [_kind(column) for column in table.columns]
        found = connection.execute(_rows_of(table), execution_options={"yield_per": _PAGE})
        for row in found:
            rows += 1
            yield _line([_out(kind, value) for kind, value in zip(kinds, row, strict=True)])
    yield _line({"end": rows})


def _rows_of(table: Table) -> Select[Any]:
    query = select(table).order_by(*table.primary_key.columns)
    if table is sealed_secrets:
        return query.where(table.c.kind.notin_((SECRET, IN_A_LETTER)))  # the logins of onboardings are logins
    return query


def _kept() -> list[Table]:
    return [table for table in metadata.sorted_tables if table not in _APART]


def _kind(column: Column[Any]) -> str:
    if isinstance(column.type, LargeBinary):
        return "bytes"
    if isinstance(column.type, UtcDateTime):
        return "time"
    return "json" if isinstance(column.type, JSON) else "plain"


def _out(kind: str, value: Any) -> Any:
    if value is None or kind in ("plain", "json"):
        return value
    return _base64(value) if kind == "bytes" else value.isoformat()


def _in(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "bytes":
        return base64.b64decode(value, validate=True)
    return datetime.fromisoformat(value) if kind == "time" else value


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _line(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Page:
    """Some rows of one table."""

    table: str
    kinds: tuple[str, ...]
    rows: list[dict[str, Any]] = field(repr=False)


@dataclass
class Dump:
    """A dump that is being read.

    Raises:
        InputError: ``backup_damaged``, ``backup_of_newer_release``.
    """

    revision: str
    made_at: datetime
    data_keys: tuple[WrappedDataKey, ...]
    _lines: Iterator[bytes] = field(repr=False)

    @classmethod
    def read(cls, given: Iterable[bytes]) -> Dump:
        left = iter(given)
        try:
            head = json.loads(next(left))
            keys = tuple(
                WrappedDataKey(one, master, base64.b64decode(nonce), base64.b64decode(sealed))
                for one, master, nonce, sealed in head["data_keys"]
            )
            return cls(head["revision"], datetime.fromisoformat(head["made_at"]), keys, left)
        except (StopIteration, ValueError, KeyError, TypeError):
            raise InputError("backup_damaged") from None

    def pages(self) -> Iterator[Page]:
        """All rows; the last page has come only when the whole dump has been found good."""
        page: Page | None = None
        names: list[str] = []
        rows, end = 0, None
        try:
            for line in self._lines:
                read = json.loads(line)
                if isinstance(read, list):
                    if page is None:
                        raise InputError("backup_damaged")
                    rows += 1
                    values = (_in(kind, value) for kind, value in zip(page.kinds, read, strict=True))
                    page.rows.append(dict(zip(names, values, strict=True)))
                    if len(page.rows) == _PAGE:
                        yield page
                        page = Page(page.table, page.kinds, [])
                    continue
                if page is not None and page.rows:
                    yield page
                end = read.get("end")
                if end is None:
                    names = [name for name, _ in read["columns"]]
                    page = Page(read["table"], tuple(kind for _, kind in read["columns"]), [])
        except (ValueError, KeyError, TypeError):
            raise InputError("backup_damaged") from None
        if end != rows:
            raise InputError("backup_damaged")


@dataclass
class Comparison:
    """What is in the tables now and what of it the dump has too, by table."""

    here: dict[str, int]
    also_there: dict[str, int]
    there: dict[str, int]

    def lost(self, table: str) -> int:
        return self.here[table] - self.also_there[table]

    @property
    def empty(self) -> bool:
        return not any(self.here.values())


def compare(connection: Connection, dump: Dump) -> Comparison:
    """Read the whole dump and change nothing."""
    here = {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in _COUNTED}
    found = Comparison(here, dict.fromkeys(here, 0), dict.fromkeys(here, 0))
    known = {table.name: table.c[key] for table, key in _COUNTED.items()}
    for page in dump.pages():
        if (column := known.get(page.table)) is None:
            continue
        ids = [row[column.name] for row in page.rows]
        found.there[page.table] += len(ids)
        same = select(func.count()).select_from(column.table).where(column.in_(ids))
        found.also_there[page.table] += connection.execute(same).scalar_one()
    return found


def busy(connection: Connection, now: datetime) -> bool:
    """Whether somebody works for a subject at this moment."""
    return connection.execute(select(leases.c.token).where(leases.c.expires_at > now).limit(1)).first() is not None


def replace_everything(connection: Connection, dump: Dump, keys: Sequence[WrappedDataKey], now: datetime) -> None:
    """Put the dump in the place of all that is here.

    Args:
        keys: the data keys of the dump, as they shall stand here.

    Raises:
        InputError: ``backup_of_newer_release``, ``backup_damaged``.
    """
    # Tokens of leases never come twice, whatever is put back: a process that is frozen now must not wake up as holder.
    connection.execute(text("CREATE TEMPORARY TABLE kept_leases AS SELECT * FROM leases"))
    metadata.drop_all(connection)
    connection.execute(text("DROP TABLE alembic_version"))
    tables = _tables_of(connection, dump.revision)
    for key in keys:
        connection.execute(
            insert(data_keys).values(
                id=key.data_key_id,
                master_key_id=key.master_key_id,
                nonce=key.nonce,
                ciphertext=key.ciphertext,
                created_at=now,
            )
        )
    for page in dump.pages():
        if page.table not in tables:
            raise InputError("backup_damaged")
        connection.execute(insert(tables[page.table]), page.rows)
    if dump.revision != HEAD:
        from klucznik.storage.migrate import upgrade

        upgrade(connection, from_revision=dump.revision, file="")
    connection.execute(text("INSERT INTO leases SELECT * FROM kept_leases"))
    connection.execute(text("DROP TABLE kept_leases"))
    connection.execute(update(leases).values(token=leases.c.token + 1, owner="", expires_at=now))
    _doubt(connection, dump.made_at, now)


def _tables_of(connection: Connection, revision: str) -> dict[str, Table]:
    if revision == HEAD:
        make_tables(connection)
        return dict(metadata.tables)
    from klucznik.storage.migrate import scripts, upgrade

    if revision not in {script.revision for script in scripts().walk_revisions()}:
        raise InputError("backup_of_newer_release")
    upgrade(connection, from_revision=None, file="", to=revision)
    found = MetaData()
    found.reflect(connection)
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, DateTime):
                column.type = UtcDateTime()
    return dict(found.tables)


def _doubt(connection: Connection, made_at: datetime, now: datetime) -> None:
    """Since the backup anything may have been sent and issued: nothing counts as unsent, nobody as up to date."""
    running = select(issuances.c.id).where(issuances.c.state.in_(("planned", "underway")))
    unsure = (EnrollmentState.KEY_COMMITTED, EnrollmentState.SENDING, EnrollmentState.UNKNOWN)
    connection.execute(
        update(enrollments)
        .where(enrollments.c.issuance_id.in_(running), enrollments.c.state.in_([state.value for state in unsure]))
        .values(
            state=EnrollmentState.UNKNOWN.value,
            sent_at=now,
            remaining_before=None,  # the counter of that time proves nothing any more
            version=enrollments.c.version + 1,
        )
    )
    # A link may have been used or taken back since: none of that time opens anything any more.
    open_links = invitations.c.revoked_at.is_(None) & invitations.c.done_at.is_(None)
    connection.execute(update(invitations).where(open_links).values(revoked_at=now))
    connection.execute(restored_subjects.delete())
    whose = [
        select(table.c.environment, table.c.subject_type, table.c.subject_value) for table in (private_keys, issuances)
    ]
    known = union(*whose).subquery()
    connection.execute(
        insert(restored_subjects).from_select(
            list(restored_subjects.c.keys()), select(*known.c, literal(made_at, UtcDateTime))
        )
    )


def backup_of(connection: Connection, environment: str, subject: Subject) -> datetime | None:
    """When the backup was made that this subject's rows come from; None: they are up to date."""
    return connection.execute(
        select(restored_subjects.c.backup_made_at).where(*_mark(environment, subject))
    ).scalar_one_or_none()


def checked(connection: Connection, environment: str, subject: Subject) -> None:
    """The subject has been compared with KSeF."""
    connection.execute(restored_subjects.delete().where(*_mark(environment, subject)))


def _mark(environment: str, subject: Subject) -> tuple[Any, ...]:
    table = restored_subjects.c
    return (
        table.environment == environment,
        table.subject_type == subject.type.value,
        table.subject_value == subject.value,
    )

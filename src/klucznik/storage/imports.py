"""Lists of companies and their lines. However many lines there are, each act here is a statement or two."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, bindparam, delete, func, insert, select, tuple_, update

from klucznik.domain.bulk_imports import BulkImport, ImportLine, ImportState, LineOutcome, Tally
from klucznik.domain.csv_import import Column, Fault, ImportMethod, Line
from klucznik.domain.environments import Environment
from klucznik.storage.schema_people import import_lines, imports


def add(transaction: Transaction, bulk_import: BulkImport, lines: Sequence[Line]) -> None:
    transaction.execute(
        insert(imports).values(
            id=bulk_import.id,
            environment=bulk_import.environment.value,
            file_name=bulk_import.file_name,
            state=bulk_import.state.value,
            created_by=bulk_import.created_by,
            created_at=bulk_import.created_at,
        )
    )
    transaction.execute(insert(import_lines), [_values(bulk_import.id, line) for line in lines])


def load(transaction: Transaction, environment: Environment, import_id: str) -> BulkImport | None:
    row = transaction.execute(
        select(imports).where(imports.c.environment == environment.value, imports.c.id == import_id)
    ).one_or_none()
    return None if row is None else _import(row)


def page(
    transaction: Transaction,
    environment: Environment,
    *,
    size: int,
    created_by: str | None = None,
    after: BulkImport | None = None,
) -> list[BulkImport]:
    """The newest first; `after` is the last one of the page before."""
    query = select(imports).where(imports.c.environment == environment.value)
    if created_by is not None:
        query = query.where(imports.c.created_by == created_by)
    if after is not None:
        place = (
            bindparam("after_at", after.created_at, type_=imports.c.created_at.type),
            bindparam("after_id", after.id, type_=imports.c.id.type),
        )
        query = query.where(tuple_(imports.c.created_at, imports.c.id) < tuple_(*place))
    rows = transaction.execute(query.order_by(imports.c.created_at.desc(), imports.c.id.desc()).limit(size))
    return [_import(row) for row in rows]


def tally(transaction: Transaction, import_id: str) -> Tally:
    counted = transaction.execute(
        select(import_lines.c.outcome, func.count())
        .where(import_lines.c.import_id == import_id)
        .group_by(import_lines.c.outcome)
    )
    return Tally(**{outcome or "good": number for outcome, number in counted})


def lines(
    transaction: Transaction, import_id: str, *, size: int, after: int = 0, bad: bool | None = None
) -> list[ImportLine]:
    """Lines by their number, from the one after `after` on.

    Args:
        bad: only the bad ones, or only the others; None: all.
    """
    query = select(import_lines).where(import_lines.c.import_id == import_id, import_lines.c.number > after)
    if bad is not None:
        is_bad = func.coalesce(import_lines.c.outcome, "") == LineOutcome.BAD.value
        query = query.where(is_bad if bad else ~is_bad)
    return [_line(row) for row in transaction.execute(query.order_by(import_lines.c.number).limit(size))]


def to_carry_out(transaction: Transaction, import_id: str, *, size: int) -> list[Line]:
    """The next lines that nothing has become of."""
    rows = transaction.execute(
        select(import_lines)
        .where(import_lines.c.import_id == import_id, import_lines.c.outcome.is_(None))
        .order_by(import_lines.c.number)
        .limit(size)
    )
    return [_line(row).line for row in rows]


def is_to_carry_out(transaction: Transaction, import_id: str, method: ImportMethod) -> bool:
    """Whether there is a line with this method that nothing has become of."""
    found = transaction.execute(
        select(import_lines.c.number)
        .where(
            import_lines.c.import_id == import_id,
            import_lines.c.outcome.is_(None),
            import_lines.c.method == method.value,
        )
        .limit(1)
    )
    return found.scalar_one_or_none() is not None


def numbers(transaction: Transaction, import_id: str, outcome: LineOutcome) -> list[int]:
    found = transaction.execute(
        select(import_lines.c.number)
        .where(import_lines.c.import_id == import_id, import_lines.c.outcome == outcome.value)
        .order_by(import_lines.c.number)
    )
    return list(found.scalars())


def settle(transaction: Transaction, import_id: str, outcomes: Sequence[tuple[int, LineOutcome]]) -> None:
    transaction.execute(
        update(import_lines)
        .where(import_lines.c.import_id == import_id, import_lines.c.number == bindparam("line_number"))
        .values(outcome=bindparam("new_outcome")),
        [{"line_number": number, "new_outcome": outcome.value} for number, outcome in outcomes],
    )


def finish(transaction: Transaction, import_id: str, *, now: datetime) -> None:
    transaction.execute(
        update(imports)
        .where(imports.c.id == import_id, imports.c.state == ImportState.PREVIEW.value)
        .values(state=ImportState.CARRIED_OUT.value, carried_out_at=now)
    )


def remove(transaction: Transaction, import_id: str) -> None:
    transaction.execute(delete(import_lines).where(import_lines.c.import_id == import_id))
    transaction.execute(delete(imports).where(imports.c.id == import_id))


def _values(import_id: str, line: Line) -> dict[str, Any]:
    return {
        "import_id": import_id,
        "number": line.number,
        "text": json.dumps(dict(line.cells), ensure_ascii=False),
        "nip": line.nip,
        "name": line.name,
        "email": line.email,
        "method": None if line.method is None else line.method.value,
        "problems": [
            {"column": None if one.column is None else one.column.value, "reason": one.reason, "data": dict(one.data)}
            for one in line.faults
        ],
        "outcome": LineOutcome.BAD.value if line.faults else None,
    }


def _line(row: Row[Any]) -> ImportLine:
    faults = tuple(
        Fault(None if one["column"] is None else Column(one["column"]), one["reason"], one["data"])
        for one in row.problems
    )
    cells = {Column(column): cell for column, cell in json.loads(row.text).items()}
    method = None if row.method is None else ImportMethod(row.method)
    line = Line(row.number, cells, row.nip, row.name, row.email, method, faults)
    return ImportLine(line, None if row.outcome is None else LineOutcome(row.outcome))


def _import(row: Row[Any]) -> BulkImport:
    return BulkImport(
        id=row.id,
        environment=Environment(row.environment),
        file_name=row.file_name,
        state=ImportState(row.state),
        created_by=row.created_by,
        created_at=row.created_at,
        carried_out_at=row.carried_out_at,
    )

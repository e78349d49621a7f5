"""A list of companies as people save it from a spreadsheet: which lines are good, and of each bad one where and why.

Pure. What only the database knows (companies that are connected already) is added by `services.imports`.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from klucznik.domain.connections import parse_connection_name
from klucznik.domain.emails import parse_email
from klucznik.domain.identifiers import nip_checksum_ok, parse_nip
from klucznik.domain.values import InvalidValue

MOST_LINES = 5_000
MOST_COLUMNS = 50
LONGEST_CELL = 1_000
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = ";,\t"
# Of what is not a text at all.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class ImportMethod(StrEnum):
    """What is to be done with a company of the list. Names are kept: rows have them."""

    INVITATION = "invitation"  # its owner gets a link
    PERMISSION = "permission"  # it grants the operator the permission by hand


class Column(StrEnum):
    """What a list may tell. Others may stand in it; they are not read."""

    NIP = "nip"
    NAME = "name"
    EMAIL = "email"
    METHOD = "method"


# As letters and digits alone, without the Polish strokes.
_HEADINGS: dict[Column, frozenset[str]] = {
    Column.NIP: frozenset({"nip", "numernip", "nrnip", "nipfirmy", "nipklienta", "taxid", "vatid", "taxnumber"}),
    Column.NAME: frozenset(
        {"nazwa", "nazwafirmy", "pelnanazwa", "firma", "klient", "kontrahent", "name", "company", "companyname"}
    ),
    Column.EMAIL: frozenset({"email", "adresemail", "mail", "poczta", "emailaddress"}),
    Column.METHOD: frozenset({"metoda", "sposob", "sposobpolaczenia", "method"}),
}
_METHODS: dict[ImportMethod, frozenset[str]] = {
    ImportMethod.INVITATION: frozenset({"zaproszenie", "zapros", "link", "invitation", "invite"}),
    ImportMethod.PERMISSION: frozenset({"uprawnienie", "uprawnienia", "upowaznienie", "permission", "grant"}),
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with one line.

    Attributes:
        column: None: the line as a whole.
        reason: key of the message catalogue.
    """

    column: Column | None
    reason: str
    data: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One company of the list.

    Attributes:
        number: of the line in the file where it begins, as an editor counts.
        cells: what stands in the columns that are read, as it was written.
        nip, name, email, method: what was made of it; None: nothing, or nothing that can be used.
    """

    number: int
    cells: Mapping[Column, str]
    nip: str | None
    name: str | None
    email: str | None
    method: ImportMethod | None
    faults: tuple[Fault, ...] = ()


def read(content: bytes, *, otherwise: ImportMethod, checksums: bool) -> list[Line]:
    """The lines of a list.

    Args:
        otherwise: the method of lines that name none.
        checksums: whether a wrong checksum of a NIP is a fault: on KSeF's test environments such companies are common.

    Raises:
        InvalidValue: nothing of it can be read: ``csv_empty``, ``csv_is_spreadsheet``, ``csv_encoding_unclear``,
            ``csv_without_nip``, ``csv_column_twice`` (``column``), ``csv_too_many_columns`` (``most``),
            ``csv_quotes`` (``line``), ``csv_too_many_lines`` (``most``), ``csv_without_lines``.
    """
    text = _text(content)
    separator, places, records = _headed(text)
    lines: list[Line] = []
    for number, cells in _records(records.text, separator, first=records.first):
        if not any(cell.strip() for cell in cells):
            continue
        if len(lines) == MOST_LINES:
            raise InvalidValue("csv_too_many_lines", most=MOST_LINES)
        lines.append(_line(number, cells, places, otherwise, checksums=checksums))
    if not lines:
        raise InvalidValue("csv_without_lines")
    return _without_twins(lines)


def _text(content: bytes) -> str:
    """UTF-8, or what Windows in Poland saves where it does not say."""
    if not content.strip():
        raise InvalidValue("csv_empty")
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidValue("csv_is_spreadsheet")
    if content.startswith(_UTF16_MARKS):
        raise InvalidValue("csv_encoding_unclear")
    for encoding in ("utf-8", "cp1250"):
        try:
            text = content.removeprefix(_UTF8_MARK).decode(encoding)
        except UnicodeDecodeError:
            continue
        if _CONTROLS.search(text):
            break
        return text
    raise InvalidValue("csv_encoding_unclear")


@dataclass(frozen=True)
class _Rest:
    """What stands below the heading, and the number of its first line."""

    text: str
    first: int


def _headed(text: str) -> tuple[str, dict[Column, int], _Rest]:
    """What separates the cells, which column is where, and the rest."""
    lines = text.splitlines(keepends=True)
    start = next((at for at, line in enumerate(lines) if line.strip()), 0)
    separators = _SEPARATORS
    said = re.fullmatch(r"sep=([;,\t])\s*", lines[start])  # so that Excel is told
    if said is not None:
        separators, start = said[1], start + 1
    heading = lines[start] if start < len(lines) else ""
    if not heading.strip():
        raise InvalidValue("csv_without_nip")
    rest = _Rest("".join(lines[start + 1 :]), start + 2)
    for separator in separators:
        if heading.count(separator) >= MOST_COLUMNS:
            raise InvalidValue("csv_too_many_columns", most=MOST_COLUMNS)
        (_, cells), *_ = _records(heading, separator, first=start + 1)
        places = _places(cells)
        if Column.NIP in places:
            return separator, places, rest
    raise InvalidValue("csv_without_nip")


def _places(cells: Sequence[str]) -> dict[Column, int]:
    found: dict[Column, int] = {}
    for place, cell in enumerate(cells):
        column = next((one for one, names in _HEADINGS.items() if _bare(cell) in names), None)
        if column is None:
            continue
        if column in found:
            raise InvalidValue("csv_column_twice", column=column.value)
        found[column] = place
    return found


def _records(text: str, separator: str, *, first: int) -> Iterator[tuple[int, list[str]]]:
    """Each with the number of the line where it begins: a cell in quotes may run over several."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    begins = first
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:
            raise InvalidValue("csv_quotes", line=begins) from None
        if cells is None:
            return
        yield begins, cells
        begins = first + reader.line_num


def _line(
    number: int, cells: Sequence[str], places: Mapping[Column, int], otherwise: ImportMethod, *, checksums: bool
) -> Line:
    given = {column: _given(cells[place]) if place < len(cells) else "" for column, place in places.items()}
    if len(cells) > MOST_COLUMNS or any(len(cell) > LONGEST_CELL for cell in given.values()):
        shortened = {column: cell[:100] for column, cell in given.items()}
        return Line(number, shortened, None, None, None, None, (Fault(None, "csv_line_malformed"),))
    faults: list[Fault] = []
    nip = _nip(given.get(Column.NIP, ""), faults, checksums=checksums)
    name = email = None
    try:
        name = parse_connection_name(given[Column.NAME]) if given.get(Column.NAME) else None
    except InvalidValue as error:
        faults.append(Fault(Column.NAME, error.reason, error.data))
    try:
        email = parse_email(given[Column.EMAIL]) if given.get(Column.EMAIL) else None
    except InvalidValue as error:
        faults.append(Fault(Column.EMAIL, error.reason, error.data))
    method = _method(given.get(Column.METHOD, ""), otherwise, faults)
    return Line(number, given, nip, name, email, method, tuple(faults))


def _given(cell: str) -> str:
    """As it was written, without what our own export puts before what a spreadsheet would take for a formula."""
    text = cell.strip()
    return text[1:] if re.match(r"'[=+\-@]", text) else text


def _nip(text: str, faults: list[Fault], *, checksums: bool) -> str | None:
    if not text:
        faults.append(Fault(Column.NIP, "nip_missing"))
        return None
    try:
        nip = parse_nip(text)
    except InvalidValue as error:
        faults.append(Fault(Column.NIP, error.reason, error.data))
        return None
    if checksums and not nip_checksum_ok(nip):
        faults.append(Fault(Column.NIP, "nip_checksum_wrong", {"nip": nip}))
    return nip


def _method(text: str, otherwise: ImportMethod, faults: list[Fault]) -> ImportMethod | None:
    if not text:
        return otherwise
    found = next((method for method, names in _METHODS.items() if _bare(text) in names), None)
    if found is None:
        faults.append(Fault(Column.METHOD, "import_method_unknown", {"value": text[:40]}))
    return found


def _without_twins(lines: Sequence[Line]) -> list[Line]:
    """A company that is there once more is a fault of every line but the first."""
    first: dict[str, int] = {}
    found = []
    for line in lines:
        if line.nip is not None and first.setdefault(line.nip, line.number) != line.number:
            twin = Fault(Column.NIP, "nip_twice", {"nip": line.nip, "line": first[line.nip]})
            line = with_fault(line, twin)  # noqa: PLW2901
        found.append(line)
    return found


def with_fault(line: Line, fault: Fault) -> Line:
    return replace(line, faults=(*line.faults, fault))


def _bare(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold().replace("ł", "l"))
    return "".join(character for character in plain if character.isascii() and character.isalnum())

"""Lists of companies as spreadsheets save them: what is good in them, and where and why a line is not."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klucznik.domain.csv_import import MOST_COLUMNS, MOST_LINES, Column, ImportMethod, Line, read
from klucznik.domain.values import InvalidValue

NIPS = ("5265877635", "5250001003", "7010416384", "1060000062")


def lines_of(content: str | bytes, *, encoding: str = "utf-8", checksums: bool = True) -> list[Line]:
    raw = content if isinstance(content, bytes) else content.encode(encoding)
    return read(raw, otherwise=ImportMethod.INVITATION, checksums=checksums)


def faults_of(line: Line) -> list[tuple[str | None, str]]:
    return [(one.column and one.column.value, one.reason) for one in line.faults]


def refused(content: str | bytes) -> str:
    with pytest.raises(InvalidValue) as error:
        lines_of(content)
    return error.value.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1250"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("heading", ["Nazwa firmy|NIP|Uwagi|Adres e-mail|Metoda", "COMPANY|Tax ID|notes|E-Mail|method"])
def test_a_list_is_read_as_whichever_program_has_saved_it(encoding: str, separator: str, heading: str) -> None:
    rows = [
        "Żółw i Spółka|PL 526-587-76-35|ważny klient|jan@zolw.pl|uprawnienie",
        "Róża|525 000 10 03||| Zaproszenie ",
        "||||",
        "|7010416384|||",
    ]
    text = "\r\n".join([heading, *rows]).replace("|", separator)
    first, second, third = lines_of(text, encoding=encoding)
    assert (first.number, first.nip, first.name, first.email) == (2, "5265877635", "Żółw i Spółka", "jan@zolw.pl")
    assert [one.method for one in (first, second, third)] == ["permission", "invitation", "invitation"]
    assert (second.nip, second.name, second.email, third.number) == ("5250001003", "Róża", None, 5)
    assert [one.faults for one in (first, second, third)] == [(), (), ()]


def test_each_fault_of_a_line_is_told_with_its_column() -> None:
    found = lines_of(
        "nip;nazwa;email;metoda\n"
        "526587763;A;jan@;gołąb\n"
        f"5265877636;{'x' * 101};;\n"
        "5250001003;;;\n"
        ";B;;\n"
        "525-000-10-03;;;\n"
    )
    assert [faults_of(one) for one in found] == [
        [("nip", "nip_malformed"), ("email", "email_malformed"), ("method", "import_method_unknown")],
        [("nip", "nip_checksum_wrong"), ("name", "connection_name_malformed")],
        [],
        [("nip", "nip_missing")],
        [("nip", "nip_twice")],
    ]
    assert found[4].faults[0].data == {"nip": "5250001003", "line": 4}
    assert lines_of("nip\n5265877636", checksums=False)[0].faults == ()


def test_a_cell_in_quotes_may_hold_what_divides_cells_and_lines() -> None:
    found = lines_of('sep=;\nnip;uwagi;nazwa\n5265877635;"a;b\nc";"Bar ""Pod Psem"""\n5250001003;;B\n')
    assert [(one.number, one.name) for one in found] == [(3, 'Bar "Pod Psem"'), (5, "B")]


def test_what_our_own_export_puts_before_a_formula_is_taken_off_again() -> None:
    assert lines_of("nip;nazwa\n5265877635;'=Firma+\n")[0].name == "=Firma+"
    assert lines_of("nip;nazwa\n5265877635;'Firma\n")[0].name == "'Firma"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" \r\n\t", "csv_empty"),
        (b"PK\x03\x04" + b"x" * 100, "csv_is_spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "csv_is_spreadsheet"),
        ("nip\n5265877635".encode("utf-16"), "csv_encoding_unclear"),
        ("nip\n5265877635".encode("utf-16-le"), "csv_encoding_unclear"),
        (b"nip\n5265877635\x00", "csv_encoding_unclear"),
        (b"nip\n\x81\x83", "csv_encoding_unclear"),
        ("nazwa;adres\nA;B", "csv_without_nip"),
        ("5265877635\n5250001003", "csv_without_nip"),
        ("sep=;\n", "csv_without_nip"),
        ("nip;nazwa;firma\n5265877635;A;B", "csv_column_twice"),
        ("nip" + ";x" * MOST_COLUMNS + "\n5265877635", "csv_too_many_columns"),
        ("nip;" + ";" * 1_000_000, "csv_too_many_columns"),
        ('nip;nazwa\n5265877635;"A\n5250001003;B\n', "csv_quotes"),
        ("nip;nazwa\n5265877635;" + "x" * 1_000_000, "csv_quotes"),
        ("nip\n", "csv_without_lines"),
        ("nip\n" + "5265877635\n" * (MOST_LINES + 1), "csv_too_many_lines"),
    ],
)
def test_what_is_no_list_is_refused_as_a_whole(content: str | bytes, reason: str) -> None:
    assert refused(content) == reason


def test_a_line_of_a_million_cells_is_one_fault() -> None:
    first, second = lines_of("nip;nazwa\n5265877635;A" + ";" * 1_000_000 + "\n5250001003;" + "ż" * 5_000)
    assert faults_of(first) == faults_of(second) == [(None, "csv_line_malformed")]
    assert sum(len(cell) for one in (first, second) for cell in one.cells.values()) < 300


CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
ROWS = st.lists(st.tuples(st.sampled_from([*NIPS, "", "123"]) | CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=20)


@settings(deadline=None)
@given(ROWS, st.sampled_from(";,\t"))
def test_whatever_a_spreadsheet_saves_every_line_is_good_or_has_a_reason(
    rows: list[tuple[str, str, str, str]], separator: str
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([("NIP", "Nazwa", "E-mail", "Metoda"), *rows])
    try:
        found = lines_of(text.getvalue())
    except InvalidValue as error:
        assert error.reason == "csv_without_lines"  # noqa: PT017
        assert not any(cell.strip() for row in rows for cell in row)
        return
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    assert len(found) == len(kept)
    assert [one.number for one in found] == sorted({one.number for one in found})
    for line, row in zip(found, kept, strict=True):
        assert line.faults or (line.nip in NIPS and line.method is not None)
        assert line.name is None or len(line.name) <= 100
        assert line.cells[Column.NIP] in (row[0].strip(), row[0].strip()[1:])
    good = [line.nip for line in found if not line.faults]
    assert len(good) == len(set(good))


@settings(deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: b"nip;nazwa\n" + tail))
def test_any_bytes_are_read_or_refused_with_a_reason(content: bytes) -> None:
    try:
        found = lines_of(content)
    except InvalidValue as error:
        assert error.reason.startswith("csv_")  # noqa: PT017
    else:
        assert found

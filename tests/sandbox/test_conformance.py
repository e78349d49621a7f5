"""Every operation in scope: its success and each of its documented errors, all valid; see `conformance.py`."""

from itertools import pairwise

import pytest
from tests.sandbox.conformance import HOLES, Table, documented, print_table, run
from tests.sandbox.town import GOOD, SWITCHES, Town

from ksef_sandbox import Sandbox


@pytest.fixture(scope="module")
def table() -> Table:
    return run()


def test_every_documented_answer_is_given_or_explained(table: Table) -> None:
    assert table.missing() == []


def test_the_table_shows_each_operation_in_one_line(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(table)
    printed = capsys.readouterr().out
    for operation in {operation for operation, _ in documented()}:
        assert f"\n{operation} " in printed
    assert " ! " not in printed.replace("! missing", "")
    assert f"{len(HOLES)} cannot occur" in printed


def test_what_is_not_asked_is_missed_and_what_is_explained_must_not_occur() -> None:
    empty = Table()
    assert len(empty.missing()) == len(documented()) - len(HOLES)
    hole = next(iter(HOLES))
    empty.seen = {answer: documented()[answer] for answer in documented()}
    assert f"{hole[0]} answered {hole[1]} although" in "\n".join(empty.missing())
    assert len(empty.missing()) == len(HOLES)


def test_an_error_must_be_seen_in_both_formats() -> None:
    table = Table()
    table.seen = {answer: set(list(types)[:1]) for answer, types in documented().items() if answer not in HOLES}
    assert {sentence.split(" as ")[0].rsplit(" ", 2)[-2] for sentence in table.missing()} == {"400", "429"}


def test_the_town_has_one_good_request_for_each_operation() -> None:
    with Sandbox(seed=1, switches=SWITCHES) as ksef, Town(ksef) as town:
        asked = sorted(make(town).operation for make in GOOD)
    assert asked == sorted({operation for operation, _ in documented()})
    assert all(one != other for one, other in pairwise(asked))

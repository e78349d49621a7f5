"""Orders and members of tables: pages that start anywhere and lose nothing, whatever comes and goes."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from ksef_sandbox.tables import Members, NoJournal, Table


@dataclass(frozen=True)
class Thing:
    key: str
    at: int
    owner: str


@st.composite
def histories(draw: st.DrawFn) -> list[Thing | str]:
    """Things put, replaced and deleted (a bare key) in any order."""
    keys = st.sampled_from("abcdef")
    things = st.builds(Thing, keys, st.integers(0, 3), st.sampled_from(["x", "y", "z"]))
    return draw(st.lists(things | keys, max_size=40))


def played(history: list[Thing | str], table: Table[Thing]) -> dict[str, Thing]:
    left: dict[str, Thing] = {}
    for step in history:
        if isinstance(step, str):
            table.delete(step)
            left.pop(step, None)
        else:
            table.put(step)
            left[step.key] = step
    return left


@given(histories(), st.integers(1, 4))
def test_pages_of_an_order_show_every_record_once_the_highest_first(history: list[Thing | str], size: int) -> None:
    table = Table("thing", Thing, lambda thing: thing.key, NoJournal())
    order = table.order(lambda thing: thing.at)
    left = played(history, table)
    shown: list[str] = []
    place = None
    while places := order.last(size, place):
        shown += [key for _, key in places]
        place = places[-1]
    assert shown == [key for _, key in sorted(((thing.at, key) for key, thing in left.items()), reverse=True)]


@given(histories(), histories(), st.integers(1, 4))
def test_members_of_two_tables_are_named_once_while_any_record_names_them(
    one: list[Thing | str], other: list[Thing | str], size: int
) -> None:
    members = Members()
    tables = [Table(name, Thing, lambda thing: thing.key, NoJournal()) for name in ("one", "other")]
    for table in tables:
        table.tell(members.of(lambda thing: thing.owner))
    left = [*played(one, tables[0]).values(), *played(other, tables[1]).values()]
    shown: list[str] = []
    while page := members.after(shown[-1] if shown else "", size):
        shown += page
    assert shown == sorted({thing.owner for thing in left})
    assert len(members) == len(shown)
    for table in tables:
        table.clear()
    assert not members.after("", 10)

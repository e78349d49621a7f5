"""What a page asks of the database does not depend on how many connections there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.office import office
from sqlalchemy import Engine, event

# Through everything, or through everything of an environment. A list in the order of its index is begun so, and left
# after a page.
_EVERYTHING = re.compile(
    r"SCAN (?!CONSTANT|anon_1|\(subquery)|SEARCH (?!connections|operators)\w+ [^|]*\(environment=\?\)"
)


async def test_a_page_takes_the_same_statements_beside_few_and_beside_many_and_none_looks_through_everything(
    tmp_path: Path,
) -> None:
    taken: list[dict[str, int]] = []
    for count in (60, 300):
        async with office(tmp_path / str(count), count) as there:
            with plans() as found:
                for name in there.addresses:
                    await there.visit(name)  # whatever is done once
            taken.append({name: (await there.visit(name)).statements for name in there.addresses})
        assert len(found) > 30
        assert [plan for plan in found if _EVERYTHING.search(plan)] == []
    few, many = taken
    assert few == many
    assert len(few) > 10
    assert max(many.values()) < 20


@contextmanager
def plans() -> Iterator[list[str]]:
    """How SQLite finds what is asked for meanwhile."""
    found: list[str] = []

    def look(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith("SELECT"):
            steps = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found.append(f"{' | '.join(step[3] for step in steps)} ← {' '.join(statement.split())[-200:]}")

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", look)

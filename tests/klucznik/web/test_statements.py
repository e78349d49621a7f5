"""How many SQL statements a page takes does not depend on how many connections there are."""

from pathlib import Path

from bench.office import office


async def test_a_page_takes_the_same_statements_beside_few_and_beside_many(tmp_path: Path) -> None:
    taken: list[dict[str, int]] = []
    for count in (60, 300):
        async with office(tmp_path / str(count), count) as there:
            visits = {}
            for name in there.addresses:
                await there.visit(name)  # whatever is done once
                visits[name] = (await there.visit(name)).statements
            taken.append(visits)
    few, many = taken
    assert len(few) > 10
    assert few == many
    assert max(many.values()) < 20

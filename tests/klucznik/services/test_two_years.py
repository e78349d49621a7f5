"""Two years of renewals; all fifty companies run with `python -m tests.klucznik.two_years`."""

from pathlib import Path

from tests.klucznik.two_years import run


async def test_no_company_is_ever_without_a_valid_pair_and_no_request_is_wasted(tmp_path: Path) -> None:
    count = await run(tmp_path, companies=8)
    assert (count.gaps, count.odd) == ([], [])
    assert count.honest, count
    assert count.persons
    assert count.subjects > count.persons

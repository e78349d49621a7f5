"""A few pairs through all that `--faults hostile` has; `python -m tests.klucznik.hostile_run` does it with many."""

from pathlib import Path

import pytest
from tests.klucznik.hostile_run import run


@pytest.mark.parametrize("seed", [1, 2])
async def test_against_a_hostile_ksef_every_pair_ends_honestly_and_no_request_is_wasted(
    seed: int, tmp_path: Path
) -> None:
    count = await run(tmp_path / "home", pairs=12, in_flight=8, seed=seed)
    assert count.pairs == 12
    assert count.honest, count
    assert count.faults.total() > 50
    assert count.spent >= 2 * count.complete > 0

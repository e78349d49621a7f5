"""A home that several processes open for the first time at once is one home, with one key for all that it seals."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.klucznik.databases import database_url

from klucznik.services.installation import Installation
from klucznik.storage import private_keys


def test_processes_that_open_a_new_home_together_share_its_keys(tmp_path: Path) -> None:
    for attempt in range(5):
        home, together = tmp_path / str(attempt), threading.Barrier(3)
        with ThreadPoolExecutor(3) as processes:
            assert list(processes.map(open_it, [home] * 3, [together] * 3)) == [None] * 3
        assert asyncio.run(number_of_data_keys(home)) == 1


def open_it(home: Path, together: threading.Barrier) -> None:
    together.wait()
    asyncio.run(number_of_data_keys(home))


async def number_of_data_keys(home: Path) -> int:
    async with await Installation.open(home, database_url=database_url(home)) as klucznik:
        return len(await klucznik.database.read(private_keys.load_data_keys))

"""A database of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.klucznik.databases import database_in

from klucznik.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(database_in(tmp_path))
    yield opened
    opened.close()

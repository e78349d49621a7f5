"""A database of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from klucznik.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "klucznik.db")
    yield opened
    opened.close()

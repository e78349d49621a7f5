"""A sandbox of its own for each test: its clock and switches may be moved freely."""

from collections.abc import Iterator

import pytest
from tests.klucznik.world import QUICK

from ksef_sandbox import Sandbox


@pytest.fixture
def ksef() -> Iterator[Sandbox]:
    with Sandbox(switches=QUICK) as running:
        yield running

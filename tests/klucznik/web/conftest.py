"""A sandbox of its own for each test: its clock and switches may be moved freely. One site in a browser for all."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.klucznik.web.filled import Filled, filled
from tests.klucznik.web.sites import Site, running_site
from tests.klucznik.world import QUICK

from ksef_sandbox import Sandbox


@pytest.fixture
def ksef() -> Iterator[Sandbox]:
    with Sandbox(switches=QUICK) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(site: Site) -> Filled:
    """What there is to be looked at on the site; made once."""
    return await filled(site)

"""The server for a run with `--database postgresql`, and which tests belong to which database."""

import os
from collections.abc import Iterator

import pytest
from tests import needs
from tests.klucznik.databases import SERVER
from tests.klucznik.tokens import Tokens, inserted
from tests.postgresql import Cluster, running


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is true of one database alone, or asks none, is not tried on the other."""
    other = {"sqlite": "postgresql", "postgresql": "sqlite"}[config.getoption("--database")]
    elsewhere = [item for item in items if item.get_closest_marker(other)]
    config.hook.pytest_deselected(items=elsewhere)
    items[:] = [item for item in items if item not in elsewhere]


@pytest.fixture(scope="session", autouse=True)
def server(request: pytest.FixtureRequest) -> Iterator[Cluster | None]:
    """One that waits for the disk, as Klucznik demands of it."""
    if request.config.getoption("--database") == "sqlite":
        yield None
        return
    with running(needs.postgresql(), durable=True) as cluster:
        os.environ[SERVER] = cluster.address("postgres")
        yield cluster
        del os.environ[SERVER]


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    """Tokens in software, where SoftHSM is installed."""
    with inserted(tmp_path_factory.mktemp("softhsm")) as those:
        yield those

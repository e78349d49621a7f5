"""A firm for all tests of the command line in one process, and a scene of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.klucznik.cli.scenes import Firm, Scene, firm, isolate


@pytest.fixture(scope="package")
def the_firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch)
        with firm(tmp_path_factory.mktemp("firm")) as one:
            yield one


@pytest.fixture
def scene(the_firm: Firm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    isolate(monkeypatch)
    monkeypatch.chdir(tmp_path)
    the_firm.ksef.clear_requests()
    return Scene(tmp_path, the_firm)

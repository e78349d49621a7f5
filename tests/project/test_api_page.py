"""What docs/api.md tells people to type works, in one shell, beside `klucznik serve --demo`; the client on the page is
the one that its script makes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts import api_client
from tests.klucznik.cli.scenes import clean
from tests.project import pages
from tests.project.test_start import typed

SERVE, *WALK = pages.console(pages.page("docs/api.md"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty directory that looks like the checkout to whoever types `.venv/bin/...`."""
    (tmp_path / "home").mkdir()
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1], target_is_directory=True)
    (tmp_path / "docs").symlink_to(pages.ROOT / "docs", target_is_directory=True)
    return tmp_path


@pytest.fixture
def port(place: Path) -> Iterator[str]:
    """Of the demo as the page starts it, on a free port: tests run side by side."""
    given, command = SERVE.line.split(" ", 1)
    name, value = given.split("=")
    with subprocess.Popen(
        [*command.split(), "--port", "0", "--json"],
        cwd=place,
        env={**clean(os.environ), name: value, "HOME": str(place / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield str(json.loads(said)["url"]).rsplit(":", 1)[1]
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_the_walk_through_the_api_works_as_the_page_shows_it(place: Path, port: str) -> None:
    ended = typed(WALK, place, port, instead_of="8080")
    assert len(ended) == len(WALK) >= 15
    for command, (code, output) in zip(WALK, ended, strict=True):
        assert code == 0, f"{command.line}\n{output}"
        assert all(line in output for line in command.shown), f"{command.line}\n{output}"


def test_the_client_is_the_one_that_is_made_from_the_description() -> None:
    assert api_client.TARGET.read_text(encoding="utf-8") == api_client.client(), "run: python scripts/api_client.py"

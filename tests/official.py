"""Where the official files of the Ministry are: beside the repository, never inside it.
Tests that need one are skipped where it is absent, and fail in CI, which never lacks it.
"""

import os
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).resolve().parents[1].parent / "shared" / "ksef"
SPECIFICATION = "openapi-2.7.0.json"


def official_file(name: str) -> Path:
    """The path of an official file; skips the test without it, fails it when the variable CI is set."""
    path = DIRECTORY / name
    if path.is_file():
        return path
    sentence = (
        f"the official file {name} is not in ../shared/ksef beside the repository, so nothing was checked with it"
    )
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)

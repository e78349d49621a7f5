"""The frame around the tests keeps its promises: in CI a skip is a failure. The tests themselves are elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPS = {
    "a test that skips": "import pytest\ndef test_it(): pytest.skip('no time')\n",
    "a marked test": "import pytest\n@pytest.mark.skip(reason='no time')\ndef test_it(): pass\n",
    "a whole file": "import pytest\npytest.skip('no time', allow_module_level=True)\n",
    "a package that is missing": "import pytest\npytest.importorskip('no_such_package_here')\n",
}


def _run(directory: Path, source: str, *, ci: bool) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests" / "conftest.py", directory)
    (directory / "test_one.py").write_text(source + "\ndef test_other(): pass\n")
    environment = {name: value for name, value in os.environ.items() if name != "CI" and "PYTEST" not in name}
    if ci:
        environment["CI"] = "true"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(directory)]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_ci_turns_a_skip_into_a_failure(source: str, tmp_path: Path) -> None:
    run = _run(tmp_path, source, ci=True)
    assert run.returncode != 0
    assert "skipped, which CI does not allow" in run.stdout


def test_on_a_developers_machine_a_skip_is_a_skip(tmp_path: Path) -> None:
    run = _run(tmp_path, SKIPS["a test that skips"], ci=False)
    assert run.returncode == 0
    assert "1 passed, 1 skipped" in run.stdout


def test_ci_runs_the_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert script.rstrip().endswith("\nexport CI=true\nmake test")
    assert "make test" in (ROOT / "README.md").read_text()

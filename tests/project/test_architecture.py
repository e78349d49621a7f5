"""The import rules hold, and each of them bites: a forbidden import in a copy of the tree is found.
The rules themselves are the contracts in pyproject.toml.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARE_NO_CODE = "the client and the sandbox share no code"
FLOORS = "interfaces call services, services call the floors below"
PURE = "the domain is pure"

FORBIDDEN = [
    ("klucznik/cli/demo.py", "import ksef_sandbox", SHARE_NO_CODE),
    ("ksef_sandbox/csr.py", "def f():\n    from klucznik.keys import csr", SHARE_NO_CODE),
    ("klucznik/services/road/walk.py", "from klucznik.cli import output", FLOORS),
    ("klucznik/storage/leases.py", "def f():\n    from klucznik.services import road", FLOORS),
    ("klucznik/ksef/client.py", "from klucznik.keys import vault", FLOORS),
    ("klucznik/keys/vault.py", "from klucznik.storage import private_keys", FLOORS),
    ("klucznik/domain/limits.py", "import klucznik.errors", FLOORS),
    ("klucznik/domain/limits.py", "import httpx", PURE),
    ("klucznik/domain/preflight.py", "def f():\n    from sqlalchemy import select", PURE),
]


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_every_import_rule(copy: Path) -> None:
    run = _lint(copy)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(("file", "line", "contract"), FORBIDDEN)
def test_a_forbidden_import_is_found(copy: Path, file: str, line: str, contract: str) -> None:
    module = copy / "src" / file
    module.write_text(f"{module.read_text()}\n{line}\n")
    run = _lint(copy)
    assert run.returncode != 0
    broken = [row for row in run.stdout.splitlines() if row.rstrip().endswith("BROKEN")]
    assert any(row.startswith(contract) for row in broken), run.stdout


def _texts_of_code(package: str) -> Iterator[tuple[Path, str]]:
    """Every string of a package that is not a docstring."""
    for file in (ROOT / "src" / package).rglob("*.py"):
        tree = ast.parse(file.read_text())
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
                yield file, node.value


@pytest.mark.parametrize(
    ("package", "other", "allowed"),
    [
        ("klucznik", "ksef_sandbox", set[str]()),
        # The name of the distribution, for the version.
        ("ksef_sandbox", "klucznik", {"klucznik"}),
    ],
)
def test_no_package_names_the_other_in_a_string_that_could_be_imported(
    package: str, other: str, allowed: set[str]
) -> None:
    named = {(file.name, text) for file, text in _texts_of_code(package) if other in text}
    assert {text for _, text in named} <= allowed, named


def test_asking_for_help_loads_no_library_that_talks_draws_certificates_or_keeps_data() -> None:
    script = (
        "import sys; from klucznik.cli.entry import run; run(['--help']); "
        "print(*[m for m in ('httpx', 'sqlalchemy', 'alembic', 'signxml', 'lxml', 'pydantic', 'fastapi', "
        "'cryptography', 'ksef_sandbox') if m in sys.modules], file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stderr.strip() == ""


def test_the_docstring_of_the_services_names_each_of_them_once() -> None:
    folder = ROOT / "src" / "klucznik" / "services"
    named = re.findall(r"`([a-z_]+)`", ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "")
    there = [one.stem for one in folder.iterdir() if one.suffix == ".py" or (one / "__init__.py").exists()]
    assert sorted(named) == sorted(set(there) - {"__init__"})

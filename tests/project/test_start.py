"""What docs/start.md tells people to type works, in one shell, in an empty home, against a real `ksef-sandbox`.
Where the page shows an answer, the command gave it.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.project import pages

START = pages.page("docs/start.md")
SANDBOX = ".venv/bin/ksef-sandbox"
MARK = "=-=-= "


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty directory that looks like the checkout to whoever types `.venv/bin/...`."""
    (tmp_path / "home").mkdir()
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1], target_is_directory=True)
    return tmp_path


@pytest.fixture
def port(place: Path) -> Iterator[str]:
    """Of a sandbox that runs as the page says, but on a free port (tests run side by side) and without delays."""
    at_once = [f"--set={name}=0" for name in ("auth_delay_ms", "enroll_delay_ms")]
    command = [str(place / SANDBOX), "--port", "0", "--json", *at_once]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["base_url"]
        yield re.findall(r":(\d+)/", url)[0]
        process.terminate()
        assert process.wait(timeout=30) == 0


def _environment(place: Path, port: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KLUCZNIK_")}
    return {
        **kept,
        "HOME": str(place / "home"),
        "KLUCZNIK_KSEF_URL": f"http://127.0.0.1:{port}/v2",
        "KLUCZNIK_LANG": "en",
    }


def typed(commands: list[pages.Command], place: Path, port: str, *, instead_of: str = "8380") -> list[tuple[int, str]]:
    """Run the lines in one shell, with `port` in place of the one on the page; the exit code and output of each."""
    script = ["exec 2>&1"]
    if shutil.which("curl") is None:
        script.append(f'curl() {{ "{sys.executable}" "{Path(__file__).with_name("curl.py")}" "$@"; }}')
    for command in commands:
        script += [command.line.replace(instead_of, port), f'printf "\\n{MARK}%s\\n" "$?"']
    run = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=place,
        env=_environment(place, port),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    parts = re.split(rf"\n{MARK}(\d+)\n", run.stdout)
    return [(int(code), output) for output, code in zip(parts[::2], parts[1::2], strict=False)]


def test_what_the_first_steps_tell_people_to_type_works(place: Path, port: str) -> None:
    commands = [command for command in pages.console(START) if command.line != SANDBOX]
    ended = typed(commands, place, port)
    assert len(ended) == len(commands) >= 8
    for command, (code, output) in zip(commands, ended, strict=True):
        assert code == 0, f"{command.line}\n{output}"
        assert all(line in output for line in command.shown), f"{command.line}\n{output}"
    assert list((place / "for-other-programs").glob("*.key"))


def test_the_first_steps_start_with_a_sandbox() -> None:
    assert pages.console(START)[0].line == SANDBOX


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda path: str(path.name))
def test_python_on_the_pages_names_what_there_is(page: Path) -> None:
    for block in re.findall(r"(?ms)^```python\n(.*?)^```$", page.read_text(encoding="utf-8")):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = __import__(node.module or "", fromlist=["_"])
                assert all(hasattr(module, one.name) for one in node.names)


def test_what_the_sandbox_page_tells_people_to_type_works(place: Path, port: str) -> None:
    programs = place / "bin"
    programs.mkdir()
    (programs / "ksef-sandbox").symlink_to(place / SANDBOX)
    if shutil.which("curl") is None:
        (programs / "curl").write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("curl.py")}" "$@"\n'
        )
        (programs / "curl").chmod(0o755)
    first, *lines = pages.console(pages.page("docs/sandbox.md"))
    assert first.line == "ksef-sandbox"
    here = [
        pages.Command(c.line.replace("ksef-sandbox example", f"ksef-sandbox --port {port} example"), c.shown)
        for c in lines
    ]
    ended = typed([pages.Command(f'export PATH="{programs}:$PATH"', ()), *here], place, port)[1:]
    assert len(ended) == len(here) >= 4
    for command, (code, output) in zip(here, ended, strict=True):
        assert code == 0, f"{command.line}\n{output}"
        assert all(line in output for line in command.shown), f"{command.line}\n{output}"


def test_the_pytest_example_of_the_sandbox_page_passes(tmp_path: Path) -> None:
    test, *_ = re.findall(r"(?ms)^```python\n(.*?)^```$", pages.page("docs/sandbox.md"))
    (tmp_path / "test_page.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in run.stdout, run.stdout


def test_the_python_of_the_sandbox_page_runs() -> None:
    _, *blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", pages.page("docs/sandbox.md"))
    for block, shown in zip(blocks, [r"http://127\.0\.0\.1:\d+/v2 0\n", r"\[\]\n"], strict=True):
        run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert re.fullmatch(shown, run.stdout)


@pytest.mark.parametrize(("readme", "language"), [("README.md", "en"), ("README.pl.md", "pl")])
def test_the_demo_looks_as_the_readme_shows_it(readme: str, language: str, tmp_path: Path) -> None:
    (shown,) = re.findall(r"(?ms)^```text\n(.*?)^```$", pages.page(readme))
    run = subprocess.run(
        [str(Path(sys.executable).with_name("klucznik")), "--lang", language, "demo"],
        env={**os.environ, "TMPDIR": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    given = f"{run.stdout}\n{run.stderr}".splitlines()
    whole = [line for line in shown.splitlines() if "[...]" not in line]
    assert len(whole) > 8
    assert [line for line in whole if line not in given] == []

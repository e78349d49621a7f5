"""The pages say what the program does: commands, options, variables, exit codes, dependencies, switches.
Whether the commands on the pages run is in test_start.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.project import pages, source
from typer.core import TyperGroup
from typer.main import get_command

from klucznik.cli.app import build
from klucznik.cli.exit_codes import Exit
from klucznik.domain.reasons import Reason, RemedyKind
from klucznik.messages import words_in
from klucznik.server.settings import ServerSettings
from ksef_sandbox import cli as sandbox_cli
from ksef_sandbox.management import app as management
from ksef_sandbox.state import World
from ksef_sandbox.switches import Switches, registry

PROJECT = tomllib.loads(pages.page("pyproject.toml"))
CLI = pages.page("docs/cli.md")
RENEWAL = pages.page("docs/renewal.md")
SANDBOX = pages.page("docs/sandbox.md")
CREDENTIAL = {"--cert", "--key", "--p12", "--key-password-env"}
EVERYWHERE = {"--json", "--help"}  # said once, above the tables


def _options(command: object) -> set[str]:
    names = {name for parameter in getattr(command, "params", []) for name in parameter.opts}
    return {name for name in names if name.startswith("--")} - EVERYWHERE


def _application() -> TyperGroup:
    command = get_command(build(words_in("en")))
    assert isinstance(command, TyperGroup)
    return command


def _commands(group: TyperGroup) -> Iterator[tuple[str, set[str]]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {verb}", options) for verb, options in _commands(command))
        else:
            yield name, _options(command)


def _named(cells: list[str]) -> set[str]:
    named = {code.split()[0] for cell in cells for code in pages.codes(cell) if code.startswith("--")}
    return named | (CREDENTIAL if any("credential" in cell for cell in cells) else set())


def test_every_command_with_every_option_is_on_the_page_and_nothing_else() -> None:
    documented = {
        " ".join(word for word in pages.codes(name)[0].split() if word.islower()): _named([own])
        for name, _, own in pages.rows(CLI, "command")
    }
    assert documented == dict(_commands(_application()))


def test_every_global_option_is_on_the_page_with_its_variable() -> None:
    documented = {
        (pages.codes(option)[0].split()[0], pages.codes(variable)[0])
        for option, variable, _ in pages.rows(CLI, "option", "variable")
        if option
    }
    program = {
        (parameter.opts[0], str(getattr(parameter, "envvar", None)))
        for parameter in _application().params
        if parameter.opts[0] not in EVERYWHERE
    }
    assert documented == program


def test_the_page_says_what_every_command_understands() -> None:
    assert all(name in CLI for name in EVERYWHERE)


def test_every_environment_variable_of_the_program_is_on_the_page() -> None:
    read = {text for text in source.constants() if re.fullmatch(r"KLUCZNIK_[A-Z0-9_]+", text)}
    read |= {f"KLUCZNIK_{name.upper()}" for name in ServerSettings.model_fields}
    settings = {name for _, cell, _ in pages.rows(CLI, "option", "variable") for name in pages.codes(cell)}
    told_to_hooks = {name for cell, _ in pages.rows(RENEWAL, "variable", "holds") for name in pages.codes(cell)}
    assert settings | told_to_hooks == read


def test_every_setting_of_the_server_is_on_its_page_with_option_and_default() -> None:
    documented = {
        (pages.codes(variable)[0], pages.codes(option)[0].split()[0], pages.codes(default)[0] if "`" in default else "")
        for variable, option, default, _ in pages.rows(pages.page("docs/serving.md"), "variable", "option", "default")
    }
    program = {
        (
            f"KLUCZNIK_{name.upper()}",
            "--no-worker" if name == "worker" else f"--{name.replace('_', '-')}",
            "1" if one.default is True else str(one.default or ""),
        )
        for name, one in ServerSettings.model_fields.items()
    }
    assert documented == program


def test_no_setting_is_read_but_those_on_the_page_and_the_ones_a_user_names() -> None:
    reads = [
        ast.unparse(node)
        for tree in source.trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and "os.environ" in ast.unparse(node.func)
    ]
    named = [read for read in reads if "'KLUCZNIK_" not in read]
    assert named == ["os.environ.get(name)"]  # --key-password-env, --password-env


def test_every_exit_code_is_on_the_page() -> None:
    assert {int(code) for code, _ in pages.rows(CLI, "code", "meaning")} == {int(code) for code in Exit}


@pytest.mark.parametrize("name", [*Reason, *RemedyKind])
def test_the_page_names_every_reason_and_way_out_of_a_refusal(name: str) -> None:
    assert f"`{name}`" in CLI


def test_every_dependency_has_its_reason_on_the_page_and_nothing_else_is_there() -> None:
    groups = PROJECT["dependency-groups"]
    declared = [*PROJECT["project"]["dependencies"], *groups["build"], *groups["dev"]]
    names = {re.split(r"[^a-z0-9-]", line)[0] for line in declared}
    assert {pages.codes(row[0])[0] for row in pages.rows(pages.page("docs/dependencies.md"), "package")} == names


def test_every_dependency_of_the_product_is_imported() -> None:
    # Loaded by name, by httpx, uvicorn, FastAPI and zoneinfo.
    modules = dict.fromkeys(("httptools", "python-multipart", "sniffio", "tzdata"), "")
    modules["argon2-cffi"] = "argon2"
    everything = "\n".join(path.read_text() for path in (pages.ROOT / "src").rglob("*.py"))
    for line in PROJECT["project"]["dependencies"]:
        name = re.split(r"[^a-z0-9-]", line)[0]
        module = modules.get(name, name.replace("-", "_"))
        assert not module or re.search(rf"(?m)^\s*(import|from) {module}\b", everything), name


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_locks_are_hashed_and_name_no_address(lock: str) -> None:
    text = pages.page(lock)
    packages = re.findall(r"(?m)^[a-z0-9].*$", text)
    assert packages
    assert all(line.endswith("\\") for line in packages)
    assert "://" not in text
    assert not re.search(r"(?m)^-", text)


def test_the_locks_hold_everything_that_is_declared() -> None:
    groups = PROJECT["dependency-groups"]
    for lock, declared in {
        "requirements.lock": [*PROJECT["project"]["dependencies"], *groups["build"]],
        "requirements-dev.lock": [*PROJECT["project"]["dependencies"], *groups["build"], *groups["dev"]],
    }.items():
        held = set(re.findall(r"(?m)^([a-z0-9-]+)==", pages.page(lock)))
        assert {re.split(r"[^a-z0-9-]", line)[0] for line in declared} <= held, lock


def test_the_readme_and_its_polish_twin_have_the_same_shape() -> None:
    english, polish = pages.page("README.md"), pages.page("README.pl.md")
    assert pages.headings(english) == pages.headings(polish)
    assert [c.line for c in pages.console(english)] == [c.line for c in pages.console(polish)]
    assert set(pages.links(english)) - {"README.pl.md"} == set(pages.links(polish)) - {"README.md"}


def test_the_readme_says_plainly_that_the_project_is_independent() -> None:
    assert "independent project" in pages.page("README.md")
    assert "not made, endorsed or supported by the\nMinistry of Finance" in pages.page("README.md")
    assert "niezależny" in pages.page("README.pl.md")


def test_the_changelog_has_the_version_of_the_project() -> None:
    assert f"## [{PROJECT['project']['version']}]" in pages.page("CHANGELOG.md")


@pytest.mark.parametrize("path", pages.PAGES, ids=lambda path: str(path.name))
def test_links_and_named_files_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    absent = {link for link in pages.links(text) if not (path.parent / link).exists()}
    named = re.findall(r"`((?:src|tests|docs|scripts|bench)/[\w./-]+)`", text)
    absent |= {name for name in named if not (pages.ROOT / name).exists()}
    assert not absent


def test_every_test_that_the_security_page_names_exists() -> None:
    here = {file.name for file in (pages.ROOT / "tests").rglob("test_*.py")}
    shown = pages.rows(pages.page("docs/security.md"), "surface")
    assert all(pages.codes(row[-1]) for row in shown)
    named = {code.rsplit("/", 1)[-1] for row in shown for code in pages.codes(row[-1]) if code.endswith(".py")}
    assert named
    assert named <= here


def test_the_sandbox_page_has_every_option_of_the_command() -> None:
    usage = re.findall(r"--[a-z]+", "\n".join(re.findall(r"(?ms)^```\n(ksef-sandbox.*?)^```$", SANDBOX)))
    options = {name for action in sandbox_cli._parser()._actions for name in action.option_strings}
    assert set(usage) | {"-h", "--help", "--version"} == options


def test_the_sandbox_page_has_every_call_of_the_management_face() -> None:
    documented = {
        (method, codes[-1])
        for call, _ in pages.rows(SANDBOX, "call", "does")
        for codes in [[part.split()[-1] for part in pages.codes(call)]]
        for method in re.findall(r"GET|POST|PUT|PATCH|DELETE", call)
    }
    served = {
        (method.upper(), management.PREFIX + path)
        for path, methods in management.create(World(seed=1)).openapi()["paths"].items()
        for method in methods
    }
    assert documented == served


def test_the_sandbox_page_has_the_table_of_switches() -> None:
    lines = ["| switch | meaning | default | instead | source |", "|---|---|---|---|---|"]
    for info in registry():
        default = str(info.default).lower() if info.kind == "bool" else str(info.default)
        instead = ", ".join(f"`{value}`" for value in info.alternatives) or "a whole number"
        lines.append(f"| `{info.name}` | {info.meaning} | `{default}` | {instead} | {info.source} |")
    assert "\n".join(lines) in SANDBOX, "docs/sandbox.md needs this table:\n" + "\n".join(lines)
    assert len(registry()) == len(Switches().as_dict())


def test_the_tree_names_no_place_of_a_machine_and_no_registry() -> None:
    forbidden = re.compile(r"/(?:wor" + r"k|home/\w+)/|pypi\." + r"org|python" + r"hosted|npm" + r"js\.(?:org|com)")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=pages.ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        path = pages.ROOT / name
        if path.is_file():
            found = forbidden.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None, f"{name}: {found}"

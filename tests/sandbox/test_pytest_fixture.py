"""What other people get from `from ksef_sandbox.pytest import ksef`, with the package installed from its wheel."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.project import pages

Outsider = Callable[..., "subprocess.CompletedProcess[str]"]
CONFTEST = "from ksef_sandbox.pytest import ksef\n"
# Of the plugins that happen to be installed here, an outsider has none.
WITHOUT = [
    f"-pno:{name}" for name in ("cacheprovider", "asyncio", "schemathesis", "hypothesispytest", "anyio", "xdist")
]
PLAIN = "[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the wheel installs, entry points included."""
    place = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place / "dist")]
    subprocess.run(build, cwd=pages.ROOT, check=True, capture_output=True)
    (wheel,) = (place / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


@pytest.fixture
def outsider(tmp_path: Path, installed: Path) -> Outsider:
    """Runs pytest as another project would, with the given files."""

    def run(*arguments: str, **files: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "pytest.ini").write_text(PLAIN)
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
        command = [sys.executable, "-m", "pytest", *WITHOUT, "--rootdir", str(tmp_path), *arguments]
        environment["PYTHONPATH"] = str(installed)
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_each_test_has_a_sandbox_of_its_own_that_waits_for_nothing(outsider: Outsider) -> None:
    ended = outsider(
        conftest=CONFTEST,
        test_mine="""
import threading, urllib.request

ADDRESSES = []

def ask(ksef):
    request = urllib.request.Request(f"{ksef.base_url}/auth/challenge", method="POST")
    return urllib.request.urlopen(request).read()

def test_one(ksef):
    ADDRESSES.append(ksef.base_url)
    for _ in range(40):
        ask(ksef)
    assert len(ksef.requests()) == 40
    ksef.advance(days=40)

def test_another(ksef):
    assert ksef.requests() == []
    assert ksef.switches["enroll_delay_ms"] == ksef.switches["auth_delay_ms"] == 0
    assert ksef.base_url not in ADDRESSES

def test_nothing_is_left():
    assert [t.name for t in threading.enumerate() if "ksef" in t.name] == []
""",
    )
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


def test_numbers_are_the_same_in_every_run_and_differ_between_tests(outsider: Outsider, tmp_path: Path) -> None:
    test = """
import pathlib, urllib.request, json

def challenge(ksef, name):
    request = urllib.request.Request(f"{ksef.base_url}/auth/challenge", method="POST")
    with pathlib.Path("numbers.txt").open("a") as file:
        file.write(json.load(urllib.request.urlopen(request))["challenge"][9:] + "\\n")

def test_one(ksef): challenge(ksef, "one")
def test_two(ksef): challenge(ksef, "two")
"""
    for _ in range(2):
        assert outsider(conftest=CONFTEST, test_mine=test).returncode == 0
    one, two, one_again, two_again = (tmp_path / "numbers.txt").read_text().split()
    assert (one, two) == (one_again, two_again)
    assert one != two


def test_marks_give_switches_and_a_seed_and_the_inner_adds_to_the_outer(outsider: Outsider) -> None:
    ended = outsider(
        test_mine="""
import pytest
from ksef_sandbox.pytest import ksef

pytestmark = pytest.mark.ksef(switches={"enroll_delay_ms": 7})

@pytest.mark.ksef(seed=5, switches={"rate_profile": "prd"})
class TestMany:
    @pytest.mark.ksef(switches={"enrollment_window": "lifetime"})
    def test_inner(self, ksef):
        found = ksef.switches
        assert (found["enroll_delay_ms"], found["rate_profile"]) == (7, "prd")
        assert (found["enrollment_window"], found["auth_delay_ms"]) == ("lifetime", 0)

    @pytest.mark.ksef(faults="mild")
    def test_faults(self, ksef):
        assert ksef.switches["fault_injection"] == "mild"

    def test_outer(self, ksef):
        assert ksef.switches["enrollment_window"] == "rolling"

@pytest.mark.ksef(switches={"enroll_delay_ms": 9})
def test_nearest_wins(ksef):
    assert ksef.switches["enroll_delay_ms"] == 9
""",
    )
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("sede=1", "@pytest.mark.ksef: takes the keywords seed, state, switches"),
        ("1", "not 1."),
        ("port=80", "not 'port'."),
        ("faults='some'", "The switch 'fault_injection' takes one of none, mild, hostile, not 'some'."),
        ("switches={'enrol_delay_ms': 1}", "There is no switch 'enrol_delay_ms'. Did you mean 'enroll_delay_ms'?"),
    ],
)
def test_a_mistake_in_a_mark_is_one_sentence(outsider: Outsider, mark: str, words: str) -> None:
    test = f"import pytest\n@pytest.mark.ksef({mark})\ndef test_mine(ksef): pass\n"
    ended = outsider(conftest=CONFTEST, test_mine=test)
    assert ended.returncode == 1
    assert words in ended.stdout
    assert "Traceback" not in ended.stdout


def test_the_mark_is_listed_and_other_peoples_runs_load_nothing_of_it(outsider: Outsider) -> None:
    assert "@pytest.mark.ksef(seed=None" in outsider("--markers").stdout
    ended = outsider(
        test_mine="""
import sys

def test_no_part_of_it_is_loaded():
    heavy = {"ksef_sandbox.embedded", "ksef_sandbox.pytest", "fastapi", "uvicorn", "pydantic", "cryptography", "lxml"}
    assert not heavy & set(sys.modules)

def test_there_is_no_fixture_that_nobody_asked_for(request):
    import pytest
    with pytest.raises(pytest.FixtureLookupError):
        request.getfixturevalue("ksef")
""",
    )
    assert ended.returncode == 0, ended.stdout


def test_the_wheel_has_the_live_page(installed: Path) -> None:
    shipped = {path.name for path in (installed / "ksef_sandbox" / "page").iterdir()}
    assert shipped == {path.name for path in (pages.ROOT / "src" / "ksef_sandbox" / "page").iterdir()}
    assert "index.html" in shipped

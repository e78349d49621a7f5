"""The command `ksef-sandbox`: what it prints, how it ends, how it refuses."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from ksef_sandbox.switches import registry

COMMAND = [sys.executable, "-c", "from ksef_sandbox.cli import main; main()"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *arguments], text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def rest_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What is printed until the end, also where a line was read before (`communicate` would pass over its buffer)."""
    assert process.stdout is not None
    assert process.stderr is not None
    rest, errors = process.stdout.read(), process.stderr.read()
    process.wait()
    return rest, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_json_prints_one_line_and_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with running("--port", "0", "--json", "--seed", "7") as process:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        assert httpx.post(f"{base_url}/auth/challenge", trust_env=False).status_code == 200
        os.kill(process.pid, number)
        rest, errors = rest_of(process)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_people_are_told_how_to_point_a_client_at_it() -> None:
    with running("--port", "0") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        os.kill(process.pid, signal.SIGINT)
        _, errors = rest_of(process)
    base_url = lines[0].split()[2]
    assert base_url.endswith("/v2")
    assert lines[1].split()[-1] == base_url.removesuffix("/v2") + "/sandbox/"
    assert f"use {base_url} wherever it has https://api-test.ksef.mf.gov.pl/v2" in lines[2]
    assert "ksef-sandbox example {curl,python,typescript,csharp,java}" in lines[3]
    assert errors == ""


def test_listening_to_the_network_is_warned_of() -> None:
    with running("--port", "0", "--host", "0.0.0.0", "--json") as process:  # noqa: S104  (what is tested)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["base_url"].startswith("http://127.0.0.1:")
        os.kill(process.pid, signal.SIGINT)
        _, errors = rest_of(process)
    assert "Warning: listening on 0.0.0.0, not only for this machine." in errors
    assert "Whoever reaches it can\nsign in as anyone" in errors


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_listening_to_this_machine_alone_is_not(host: str) -> None:
    with running("--port", "0", "--host", host, "--json") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        _, errors = rest_of(process)
    assert errors == ""


def test_a_port_in_use_is_said_clearly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--port", str(port))
    assert ended.returncode == 2
    assert ended.stderr == f"ksef-sandbox: Port {port} on 127.0.0.1 is in use by another program; choose another.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "enroll_dely_ms=0"], "There is no switch 'enroll_dely_ms'. Did you mean 'enroll_delay_ms'?"),
        (["--set", "zzz=1"], "There is no switch 'zzz'. `ksef-sandbox switches` lists them all."),
        (["--set", "enroll_delay_ms=soon"], "takes a whole number from 0 to 3153600000000, not 'soon'."),
        (["--set", "challenge_single_use=perhaps"], "takes true or false, not 'perhaps'."),
        (
            ["--set", "enrollment_window=weekly"],
            "takes one of rolling, fixed_from_first, until_30d_after_last",
        ),
        (["--set", "enroll_delay_ms"], "--set takes SWITCH=VALUE, not 'enroll_delay_ms'."),
        (["example", "cobol"], "invalid choice: 'cobol' (choose from"),
        (["example", "cobol"], "curl"),
        (["example"], "the following arguments are required: LANGUAGE"),
        (["--host", "203.0.113.1", "--port", "0"], "cannot be used"),
        (["--host", "no.such.host.invalid"], "is not an address of this machine"),
        (["--port", "70000"], "is not a port"),
        (["--state", "/nonexistent/dir/state.db", "--port", "0"], "cannot be used"),
    ],
)
def test_what_the_user_can_put_right_is_one_sentence_and_exit_code_2(arguments: list[str], words: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_switches_are_listed_for_people_and_for_programs() -> None:
    text = run("switches").stdout
    rows = json.loads(run("switches", "--json").stdout)
    assert [row["name"] for row in rows] == [info.name for info in registry()]
    for row in rows:
        assert row["name"] in text
        assert row["meaning"] in text
        assert row["source"] in text
        assert row["type"] == "int" or row["alternatives"]


def test_the_version_is_told() -> None:
    assert run("--version").stdout.startswith("ksef-sandbox ")


def test_a_profile_of_faults_is_in_force_and_says_how_to_have_the_same_run_again() -> None:
    with running("--port", "0", "--faults", "hostile", "--seed", "7") as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().split()[2]
        shown = httpx.get(f"{base_url.removesuffix('v2')}sandbox/faults", trust_env=False).json()
        os.kill(process.pid, signal.SIGINT)
        said, _ = rest_of(process)
    assert "Faults         hostile; the same run again: --faults hostile --seed 7\n" in said
    assert (shown["profile"], shown["seed"]) == ("hostile", 7)


def test_a_profile_that_does_not_exist_is_a_usage_error() -> None:
    ended = run("--faults", "cruel")
    assert ended.returncode == 2
    assert "'cruel'" in ended.stderr

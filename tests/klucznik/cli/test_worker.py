"""A worker as a process: its log, its pages, how it ends; and who looks on meanwhile."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.klucznik.cli.lines import at
from tests.klucznik.cli.scenes import COMMAND, Scene, clean, done, klucznik, process
from tests.klucznik.cli.test_issuances import filed, only, ordered


class Worker:
    """A running worker and the lines of its log."""

    def __init__(self, started: subprocess.Popen[str]) -> None:
        self._process = started
        self.lines: list[dict[str, Any]] = []

    def line(self, event: str) -> dict[str, Any]:
        """The next line of that name; those before it are kept too."""
        assert self._process.stderr is not None
        for text in self._process.stderr:
            self.lines.append(json.loads(text))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(self.lines)

    def ended_by(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        self.line("worker_stopped")
        assert self._process.stderr is not None
        assert self._process.stderr.read() == ""
        return self._process.wait(timeout=30)


@contextmanager
def worker(scene: Scene, *more: str) -> Iterator[Worker]:
    with subprocess.Popen(
        [COMMAND, "worker", *at(scene), *more],
        cwd=scene.base,
        env=clean(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield Worker(started)
        finally:
            started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_worker_after_the_present_step_and_another_goes_on(
    scene: Scene, number: signal.Signals
) -> None:
    nip = {signal.SIGTERM: "6212345678", signal.SIGINT: "6222345678"}[number]
    issuance = ordered(scene, nip)
    with worker(scene) as running:
        assert running.line("worker_started")["database"] == str(scene.home / "klucznik.db")
        assert running.line("request_filed")["issuance"] == issuance
        assert running.ended_by(number) == 0
    done("worker", "--until-idle", *at(scene))
    one = only(scene, issuance)
    assert (one["state"], one["requests_spent"], filed(scene)) == ("done", 2, 2)


def test_a_worker_serves_its_metrics_and_says_whether_it_is_ready(scene: Scene) -> None:
    with worker(scene, "--metrics-port", "0") as running:
        pages = running.line("worker_started")["pages"]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", pages)
        issuance = ordered(scene, "6232345678")
        assert running.line("ended")["issuance"] == issuance
        with httpx.Client(base_url=pages, trust_env=False) as browser:
            metrics = browser.get("/metrics")
            assert 'klucznik_issuances_ended_total{outcome="done"} 1.0' in metrics.text
            assert 'klucznik_certificates{expiry="later",type="Offline"} 1.0' in metrics.text
            assert metrics.headers["content-type"].startswith("text/plain")
            assert not re.search(r"6232345678|\d{10}", re.sub(r"_created.*|[ .]\d+", "", metrics.text))
            assert (browser.get("/healthz").status_code, browser.get("/healthz").text) == (200, "ok\n")
            assert (browser.get("/readyz").status_code, browser.get("/readyz").text) == (200, "ready\n")
            assert (browser.head("/metrics").status_code, browser.head("/metrics").content) == (200, b"")
            assert browser.get("/").status_code == 404
            assert browser.post("/metrics").status_code == 405
        assert running.ended_by(signal.SIGTERM) == 0


def test_the_log_is_json_off_a_terminal_and_text_when_asked(scene: Scene) -> None:
    ordered(scene, "6242345678")
    plain = process("worker", "--until-idle", *at(scene), cwd=scene.base)
    assert plain.code == 0
    assert {json.loads(line)["level"] for line in plain.err.splitlines()} == {"info"}
    assert "Zakończono" in plain.out
    asked = process("worker", "--until-idle", *at(scene), cwd=scene.base, variables={"KLUCZNIK_LOG_FORMAT": "text"})
    assert "worker_started" in asked.err
    assert not asked.err.startswith("{")
    quiet = process("worker", "--until-idle", "--log-level", "error", "--json", *at(scene), cwd=scene.base)
    assert (quiet.err, quiet.data) == ("", {"outcome": "worker_stopped"})


def test_watching_draws_until_everything_shown_has_ended(scene: Scene) -> None:
    issuance = ordered(scene, "6252345678")
    reader, writer = pty.openpty()
    environment = {**clean(os.environ), "TERM": "xterm-256color", "COLUMNS": "80"}
    command = [str(COMMAND), "status", issuance, "--watch", *at(scene)]
    with subprocess.Popen(command, cwd=scene.base, env=environment, stdin=writer, stdout=writer) as watching:
        os.close(writer)
        sent = b""
        while b"zlecone" not in sent:
            sent += os.read(reader, 65536)
        done("worker", "--until-idle", *at(scene))
        try:
            while piece := os.read(reader, 65536):
                sent += piece
        except OSError:  # the other end of the terminal is closed
            pass
        finally:
            os.close(reader)
        assert watching.wait(timeout=60) == 0
    after = sent.decode().rpartition("zlecone")[2]
    assert "gotowe" in after
    assert "w skarbcu i sprawdzony" in after


@pytest.mark.parametrize("command", [("--help",), ("worker", "--help"), ("status",), ("issue", "--detach")])
def test_only_a_worker_loads_what_logs_and_measures(scene: Scene, command: tuple[str, ...]) -> None:
    cert, key = scene.seal(nip="6262345678")
    own = ("--nip", "6262345678", "--cert", cert, "--key", key) if command[0] == "issue" else ()
    script = (
        "import sys; from klucznik.cli.entry import run; code = run(sys.argv[1:]); "
        "print(*[m for m in ('structlog', 'prometheus_client', 'uvicorn') if m in sys.modules], file=sys.stderr); "
        "sys.exit(code)"
    )
    line = [sys.executable, "-c", script, *command, *own, *at(scene)]
    ran = subprocess.run(line, cwd=scene.base, env=clean(os.environ), capture_output=True, text=True, check=True)
    assert ran.stderr.splitlines()[-1] == ""


def test_metrics_alone_load_what_measures(scene: Scene) -> None:
    script = (
        "import sys; from klucznik.cli.entry import run; run(sys.argv[1:]); "
        "print(*[m for m in ('prometheus_client', 'uvicorn') if m in sys.modules])"
    )
    line = [sys.executable, "-c", script, "worker", "--until-idle", *at(scene), "--json"]
    ran = subprocess.run(line, cwd=scene.base, env=clean(os.environ), capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == ""


def test_a_worker_that_cannot_serve_its_pages_begins_nothing(scene: Scene) -> None:
    ordered(scene, "6272345678")
    before = len(scene.ksef.requests())
    port = scene.ksef.base_url.rpartition(":")[2].partition("/")[0]
    ran = klucznik("worker", "--until-idle", "--metrics-port", port, *at(scene))
    assert (ran.code, len(scene.ksef.requests())) == (2, before)
    assert Path(scene.home / "klucznik.db").exists()

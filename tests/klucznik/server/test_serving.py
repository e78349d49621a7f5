"""`klucznik serve` as a process of its own: ready after one command, stopped without losing what was asked."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from tests.klucznik.cli.scenes import COMMAND, clean
from tests.klucznik.server.tls_files import tls_files

from klucznik.operations.serving import listen, served, url_of
from klucznik.server.layers import EndingStreams, Streams
from ksef_sandbox import Sandbox


@dataclass(frozen=True)
class Served:
    """A process that serves, and what it said at its start."""

    process: subprocess.Popen[str]
    said: dict[str, str]

    @property
    def url(self) -> str:
        return self.said["url"]

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", urlsplit(self.url).port or 0

    def line_with(self, fact: str) -> dict[str, object]:
        """The next line of its log that tells that."""
        assert self.process.stderr is not None
        return next(line for line in map(json.loads, self.process.stderr) if fact in line)

    def log(self) -> list[dict[str, object]]:
        """Its lines, once it has ended."""
        assert self.process.stderr is not None
        return [json.loads(line) for line in self.process.stderr]


@contextmanager
def serving(home: Path, *more: str) -> Iterator[Served]:
    command = [str(COMMAND), "serve", "--home", str(home), "--port", "0", "--json", *more]
    with subprocess.Popen(
        command,
        env=clean(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            while not said.endswith("}\n"):
                line = process.stdout.readline()
                assert line, process.stderr and process.stderr.read()
                said += line
            yield Served(process, json.loads(said))
        finally:
            process.kill()


def test_one_command_on_an_empty_directory_serves_pages_and_says_how_it_is(tmp_path: Path) -> None:
    with Sandbox() as ksef, serving(tmp_path / "home", "--ksef-url", ksef.base_url, "--metrics-port", "0") as running:
        with httpx.Client(base_url=running.url, trust_env=False) as browser:
            assert browser.get("/healthz").text == "ok\n"
            assert browser.get("/readyz").text == "ready\n"
            page = browser.get("/no/such/page", params={"token": "sekret"})
            assert (page.status_code, "Klucznik" in page.text) == (404, True)
            assert browser.get("/metrics").status_code == 404
            assert browser.post("/language", data={"language": "en"}).status_code == 303
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=60) == 0
        log = running.log()
        assert log[-1]["event"] == "stopped"
        metrics = next(line for line in log if line["event"] == "metrics")
        assert str(metrics["pages"]).startswith("http://127.0.0.1:")
        requests = [(line.get("route"), line["status"]) for line in log if line["event"] == "request"]
        assert requests == [(None, 404), (None, 404), ("/language", 303)]
        assert "sekret" not in str(log)


def test_a_request_under_way_is_answered_after_the_signal_and_no_new_one_is_taken(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--no-worker") as running, socket.create_connection(running.address) as upload:
        body = b"language=en"
        upload.sendall(
            b"POST /language HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(body), body[:5])
        )
        with httpx.Client(base_url=running.url, trust_env=False) as browser:
            browser.get("/healthz")  # what was sent before this has arrived
        running.process.send_signal(signal.SIGTERM)
        _until_refused(running.address)
        upload.sendall(body[5:])
        assert upload.makefile("rb").readline() == b"HTTP/1.1 303 See Other\r\n"
        assert running.process.wait(timeout=60) == 0


async def test_only_a_named_proxy_is_believed_who_asks_and_how() -> None:
    async def told(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.url.scheme} {request.client and request.client.host}")

    app = Starlette(routes=[Route("/", told)])
    said = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
    for proxies, seen in (
        ((), "http 127.0.0.1"),
        (("10.0.0.1",), "http 127.0.0.1"),
        (("127.0.0.0/8",), "https 203.0.113.9"),
    ):
        with listen("127.0.0.1", 0, option="--port") as listening:
            async with (
                served(app, listening, finish_within_s=60, proxies=proxies),
                httpx.AsyncClient(base_url=url_of(listening), trust_env=False) as client,
            ):
                assert (await client.get("/", headers=said)).text == seen


def test_a_second_signal_waits_for_nobody(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--no-worker") as running, socket.create_connection(running.address) as upload:
        upload.sendall(b"POST /language HTTP/1.1\r\nhost: localhost\r\ncontent-length: 11\r\n\r\nlang")
        with httpx.Client(base_url=running.url, trust_env=False) as browser:
            browser.get("/healthz")
        running.process.send_signal(signal.SIGTERM)
        _until_refused(running.address)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=60) == 0


def _until_refused(address: tuple[str, int]) -> None:
    for _ in range(6_000):
        try:
            socket.create_connection(address).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass  # it had been waiting to be taken when the port was closed
        time.sleep(0.01)
    pytest.fail("the port was never closed")


def test_with_its_files_it_speaks_tls_and_reads_them_again_on_sighup(tmp_path: Path) -> None:
    files = tls_files(tmp_path)
    given = ("--tls-cert", str(files["cert"]), "--tls-key", str(files["key"]))
    with serving(tmp_path / "home", "--no-worker", *given) as running:
        assert running.url.startswith("https://localhost:")
        shown = _certificate_of(running)
        assert ssl.DER_cert_to_PEM_cert(shown) == files["cert"].read_text()
        tls_files(tmp_path)
        running.process.send_signal(signal.SIGHUP)
        for _ in range(6_000):
            if _certificate_of(running) != shown:
                break
            time.sleep(0.01)
        assert ssl.DER_cert_to_PEM_cert(_certificate_of(running)) == files["cert"].read_text()
        files["key"].write_text("no key")
        running.process.send_signal(signal.SIGHUP)
        assert running.line_with("reason")["reason"] == "tls_key_malformed"
        _certificate_of(running)


def _certificate_of(running: Served) -> bytes:
    """The one that it shows to whoever connects."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(running.address) as connection,
        trusting.wrap_socket(connection, server_hostname="localhost") as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


async def test_a_stream_of_events_ends_whole_when_it_is_time(tmp_path: Path) -> None:
    cleaned_up = asyncio.Event()

    async def events() -> AsyncIterator[str]:
        try:
            yield "data: 1\n\n"
            await asyncio.Event().wait()
        finally:
            cleaned_up.set()

    async def endpoint(_: Request) -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream")

    streams = Streams()
    app = EndingStreams(Starlette(routes=[Route("/", endpoint)]), streams)
    with listen("127.0.0.1", 0, option="--port") as listening:
        async with (
            served(app, listening, finish_within_s=60),
            httpx.AsyncClient(base_url=url_of(listening), trust_env=False) as client,
            client.stream("GET", "/") as answer,
        ):
            lines = answer.aiter_lines()
            assert await anext(lines) == "data: 1"
            streams.end()
            assert [line async for line in lines] == [""]  # and no error: the answer is whole
            await cleaned_up.wait()

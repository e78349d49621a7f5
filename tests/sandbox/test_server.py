"""What comes over the socket before it is a request: huge, half or nonsense; others are served meanwhile."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from tests.sandbox.driver import Driver

from ksef_sandbox import Sandbox

START = b"POST /v2/auth/challenge HTTP/1.1\r\nHost: localhost\r\n"


def connect(ksef: Sandbox) -> socket.socket:
    host, port = ksef.base_url.split("/")[2].split(":")
    connection = socket.create_connection((host, int(port)))
    connection.settimeout(60)
    return connection


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\xff no HTTP at all\r\n\r\n", b"400"),
        (START + b"Content-Length: -5\r\n\r\n", b"400"),
        (START + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (START + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", b"400"),
        (b"GET /v2/" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (START + b"X: y\r\n" * 50_000 + b"Content-Length: 0\r\n\r\n", b"200"),
        (START + b"X: " + b"y" * 1_000_000 + b"\r\nContent-Length: 0\r\n\r\n", b"200"),
    ],
    ids=["nonsense", "negative length", "two lengths", "bad chunk", "long path", "many headers", "long header"],
)
def test_a_strange_start_of_a_request_is_answered_and_harms_nobody(
    ksef: Sandbox, driver: Driver, sent: bytes, status: bytes
) -> None:
    with connect(ksef) as connection:
        connection.sendall(sent)
        assert connection.recv(100).split()[1] == status
    assert driver.challenge()


def test_clients_that_never_finish_their_request_keep_nobody_waiting(ksef: Sandbox, driver: Driver) -> None:
    slow = [connect(ksef) for _ in range(100)]
    for connection in slow:
        connection.sendall(START)
    assert driver.challenge()
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("in_chunks", [True, False])
def test_bodies_have_a_limit_on_both_faces(ksef: Sandbox, in_chunks: bool) -> None:
    def chunks() -> Iterator[bytes]:
        yield from [b" " * 500_000] * 20

    for url in (f"{ksef.base_url}/testdata/person", f"{ksef.management_url}/clock"):
        body = chunks() if in_chunks else b" " * 10_000_000
        with httpx.Client(trust_env=False) as client:
            answer = client.post(url, content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")

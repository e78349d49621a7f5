"""The pipeline's hook points: before anything happens, after it is safe, and on every answer."""

import socket

import httpx
import pytest
from starlette.responses import Response

from ksef_sandbox import Sandbox
from ksef_sandbox.app import create_app
from ksef_sandbox.errors import HttpProblem, TooManyRequests
from ksef_sandbox.pipeline import Call, Hook
from ksef_sandbox.state import World


class LosesAnswers(Hook):
    """Applies the request and answers something else."""

    async def after_commit(self, call: Call, response: Response) -> Response:
        return Response(status_code=502)


class Refuses(Hook):
    async def before_apply(self, call: Call) -> None:
        raise TooManyRequests(30, "Przekroczono limit 30 żądań na minutę. Spróbuj ponownie po 30 sekundach.")


class Breaks(Hook):
    async def before_apply(self, call: Call) -> None:
        raise RuntimeError("a fault of the sandbox itself")


class Marks(Hook):
    async def on_answer(self, call: Call, response: Response) -> Response:
        response.headers["X-Refused"] = type(call.refused).__name__
        return response


async def ask(world: World, *hooks: Hook, path: str = "/v2/auth/challenge") -> httpx.Response:
    transport = httpx.ASGITransport(create_app(world, hooks))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        return await client.post(path)


async def test_a_lost_answer_does_not_undo_what_was_applied() -> None:
    world = World(seed=1)
    assert (await ask(world, LosesAnswers())).status_code == 502
    assert len(world.challenges) == 1
    assert [entry.status for entry in world.log.find()] == [502]


async def test_a_refusal_before_applying_changes_nothing() -> None:
    world = World(seed=1)
    response = await ask(world, Refuses(), Marks())
    assert (response.status_code, response.headers["Retry-After"]) == (429, "30")
    assert response.headers["X-Refused"] == TooManyRequests.__name__
    assert len(world.challenges) == 0


async def test_every_answer_passes_the_last_hook() -> None:
    response = await ask(World(seed=1), Marks(), path="/v2/nothing")
    assert (response.status_code, response.headers["X-Refused"]) == (404, HttpProblem.__name__)
    assert (await ask(World(seed=1), Marks())).headers["X-Refused"] == "NoneType"


def test_a_client_that_goes_away_in_the_middle_changes_nothing_and_is_logged(
    ksef: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = ksef.base_url.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as client:
        head = "POST /v2/auth/xades-signature HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\n"
        client.sendall(f"{head}Content-Length: 100\r\n\r\n<half".encode())
        client.shutdown(socket.SHUT_WR)
        client.recv(1)
    (entry,) = ksef.requests()
    assert (entry.route, entry.status) == ("/auth/xades-signature", 400)
    assert caplog.records == []


async def test_a_fault_of_the_sandbox_is_a_500_in_ksefs_form() -> None:
    response = await ask(World(seed=1), Breaks())
    assert response.status_code == 500
    assert response.json()["exception"]["exceptionDetailList"][0]["exceptionCode"] == 500

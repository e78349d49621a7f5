"""Events by the API: the list goes on where one was, the stream resumes, and a key of one company hears of no other."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
from tests.klucznik.api.worlds import BASE, connected, program, reason
from tests.klucznik.receivers import happened
from tests.klucznik.web.worlds import SETTINGS
from tests.klucznik.world import installed, some_nip
from tests.project import pages

from klucznik.domain.events import Kind
from klucznik.operations.serving import listen, served, url_of
from klucznik.server.app import create_app
from klucznik.services.accounts.api_keys import list_keys, revoke_key
from klucznik.services.installation import Installation
from ksef_sandbox import Sandbox


@asynccontextmanager
async def stream(
    klucznik: Installation, caller: httpx.AsyncClient, last: str | None = None, **params: str
) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """The events of a stream as they come, by a server of its own: in this process httpx would wait for its end."""
    async with served_here(klucznik) as url, read(url, caller, last, **params) as heard:
        yield heard


@asynccontextmanager
async def served_here(klucznik: Installation) -> AsyncIterator[str]:
    with listen("127.0.0.1", 0, option="--port") as listening:
        async with served(create_app(klucznik, SETTINGS), listening, finish_within_s=1):
            yield url_of(listening)


@asynccontextmanager
async def read(
    url: str, caller: httpx.AsyncClient, last: str | None = None, **params: str
) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """The events of a stream as they come, until whoever reads it leaves."""
    headers = {"authorization": caller.headers["authorization"], **({} if last is None else {"last-event-id": last})}
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False, headers=headers, timeout=60) as client,
        client.stream("GET", "/api/v1/events/stream", params=params) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _told(answer)


async def _told(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "id" in fields:
            yield fields
            fields = {}


async def test_the_list_is_followed_from_where_one_was(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "see") as caller:
        nip = await connected(klucznik, ksef)
        first = (await caller.get("/events", params={"limit": 3})).json()
        assert [one["type"] for one in first["items"]] == [
            "issuance.ordered",
            "certificate.issued",
            "certificate.issued",
        ]
        assert first["more"]
        second = (await caller.get("/events", params={"after": first["next"]})).json()
        assert [one["type"] for one in second["items"]] == ["connection.made", "issuance.done"]
        assert {one["nip"] for one in first["items"] + second["items"]} == {nip}
        third = (await caller.get("/events", params={"after": second["next"]})).json()
        assert third == {"items": [], "next": second["next"], "more": False}
        await happened(klucznik, nip)
        fourth = (await caller.get("/events", params={"after": third["next"]})).json()
        assert [one["type"] for one in fourth["items"]] == ["connection.removed"]
        chosen = (await caller.get("/events", params={"type": ["connection.made", "connection.removed"]})).json()
        assert [one["type"] for one in chosen["items"]] == ["connection.made", "connection.removed"]
        for wrong in ({"after": "yesterday"}, {"type": "no.such"}, {"limit": 0}):
            assert reason(await caller.get("/events", params=wrong)) == "request_malformed"


async def test_a_key_of_one_company_hears_of_no_other(ksef: Sandbox, tmp_path: Path) -> None:
    mine, theirs = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "see", nip=mine) as caller:
        await happened(klucznik, theirs)
        await happened(klucznik, mine)
        found = (await caller.get("/events")).json()
        assert [one["nip"] for one in found["items"]] == [mine]
        async with stream(klucznik, caller, last="0") as heard:
            await happened(klucznik, theirs)
            await happened(klucznik, mine)
            for _ in range(2):
                assert json.loads((await anext(heard))["data"])["nip"] == mine


async def test_a_stream_resumes_after_the_last_event_that_came(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "see") as caller:
        nips = [some_nip() for _ in range(3)]
        await happened(klucznik, some_nip())  # before anybody listened
        async with stream(klucznik, caller) as heard:
            await happened(klucznik, nips[0])
            first = await anext(heard)
        for nip in nips[1:]:
            await happened(klucznik, nip)  # nobody listens
        async with stream(klucznik, caller, last=first["id"], type=Kind.CONNECTION_REMOVED) as heard:
            others = [await anext(heard) for _ in range(2)]
    told = [json.loads(one["data"]) for one in (first, *others)]
    assert [one["nip"] for one in told] == nips
    assert [one["id"] for one in told] == [one["id"] for one in (first, *others)]
    assert {one["event"] for one in (first, *others)} == {"connection.removed"}


async def test_a_server_tells_events_again_after_all_who_followed_have_left(ksef: Sandbox, tmp_path: Path) -> None:
    async with (
        installed(tmp_path, ksef) as klucznik,
        program(klucznik, "see") as caller,
        served_here(klucznik) as url,
    ):
        for _ in range(3):
            async with asyncio.timeout(60), read(url, caller) as heard:
                await happened(klucznik, nip := some_nip())
                assert json.loads((await anext(heard))["data"])["nip"] == nip


async def test_the_example_of_the_page_follows_a_stream(ksef: Sandbox, tmp_path: Path) -> None:
    _, example = re.findall(r"(?ms)^```python\n(.*?)^```$", pages.page("docs/webhooks.md"))
    names: dict[str, Callable[[str, str, str], Iterator[dict[str, object]]]] = {}
    exec(example, names)  # noqa: S102
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "see") as caller:
        await happened(klucznik, nip := some_nip())
        key = caller.headers["authorization"].removeprefix("Bearer ")
        async with served_here(klucznik) as url:
            events = names["follow"](url, key, "0")
            first = await asyncio.to_thread(next, events)
            cast(Generator[object, None, None], events).close()
    assert first["nip"] == nip


async def test_a_stream_is_not_open_without_a_key(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "notify") as caller:
        refused = await caller.get(f"{BASE}/events/stream")
        assert (refused.status_code, reason(refused)) == (403, "scope_missing")


async def test_a_stream_ends_when_its_key_is_revoked_and_tells_nothing_more(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "see") as caller:
        await happened(klucznik, some_nip())
        async with stream(klucznik, caller, last="0") as heard:
            assert (await anext(heard))["event"] == Kind.CONNECTION_REMOVED
            (key,) = await list_keys(klucznik)
            await revoke_key(klucznik, key.id)
            await happened(klucznik, some_nip())
            assert [one async for one in heard] == []

"""The audit log over the API: narrowed down, page by page; to a key of one company its own part of it."""

import json
from pathlib import Path

import httpx
from tests.klucznik.api.worlds import connected, program, reason
from tests.klucznik.world import context_of, installed, some_nip

from klucznik.api.paging import cursor_of, key_in
from klucznik.domain.audit import Head, Record
from klucznik.services import audit
from klucznik.services.renewal.after_renewal import change_after_renewal
from ksef_sandbox import Sandbox


async def all_of(caller: httpx.AsyncClient, **query: str | int) -> list[dict[str, object]]:
    """Every row that is wanted, by the `Link` from page to page."""
    found: list[dict[str, object]] = []
    answer = await caller.get("/audit", params=query)
    while True:
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next"] is None:
            return found
        answer = await caller.get(answer.links["next"]["url"].removeprefix("/api/v1"))


async def test_the_log_is_read_to_its_end_as_it_is_exported(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "audit") as caller:
        for _ in range(2):
            await connected(klucznik, ksef)
        exported: list[Record | Head] = []
        await audit.export(klucznik, exported.append)
        rows = {(one.chain, one.number): one for one in exported if isinstance(one, Record)}
        told = await all_of(caller, limit=7)
        moments = [str(one["at"]) for one in told]
        assert moments == sorted(moments, reverse=True)
        assert len(told) == len(rows) > 20
        for one in told:
            seal = one["seal"]
            assert isinstance(seal, dict)
            row = rows[seal["chain"], seal["number"]]
            assert (one["at"], one["event"], one["actor"], one["issuance"]) == (
                row.at,
                row.event,
                row.actor,
                row.issuance_id,
            )
            assert (one["facts"], seal["mac"]) == (json.loads(row.facts), row.mac.hex())
            assert one["text"]


async def test_it_is_narrowed_down_by_company_event_and_time(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        ours = await connected(klucznik, ksef)
        ksef.advance(hours=1)
        other = await connected(klucznik, ksef)
        ended = await all_of(caller, event="issuance_ended")
        assert [one["event"] for one in ended] == ["issuance_ended"] * 2
        assert {one["event"] for one in await all_of(caller, nip=ours)} > {"issuance_ordered", "connection_made"}
        (one,) = await all_of(caller, nip=ours, event="issuance_ended")
        assert one == ended[1]
        assert await all_of(caller, event="issuance_ended", since=str(ended[0]["at"])) == [ended[0]]
        assert await all_of(caller, event="issuance_ended", until=str(ended[0]["at"])) == [ended[1]]
        assert await all_of(caller, nip=some_nip()) == []
        polish = await caller.get("/audit", params={"nip": other}, headers={"accept-language": "pl"})
        assert polish.json()["items"][0]["text"] != (await all_of(caller, nip=other))[0]["text"]


async def test_what_cannot_be_looked_for_is_told(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        for query, why in (
            ({"event": "issuance_endet"}, "request_malformed"),
            ({"since": "yesterday"}, "request_malformed"),
            ({"since": "2026-11-23T14:05:00+01:00"}, "request_malformed"),
            ({"until": "2026-02-30T00:00:00Z"}, "moment_malformed"),
            ({"after": "WyJhIiwiYiIsImMiXQ"}, "cursor_malformed"),
            ({"after": "x"}, "cursor_malformed"),
            ({"after": cursor_of("2026-11-23T14:05:00.000000Z", "00" * 16)}, "cursor_malformed"),
        ):
            refused = await caller.get("/audit", params=query)
            assert (refused.status_code, reason(refused)) == (422, why), query
        misspelt = (await caller.get("/audit", params={"event": "issuance_endet"})).json()["errors"]
        assert [(one["pointer"], one["code"]) for one in misspelt] == [("/event", "not_one_of_these")]
        assert "issuance_ended" in misspelt[0]["detail"]


async def test_a_key_of_one_company_sees_its_part_and_nothing_of_the_machine(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        mine, other = await connected(klucznik, ksef), await connected(klucznik, ksef)
        await change_after_renewal(klucznik, context_of(mine), hook=Path("/usr/bin/true"))
        async with program(klucznik) as everybody, program(klucznik, "audit", nip=mine) as bound:
            told = await all_of(bound)
            whole = await all_of(everybody, nip=mine)
            assert [one["at"] for one in told] == [one["at"] for one in whole]
            assert all(one["seal"] is None for one in told)
            for of_the_machine in (klucznik.owner, "/usr/bin/true"):
                assert of_the_machine in str(whole)
                assert of_the_machine not in str(told)
            assert other not in str(told)
            refused = await bound.get("/audit", params={"nip": other})
            assert (refused.status_code, reason(refused)) == (404, "not_connected")


async def test_a_cursor_tells_neither_the_subject_nor_how_much_was_done(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        mine = await connected(klucznik, ksef)
        async with program(klucznik, "audit", nip=mine) as bound:
            page = (await bound.get("/audit", params={"limit": 2})).json()
            at, mark = key_in(page["next"], 2)
            assert at == page["items"][-1]["at"]
            assert len(bytes.fromhex(mark)) == 16
            told = await all_of(bound, limit=2)
        assert len(told) == len({json.dumps(one) for one in told}) > 4

"""Issuances over the API: ordered once however often they are asked for, refused as an outcome, with ways out."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update
from tests.klucznik.api.worlds import connected, program, reason, stranger, subject_of
from tests.klucznik.cli.scenes import COMMAND, clean
from tests.klucznik.onboardings import signed
from tests.klucznik.world import (
    accepted,
    context_of,
    filed,
    installed,
    person,
    set_limits,
    some_nip,
    some_pesel,
)

from klucznik.api.models.issuances import NewIssuance
from klucznik.domain.connections import Method
from klucznik.domain.issuance import Issuance
from klucznik.services import onboarding as onboardings
from klucznik.services.accounts.api_keys import make_key
from klucznik.services.accounts.idempotency import Answer, Claim, once
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.issue import issue, order
from klucznik.storage import schema_people as tables
from ksef_sandbox import Sandbox


@asynccontextmanager
async def at_work(klucznik: Installation) -> AsyncIterator[None]:
    """A worker in the same process, as `klucznik serve` has one."""
    engine = Engine(klucznik)
    running = asyncio.create_task(engine.run())
    try:
        yield
    finally:
        engine.stop()
        await running


def another(nip: str) -> dict[str, object]:
    return {"nip": nip, "another_pair": True}


async def test_an_order_is_carried_out_once_however_often_it_is_sent(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller, at_work(klucznik):
        nip = await connected(klucznik, ksef)
        spent = len(filed(ksef, subject_of(nip)))
        key = {"idempotency-key": "order-1", "prefer": "wait=60"}
        first = await caller.post("/issuances", json=another(nip), headers=key)
        assert (first.status_code, first.headers["preference-applied"]) == (201, "wait=60")
        issuance = first.json()["issuance"]
        assert (issuance["state"], issuance["requests_spent"]) == ("done", 2)
        assert first.json()["outcome"] == "issued"
        certificates = first.json()["certificates"]
        assert [one["serial"] for one in certificates] == [one["serial"] for one in issuance["requests"]]
        assert all(one["verified"] for one in certificates)
        looked_at = (await caller.get(first.headers["location"].removeprefix("/api/v1"))).json()
        assert looked_at == {**issuance, "certificates": certificates}
        again = await caller.post("/issuances", json=another(nip), headers=key)
        assert (again.status_code, again.content) == (201, first.content)
        assert (again.headers["location"], again.headers["idempotency-replayed"]) == (first.headers["location"], "true")
        assert len(filed(ksef, subject_of(nip))) == spent + 2
        held = await caller.post("/issuances", json={"nip": nip}, headers={"idempotency-key": "order-2"})
        assert (held.status_code, held.json()["outcome"]) == (200, "already_held")
        assert len(held.json()["certificates"]) == 2


async def test_a_refusal_by_the_limits_is_an_outcome_with_ways_out(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller, at_work(klucznik):
        nip = await connected(klucznik, ksef)
        go = (await caller.get(f"/connections/{nip}/preflight", params={"another_pair": True})).json()
        assert (go["outcome"], go["needed"]) == ("go", 2)
        assert (await caller.get(f"/connections/{nip}/preflight")).json()["outcome"] == "already_held"
        set_limits(ksef, subject_of(nip), enrollment=3)
        spent = len(filed(ksef, subject_of(nip)))
        ahead = (await caller.get(f"/connections/{nip}/preflight?another_pair=true")).json()
        headers = {"idempotency-key": "order-1", "prefer": "wait=60"}
        ordered = await caller.post("/issuances", json=another(nip), headers=headers)
        assert (ordered.status_code, ordered.json()["issuance"]["state"]) == (201, "refused")
        assert (ordered.json()["outcome"], ordered.json()["certificates"]) == ("refused", [])
        remedies = await caller.get(ordered.headers["location"].removeprefix("/api/v1") + "/remedies")
        for refusal in (ahead, remedies.json()):
            assert refusal["outcome"] == "refused"
            assert [one["code"] for one in refusal["reasons"]] == ["request_limit_below_needed"]
            assert refusal["remedies"]
            assert all(one["title"] and one["text"] for one in refusal["remedies"])
        assert len(filed(ksef, subject_of(nip))) == spent
        set_limits(ksef, subject_of(nip), enrollment=9)
        assert (await caller.get(str(remedies.url))).json()["outcome"] == "go"


async def test_an_order_that_waits_for_limits_is_followed_and_called_off(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller, at_work(klucznik):
        nip = await connected(klucznik, ksef)
        set_limits(ksef, subject_of(nip), enrollment=3)
        body = {**another(nip), "wait_for_limits": True}
        headers = {"idempotency-key": "order-1", "prefer": "respond-async, wait=60"}
        ordered = (await caller.post("/issuances", json=body, headers=headers)).json()
        issuance = ordered["issuance"]
        assert ordered["outcome"] == "ordered"
        assert (issuance["state"], issuance["waits_for"]) == ("planned", "limits")
        assert (await caller.get(f"/issuances/{issuance['id']}/remedies")).json()["outcome"] == "refused"
        called_off = (await caller.post(f"/issuances/{issuance['id']}/cancellation")).json()
        assert (called_off["issuance"]["state"], called_off["requests_saved"]) == ("cancelled", 2)
        again = await caller.post(f"/issuances/{issuance['id']}/cancellation")
        assert (again.status_code, reason(again)) == (409, "issuance_ended")
        late = await caller.get(f"/issuances/{issuance['id']}/remedies")
        assert (late.status_code, reason(late)) == (409, "issuance_not_refused")


async def test_the_list_of_issuances_is_paged_and_a_key_of_one_company_sees_its_own(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        ours, others = await connected(klucznik, ksef), await connected(klucznik, ksef)
        async with program(klucznik) as everywhere, program(klucznik, "see", "issue", nip=ours) as bound:
            first = (await everywhere.get("/issuances?limit=1")).json()
            second = (await everywhere.get("/issuances", params={"limit": 1, "after": first["next"]})).json()
            assert [one["context"]["value"] for page in (first, second) for one in page["items"]] == [others, ours]
            assert (second["next"], (await everywhere.get("/issuances?running=true")).json()["items"]) == (None, [])
            mine = (await bound.get("/issuances")).json()["items"]
            assert [one["context"]["value"] for one in mine] == [ours]
            theirs = first["items"][0]["id"]
            for method, path in (("GET", ""), ("GET", "/remedies"), ("POST", "/cancellation")):
                refused = await bound.request(method, f"/issuances/{theirs}{path}")
                nobodys = await bound.request(method, f"/issuances/{'0' * 32}{path}")
                assert (refused.status_code, reason(refused)) == (404, "issuance_unknown")
                assert refused.json()["detail"].replace(theirs, "0" * 32) == nobodys.json()["detail"]
            assert reason(await bound.get("/issuances", params={"after": first["next"]})) == "cursor_malformed"
            assert reason(await bound.get("/issuances", params={"nip": others})) == "not_connected"
            for path in ("/issuances", "/renewals"):
                order = await bound.post(path, json={"nip": others}, headers={"idempotency-key": "1"})
                assert (order.status_code, reason(order)) == (404, "not_connected")


async def test_a_renewal_spends_nothing_before_it_is_due(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        nip = await connected(klucznik, ksef)
        early = await caller.post("/renewals", json={"nip": nip}, headers={"idempotency-key": "1"})
        (one,) = early.json()["items"]
        assert (early.status_code, one["due"], one["issuance"]) == (201, [], None)
        ksef.advance(days=720)
        async with program(klucznik) as later:
            due = await later.post("/renewals", json={"nip": nip}, headers={"idempotency-key": "1"})
            (one,) = due.json()["items"]
            assert one["due"] == ["Authentication", "Offline"]
            assert one["issuance"]["missing"] == ["Authentication", "Offline"]


async def test_a_server_that_is_killed_after_the_order_spends_nothing_twice(ksef: Sandbox, tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with installed(home, ksef) as klucznik:
        nip = await connected(klucznik, ksef)
        secret, _ = await make_key(klucznik, "a program", ["issue", "see"], days=3)
        spent = len(accepted(ksef, subject_of(nip)))
        headers = {"authorization": f"Bearer {secret}", "idempotency-key": "order-1", "prefer": "wait=60"}
        command = [str(COMMAND), "serve", "--home", str(home), "--port", "0", "--no-worker", "--json"]
        serve = [*command, "--ksef-url", ksef.base_url]
        with subprocess.Popen(
            serve, env=clean(os.environ), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            url = _url(process)
            async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=90) as caller:
                asking = asyncio.create_task(caller.post("/issuances", json=another(nip)))
                running: list[dict[str, str]] = []
                while not running:  # ordered, and the caller still waits: no worker is there
                    running = (await caller.get("/issuances?running=true")).json()["items"]
                process.send_signal(signal.SIGKILL)
                (lost,) = await asyncio.gather(asking, return_exceptions=True)
                assert isinstance(lost, httpx.TransportError)
        ksef.advance(minutes=2)  # the lease of the dead process, if it had not given it back, is over
        await Engine(klucznik).run_until_idle()
        async with program(klucznik) as caller:
            caller.headers.update(headers)
            again = await caller.post("/issuances", json=another(nip))
            assert (again.status_code, again.json()["issuance"]["id"]) == (201, running[0]["id"])
            assert again.json()["issuance"]["state"] == "done"
        assert len(accepted(ksef, subject_of(nip))) == spent + 2


def _url(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    said = ""
    while not said.endswith("}\n"):
        line = process.stdout.readline()
        assert line
        said += line
    return str(json.loads(said)["url"])


async def test_a_request_that_broke_off_before_it_made_anything_is_taken_over_later(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        secret, key = await make_key(klucznik, "a program", ["issue"], days=3)
        nip = await connected(klucznik, ksef)
        begun = asyncio.Event()

        async def never(_: Claim) -> Answer:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        asked = f"POST /api/v1/issuances\n{NewIssuance(nip=nip).model_dump_json()}".encode()
        hanging = asyncio.create_task(once(klucznik, key.principal.id, "order-1", asked, never))
        await begun.wait()
        headers = {"authorization": f"Bearer {secret}", "idempotency-key": "order-1"}
        async with program(klucznik) as caller:
            caller.headers.update(headers)
            busy = await caller.post("/issuances", json={"nip": nip})
            assert (busy.status_code, reason(busy)) == (409, "idempotency_key_in_use")
            ksef.advance(seconds=timedelta(minutes=5).total_seconds())
            assert (await caller.post("/issuances", json={"nip": nip})).status_code == 200
        hanging.cancel()
        await asyncio.wait({hanging})
        async with program(klucznik) as caller:  # what was answered meanwhile stays answered
            caller.headers.update(headers)
            assert (await caller.post("/issuances", json={"nip": nip})).headers["idempotency-replayed"] == "true"


async def test_an_error_is_not_kept_and_an_answer_is_for_a_day(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        nip, headers = some_nip(), {"idempotency-key": "order-1"}
        assert reason(await caller.post("/issuances", json={"nip": nip}, headers=headers)) == "not_connected"
        await connected(klucznik, ksef, nip)
        first = await caller.post("/issuances", json={"nip": nip}, headers=headers)
        assert (first.status_code, "idempotency-replayed" in first.headers) == (200, False)

        async def replayed(whose: httpx.AsyncClient) -> bool:
            answer = await whose.post("/issuances", json={"nip": nip}, headers=headers)
            return "idempotency-replayed" in answer.headers

        async with program(klucznik) as other:
            assert not await replayed(other)  # with another key of the API it is another request
        ksef.advance(hours=23)
        assert await replayed(caller)
        ksef.advance(hours=2)
        assert not await replayed(caller)


async def test_a_key_of_one_company_is_not_told_of_an_order_for_another_of_the_same_person(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        ours, theirs, pesel = some_nip(), some_nip(), some_pesel()
        for nip in (ours, theirs):
            ksef.link_person(nip=nip, pesel=pesel)
            await issue(klucznik, context_of(nip), person(pesel, ksef), another_pair=True)
        running = await order(klucznik, context_of(theirs), None, another_pair=True)
        assert isinstance(running, Issuance)
        secret, key = await make_key(klucznik, "ours", ["connect", "issue", "see"], days=1, nip=ours)
        mine = await signed(klucznik, ours, person(pesel, ksef), by=key.principal)
        await onboardings.choose_method(klucznik, mine.id, key.principal, Method.PERMISSION)
        await klucznik.database.write(
            lambda transaction: transaction.execute(
                update(tables.onboardings).values(issuance_id=running.id).where(tables.onboardings.c.id == mine.id)
            )
        )
        async with stranger(klucznik) as caller:
            caller.headers["authorization"] = f"Bearer {secret}"
            refused = await caller.post("/issuances", json=another(ours), headers={"idempotency-key": "1"})
            assert (refused.status_code, reason(refused)) == (409, "subject_busy")
            progress = await caller.get(f"/onboardings/{mine.id}/progress")
            assert (progress.status_code, progress.json()["issuance"]) == (200, None)
            for answer in (refused, progress):
                assert theirs not in answer.text
                assert running.id not in answer.text
        async with program(klucznik, "issue") as everywhere:
            gone_on = await everywhere.post("/issuances", json=another(ours), headers={"idempotency-key": "1"})
            assert gone_on.json()["issuance"]["id"] == running.id


@pytest.mark.parametrize(
    ("days", "status", "told"), [(720, 201, {True, False}), (732, 409, set[bool]())], ids=["due", "too late"]
)
async def test_a_renewal_tells_a_key_of_one_company_of_no_other_of_the_same_person(
    days: int, status: int, told: set[bool], ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        both, pesel = [some_nip(), some_nip()], some_pesel()
        for nip in both:
            ksef.link_person(nip=nip, pesel=pesel)
            await issue(klucznik, context_of(nip), person(pesel, ksef), another_pair=True)
        ksef.advance(days=days)
        orders = set()
        for ours, theirs in (both, both[::-1]):
            async with program(klucznik, "issue", nip=ours) as bound:
                answer = await bound.post("/renewals", json={"nip": ours}, headers={"idempotency-key": "1"})
            assert answer.status_code == status
            assert theirs not in answer.text
            orders |= {one["issuance"] is not None for one in answer.json().get("items", [])}
        assert orders == told  # one of the two is the company in whose name it signs in

"""Webhooks by the API: the secret is told once, a repeat makes nothing twice, a key of one company reaches its own."""

from pathlib import Path

from tests.klucznik.api.worlds import program, reason
from tests.klucznik.databases import everything_in
from tests.klucznik.receivers import happened, receiver, verifies
from tests.klucznik.world import installed, some_nip

from klucznik.services.telling.rounds import Outlets, tell_until_idle
from ksef_sandbox import Sandbox

OURS = Outlets(private_webhooks=True)


async def test_a_webhook_is_made_tried_replayed_and_removed(ksef: Sandbox, tmp_path: Path) -> None:
    async with (
        installed(tmp_path, ksef) as klucznik,
        receiver("500 Oops") as target,
        program(klucznik, "notify", outlets=OURS) as caller,
    ):
        asked = {"url": target.url, "types": ["connection.removed"]}
        made = await caller.post("/webhooks", json=asked, headers={"idempotency-key": "1"})
        again = await caller.post("/webhooks", json=asked, headers={"idempotency-key": "1"})
        assert made.status_code == 201
        assert made.json() == again.json()
        hook, secret = made.json()["id"], made.json()["secret"]
        listed = (await caller.get("/webhooks")).json()["items"]
        assert [one["id"] for one in listed] == [hook]
        assert "secret" not in listed[0]
        assert secret.removeprefix("whsec_").encode() not in everything_in(tmp_path)

        await happened(klucznik, some_nip())
        await tell_until_idle(klucznik, OURS)
        (waiting,) = (await caller.get(f"/webhooks/{hook}/deliveries")).json()["items"]
        assert (waiting["state"], waiting["status"], waiting["problem"]) == ("waiting", 500, "status")
        assert (await caller.get(f"/webhooks/{hook}")).json()["failing_since"] is not None
        ksef.advance(minutes=1)
        replayed = await caller.post(f"/webhooks/{hook}/deliveries/{waiting['id']}/replay")
        assert replayed.status_code == 202
        assert (await caller.post(f"/webhooks/{hook}/test")).status_code == 202
        assert (await caller.post(f"/webhooks/{hook}/replay", json={"since": waiting["event"]})).json() == {"events": 1}
        await tell_until_idle(klucznik, OURS)
        assert target.kinds == ["connection.removed", "connection.removed", "webhook.test"]
        assert all(verifies(secret, one) for one in target.got)

        rotated = (await caller.post(f"/webhooks/{hook}/secret")).json()["secret"]
        assert rotated != secret
        off = await caller.patch(f"/webhooks/{hook}", json={"disabled": True})
        assert off.json()["disabled_because"] == "by_somebody"
        assert reason(await caller.post(f"/webhooks/{hook}/test")) == "webhook_disabled"
        on = await caller.patch(f"/webhooks/{hook}", json={"disabled": False})
        assert on.json()["disabled_at"] is None
        assert (await caller.delete(f"/webhooks/{hook}")).status_code == 204
        gone = await caller.get(f"/webhooks/{hook}")
        assert (gone.status_code, reason(gone)) == (404, "webhook_unknown")


async def test_private_addresses_are_refused_unless_the_installation_allows_them(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "notify") as caller:
        for number, url in enumerate(("http://127.0.0.1:8000/", "https://169.254.169.254/", "https://[::1]/")):
            refused = await caller.post("/webhooks", json={"url": url}, headers={"idempotency-key": str(number)})
            assert refused.status_code == 422
            assert reason(refused) in ("webhook_url_not_https", "webhook_address_refused")


async def test_a_key_of_one_company_has_webhooks_of_its_own_and_sees_no_other(ksef: Sandbox, tmp_path: Path) -> None:
    mine, theirs = some_nip(), some_nip()
    async with (
        installed(tmp_path, ksef) as klucznik,
        program(klucznik, "notify") as office,
        program(klucznik, "notify", nip=mine) as client,
    ):
        asked = {"url": "https://8.8.8.8/"}
        foreign = (await office.post("/webhooks", json=asked, headers={"idempotency-key": "1"})).json()["id"]
        own = (await client.post("/webhooks", json=asked, headers={"idempotency-key": "2"})).json()
        assert own["nip"] == mine
        assert [one["id"] for one in (await client.get("/webhooks")).json()["items"]] == [own["id"]]
        assert len((await office.get("/webhooks")).json()["items"]) == 2
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/secret"),
            ("POST", "/test"),
            ("GET", "/deliveries"),
        ):
            refused = await client.request(method, f"/webhooks/{foreign}{path}")
            assert (refused.status_code, reason(refused)) == (404, "webhook_unknown")
        other = await client.post("/webhooks", json={**asked, "nip": theirs}, headers={"idempotency-key": "3"})
        assert (other.status_code, reason(other)) == (404, "not_connected")

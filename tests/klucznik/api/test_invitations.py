"""Invitations and lists of companies by the API: links told once, requests repeated, keys of one company."""

from pathlib import Path

from tests.klucznik.api.worlds import connected, program, reason
from tests.klucznik.databases import everything_in
from tests.klucznik.web.worlds import PUBLIC_URL
from tests.klucznik.world import installed, some_nip

from ksef_sandbox import Sandbox


async def test_a_company_is_invited_once_however_often_it_is_asked(ksef: Sandbox, tmp_path: Path) -> None:
    nip, other = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "invite") as caller:
        body, key = {"nip": nip, "name": "Żółw", "days": 3}, {"idempotency-key": "1"}
        made = await caller.post("/invitations", json=body, headers=key)
        again = await caller.post("/invitations", json=body, headers=key)
        assert (made.status_code, again.headers["idempotency-replayed"], again.json()) == (201, "true", made.json())
        link = made.json()["link"]
        assert link.startswith(f"{PUBLIC_URL}/i/")
        where = f"/invitations/{made.json()['id']}"
        twice = await caller.post("/invitations", json=body, headers={"idempotency-key": "2"})
        assert reason(twice) == "invitation_there"
        second = (await caller.post(f"{where}/link")).json()["link"]
        listed = await caller.get("/invitations", params={"state": "open"})
        assert [one["nip"] for one in listed.json()["items"]] == [nip]
        assert "link" not in listed.json()["items"][0]
        async with program(klucznik, "invite", nip=other) as bound:
            for method, path in (("GET", where), ("DELETE", where), ("POST", f"{where}/link")):
                assert reason(await bound.request(method, path)) == "invitation_unknown"
            refused = await bound.post("/invitations", json=body, headers={"idempotency-key": "1"})
            assert reason(refused) == "not_connected"
            assert (await bound.get("/invitations")).json()["items"] == []
        assert [(await caller.delete(where)).status_code for _ in range(2)] == [204, 204]
        assert (await caller.get(where)).json()["state"] == "revoked"
    kept = everything_in(tmp_path)
    assert all(one.rpartition("/")[2].encode() not in kept for one in (link, second))


async def test_a_list_is_read_carried_out_and_gives_its_links_once(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "import", "see") as caller:
        there = await connected(klucznik, ksef)
        nips = sorted(some_nip() for _ in range(3))
        rows = [*(f"{nip};;" for nip in nips), f"{there};;", f"{some_nip()};;uprawnienie"]
        body = {"csv": "\n".join(["nip;email;metoda", *rows]), "file_name": "a/b.csv"}
        made = await caller.post("/imports", json=body, headers={"idempotency-key": "1"})
        again = await caller.post("/imports", json=body, headers={"idempotency-key": "1"})
        assert again.json() == made.json()
        assert made.json()["lines"] == {"good": 3, "bad": 2, "invited": 0, "awaited": 0, "skipped": 0}
        where = f"/imports/{made.json()['id']}"
        bad = (await caller.get(f"{where}/lines", params={"bad": True})).json()["items"]
        assert [one["faults"][0]["reason"] for one in bad] == ["company_connected", "import_needs_signature"]
        first = (await caller.get(f"{where}/lines", params={"limit": 2, "bad": False})).json()
        rest = (await caller.get(f"{where}/lines", params={"after": first["next"], "bad": False})).json()
        assert [one["nip"] for one in first["items"] + rest["items"]] == nips
        for _ in range(2):
            assert (await caller.post(f"{where}/execution")).json()["lines"]["invited"] == 3
        links = (await caller.post(f"{where}/links")).json()["items"]
        assert [one["nip"] for one in links] == nips
        assert [one["id"] for one in (await caller.get("/imports")).json()["items"]] == [made.json()["id"]]
        async with program(klucznik, "import") as other:
            assert reason(await other.get(where)) == "import_unknown"
            assert (await other.get("/imports")).json()["items"] == []
        assert (await caller.delete(where)).status_code == 204
        assert reason(await caller.get(where)) == "import_unknown"
        for text, why in (("nip;nazwa\n5265877635;\ud800", "request_malformed"), ("a;b", "csv_without_nip")):
            refused = await caller.post(
                "/imports",
                content=f'{{"csv": "{text!r}"}}' if why == "request_malformed" else None,
                json=None if why == "request_malformed" else {"csv": text},
                headers={"idempotency-key": "2", "content-type": "application/json"},
            )
            assert reason(refused) == why

"""Connections over the API: pages, what a key may see, changes that know what they change, certificates and limits."""

from pathlib import Path

from tests.klucznik.api.worlds import connected, program, reason
from tests.klucznik.world import company, context_of, filed, installed, owner, person, some_nip, some_pesel

from klucznik.services.issue import issue
from ksef_sandbox import Sandbox


async def test_the_list_is_paged_by_key_and_a_page_leads_to_the_next(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik, "see") as caller:
        nips = sorted([await connected(klucznik, ksef) for _ in range(3)])
        seen: list[str] = []
        where: str | None = "/connections?limit=2&method=certificates"
        while where is not None:
            page = await caller.get(where)
            seen += [one["context"]["value"] for one in page.json()["items"]]
            link = page.headers.get("link")
            assert (link is None) == (page.json()["next"] is None)
            where = None if link is None else link.removesuffix('>; rel="next"').removeprefix("</api/v1")
        assert seen == nips
        assert (await caller.get("/connections?health=blocked")).json()["items"] == []
        for cursor in ("x", "WzFd", "WyJhIl0", "AAAA"):
            assert reason(await caller.get("/connections", params={"after": cursor})) == "cursor_malformed"
        for cursor in ("x", "WzFd", "AAAA", "WyJcdTAwMDAiXQ"):
            assert reason(await caller.get("/certificates", params={"after": cursor})) == "cursor_malformed"
        searched = (await caller.get("/connections", params={"q": nips[1][:9], "order": "urgent"})).json()["items"]
        assert [one["context"]["value"] for one in searched] == [nips[1]]


async def test_to_a_key_of_one_company_no_other_is_there(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        ours, others = await connected(klucznik, ksef), await connected(klucznik, ksef)
        absent = some_nip()
        async with program(klucznik, "see", "issue", "connect", "revoke", "disconnect", nip=ours) as caller:
            listed = await caller.get("/connections")
            assert [one["context"]["value"] for one in listed.json()["items"]] == [ours]
            in_vault = (await caller.get("/certificates")).json()["items"]
            assert {one["subject"]["value"] for one in in_vault} == {ours}
            async with program(klucznik, "see") as everywhere:
                everything = (await everywhere.get("/certificates")).json()["items"]
            foreign = next(one["serial"] for one in everything if one["subject"]["value"] == others)
            assert reason(await caller.get(f"/certificates/{foreign}")) == "certificate_not_held"
            for method, path in (
                ("GET", "/connections/{}"),
                ("PATCH", "/connections/{}"),
                ("DELETE", "/connections/{}"),
                ("POST", "/connections/{}/verification"),
                ("GET", "/connections/{}/limits"),
                ("GET", "/connections/{}/certificates"),
            ):
                ksef.clear_requests()
                body = {"name": "Nasza"} if method == "PATCH" else None
                theirs = await caller.request(method, path.format(others), json=body)
                nobodys = await caller.request(method, path.format(absent), json=body)
                # Not even by its words can the one be told from the other.
                assert (theirs.status_code, reason(theirs)) == (404, "not_connected"), path
                assert theirs.json()["detail"].replace(others, absent) == nobodys.json()["detail"]
                assert ksef.requests() == []


async def test_further_companies_of_the_same_person_are_told_to_a_key_of_all_companies_alone(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        first, second, pesel = some_nip(), some_nip(), some_pesel()
        for nip in (first, second):
            ksef.link_person(nip=nip, pesel=pesel)
            await issue(klucznik, context_of(nip), person(pesel, ksef), another_pair=True)
        async with program(klucznik, "see") as everywhere, program(klucznik, "see", nip=first) as bound:
            path = f"/connections/{first}"
            assert (await everywhere.get(path)).json()["same_subject"] == [{"type": "Nip", "value": second}]
            answer = await bound.get(path)
            assert answer.json()["same_subject"] == []
            assert second not in answer.text


async def test_a_key_of_one_company_revokes_no_certificate_that_another_one_rests_on(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        first, second, pesel = some_nip(), some_nip(), some_pesel()
        for nip in (first, second):
            ksef.link_person(nip=nip, pesel=pesel)
            await issue(klucznik, context_of(nip), person(pesel, ksef), another_pair=True)
        async with program(klucznik, "see", "revoke", nip=first) as bound, program(klucznik, "revoke") as everywhere:
            serial = (await bound.get("/certificates")).json()["items"][0]["serial"]
            path, body = f"/certificates/{serial}/revocation", {"nip": first}
            refused = await bound.post(path, json=body, headers={"idempotency-key": "1"})
            assert (refused.status_code, reason(refused)) == (409, "certificate_serves_others")
            assert second not in refused.text
            assert (await everywhere.post(path, json=body, headers={"idempotency-key": "1"})).status_code == 201


async def test_a_change_is_made_only_to_what_the_caller_has_seen(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        path = f"/connections/{await connected(klucznik, ksef)}"
        seen = (await caller.get(path)).headers["etag"]
        known = await caller.get(path, headers={"if-none-match": seen})
        assert (known.status_code, known.content) == (304, b"")
        changed = await caller.patch(path, json={"name": " Piekarnia Kłos "}, headers={"if-match": seen})
        assert (changed.status_code, changed.json()["name"]) == (200, "Piekarnia Kłos")
        late = await caller.patch(path, json={"revokes_superseded": True}, headers={"if-match": seen})
        assert (late.status_code, reason(late)) == (412, "changed_meanwhile")
        again = await caller.patch(
            path, json={"revokes_superseded": True}, headers={"if-match": changed.headers["etag"]}
        )
        assert (again.json()["name"], again.json()["revokes_superseded"]) == ("Piekarnia Kłos", True)
        assert reason(await caller.patch(path, json={"name": "\u200b"})) == "connection_name_malformed"
        assert reason(await caller.delete(path, headers={"if-match": seen})) == "changed_meanwhile"
        assert (await caller.delete(path)).status_code == 204
        assert reason(await caller.get(path)) == "not_connected"


async def test_looking_at_ksef_files_nothing_and_a_certificate_comes_without_its_key(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        nip = some_nip()
        whose = owner(nip, ksef)
        await issue(klucznik, context_of(nip), whose)
        before = len(filed(ksef, whose.holder.signs_in_as))
        limits = (await caller.get(f"/connections/{nip}/limits")).json()
        assert limits["subject"]["type"] == "Pesel"
        assert limits["limits"]["enrollment"]["remaining"] == limits["limits"]["enrollment"]["limit"] - 2
        listed = (await caller.get(f"/connections/{nip}/certificates")).json()["certificates"]
        assert {(one["status"], one["key_in_vault"]) for one in listed} == {("Active", True)}
        assert (await caller.post(f"/connections/{nip}/verification")).json()["connection"]["health"] == "healthy"
        assert len(filed(ksef, whose.holder.signs_in_as)) == before
        one = await caller.get(f"/certificates/{listed[0]['serial']}")
        assert one.json()["pem"].startswith("-----BEGIN CERTIFICATE-----\n")
        assert "PRIVATE" not in one.text


async def test_a_certificate_is_revoked_once_however_often_it_is_asked(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        nip = await connected(klucznik, ksef)
        offline = (await caller.get("/certificates")).json()["items"][1]["serial"]
        path, body = f"/certificates/{offline}/revocation", {"nip": nip, "reason": "Superseded"}
        assert reason(await caller.post(path, json=body)) == "request_malformed"  # without an Idempotency-Key
        key = {"idempotency-key": "revoke-1"}
        first = await caller.post(path, json=body, headers=key)
        assert (first.status_code, first.json()["serial"]) == (201, offline)
        ksef.clear_requests()
        again = await caller.post(path, json=body, headers=key)
        assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
        assert ksef.requests() == []
        other = await caller.post(path, json={**body, "reason": "KeyCompromise"}, headers=key)
        assert (other.status_code, reason(other)) == (422, "idempotency_key_reused")


async def test_a_company_that_is_not_connected_is_not_acted_for_by_certificates_left_in_the_vault(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        nip = some_nip()
        await issue(klucznik, context_of(nip), company(nip, ksef))
        assert (await caller.delete(f"/connections/{nip}")).status_code == 204
        ksef.clear_requests()
        assert reason(await caller.get(f"/connections/{nip}/limits")) == "not_connected"
        assert ksef.requests() == []

"""Onboardings over the API: a program leads its customer from a NIP to a pair; others' are not there."""

from pathlib import Path

import httpx
from tests.klucznik.api.worlds import program, reason
from tests.klucznik.offices import connection_of, office
from tests.klucznik.onboardings import by_another_program
from tests.klucznik.world import (
    accepted,
    checked,
    filed,
    installed,
    nobody_waits,
    owner,
    set_limits,
    slow_to_check,
    some_nip,
)

from klucznik.api.paging import cursor_of
from klucznik.domain.connections import Method
from klucznik.keys.credential import Credential
from klucznik.services.engine import Engine
from ksef_sandbox import Sandbox


async def begun(caller: httpx.AsyncClient, nip: str, method: str = "certificates", key: str = "one") -> str:
    """All choices made; where it is."""
    new = await caller.post("/onboardings", json={"nip": nip, "name": "Piekarnia"}, headers={"idempotency-key": key})
    assert (new.status_code, new.json()["state"]) == (201, "signer"), new.text
    at = f"/onboardings/{new.json()['id']}"
    assert (await caller.put(f"{at}/signer", json={"signer": "person"})).json()["state"] == "method"
    assert (await caller.put(f"{at}/method", json={"method": method})).json()["state"] == "sign"
    return at


async def signed(caller: httpx.AsyncClient, at: str, person: Credential) -> httpx.Response:
    """The document was fetched, signed elsewhere and handed in."""
    asked = (await caller.post(f"{at}/document")).json()
    fetched = await caller.get(f"{at}/document")
    assert fetched.headers["content-type"] == "application/xml"
    assert fetched.content == asked["document"].encode()
    return await caller.post(
        f"{at}/signed-document",
        content=by_another_program(fetched.content, person),
        headers={"content-type": "application/xml"},
    )


async def test_from_a_nip_to_a_proved_pair(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        at = await begun(caller, nip)
        again = await caller.post("/onboardings", json={"nip": nip}, headers={"idempotency-key": "two"})
        assert at.endswith(again.json()["id"])
        done = (await signed(caller, at, person)).json()
        assert done["onboarding"]["subject"] == {"type": "Pesel", "value": person.holder.signs_in_as.value}
        look = (await caller.post(f"{at}/preflight")).json()
        assert (look["missing"], look["onboarding"]["refusal"]) == (["Authentication", "Offline"], None)
        assert (await caller.get("/onboardings")).json()["items"][0]["state"] == "limits"
        for _ in range(2):
            confirmed = await caller.post(f"{at}/confirmation", json={})
            assert (confirmed.status_code, confirmed.json()["state"]) == (202, "issuing")
        await Engine(klucznik).run_until_idle()
        progress = (await caller.get(f"{at}/progress")).json()
        assert (progress["state"], progress["issuance"]["requests_spent"]) == ("done", 2)
        assert {step["standing"] for step in progress["steps"]} == {"done"}
        assert reason(await caller.get(f"{at}/document")) == "document_unknown"
    assert len(accepted(ksef, person.holder.signs_in_as)) == 2


async def test_a_refusal_has_its_evidence_and_the_grant_is_walked_in_the_same_session(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip, operator = some_nip(), some_nip()
    person = owner(nip, ksef)
    set_limits(ksef, person.holder.signs_in_as, enrollment=1)
    async with office(tmp_path, ksef, operator) as klucznik, program(klucznik) as caller:
        at = await begun(caller, nip)
        await signed(caller, at, person)
        refused = (await caller.post(f"{at}/preflight")).json()["onboarding"]
        assert refused["state"] == "refused"
        assert "grant_permission" in [remedy["kind"] for remedy in refused["refusal"]["remedies"]]
        assert (await caller.get(at)).json() == refused
        assert (await caller.post(f"{at}/confirmation", json={})).json()["state"] == "refused"
        nothing = await caller.post(f"{at}/remedies/revoke", json={"serials": ["0123456789ABCDEF"]})
        assert (nothing.status_code, reason(nothing)) == (409, "certificate_not_offered")
        what = (await caller.get(f"{at}/remedies/grant")).json()
        assert (what["operator"]["nip"], what["permissions"]) == (operator, ["InvoiceRead", "InvoiceWrite"])
        done = (await caller.post(f"{at}/remedies/grant", json={"operator": operator})).json()
        assert (done["onboarding"]["state"], done["connection"]["health"]) == ("done", "healthy")
        connection = await connection_of(klucznik, nip)
        assert connection is not None
        assert connection.method is Method.PERMISSION
    assert filed(ksef, person.holder.signs_in_as) == []


async def test_what_another_key_has_begun_is_not_there(ksef: Sandbox, tmp_path: Path) -> None:
    mine, theirs = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        at = await begun(caller, theirs)
        for bound_to in (None, mine, theirs):
            async with program(klucznik, nip=bound_to) as other:
                for method, path in (
                    ("GET", ""),
                    ("DELETE", ""),
                    ("GET", "/progress"),
                    ("GET", "/document"),
                    ("POST", "/document"),
                    ("POST", "/preflight"),
                    ("POST", "/permission"),
                ):
                    answer = await other.request(method, at + path)
                    assert (answer.status_code, reason(answer)) == (404, "onboarding_unknown"), (method, path)
                assert (await other.get("/onboardings")).json()["items"] == []
        async with program(klucznik, nip=mine) as bound:
            body = {"nip": theirs}
            refused = await bound.post("/onboardings", json=body, headers={"idempotency-key": "one"})
            assert (refused.status_code, reason(refused)) == (404, "onboarding_unknown")


async def test_mistakes_are_told_and_change_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        at = await begun(caller, nip, "token")
        asked = (await caller.post(f"{at}/document")).json()
        assert reason(await caller.post(f"{at}/signed-document", content=b"%PDF-1.7")) == "signed_is_pdf"
        unsigned = await caller.post(f"{at}/signed-document", content=asked["document"].encode())
        assert unsigned.status_code == 422
        assert reason(await caller.post(f"{at}/confirmation", json={})) == "onboarding_elsewhere"
        malformed = await caller.post(f"{at}/token", json={"token": "a-secret"})
        assert reason(malformed) == "ksef_token_malformed"
        assert "a-secret" not in malformed.text
        token = f"20250625-EC-3190CF0000-57A14268D0-CC|nip-{nip}|{'ab' * 16}"
        unproved = await caller.post(f"{at}/token", json={"token": token})
        assert (unproved.status_code, reason(unproved)) == (409, "control_needs_signature")
        assert (await caller.get(at)).json()["state"] == "sign"
        for made_up in ("WyJhIiwiYiJd", cursor_of("0001-01-01T00:00:00+14:00", "x")):
            assert reason(await caller.get("/onboardings", params={"after": made_up})) == "cursor_malformed"
        assert (await caller.delete(at)).json()["state"] == "given_up"


async def test_the_list_is_paged_by_key(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        made = [(await begun(caller, some_nip(), key=str(number))).removeprefix("/onboardings/") for number in range(3)]
        first = (await caller.get("/onboardings", params={"limit": 2})).json()
        rest = (await caller.get("/onboardings", params={"limit": 2, "after": first["next"]})).json()
        assert [one["id"] for one in first["items"] + rest["items"]] == made[::-1]
        assert rest["next"] is None


async def test_a_signature_that_ksef_checks_for_minutes_is_answered_before(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with slow_to_check(tmp_path, ksef) as (klucznik, clock), program(klucznik) as caller:
        at = await begun(caller, nip)
        answer = await signed(caller, at, owner(nip, ksef))
        assert (answer.status_code, answer.json()["state"]) == (202, "sign")
        assert answer.json()["checking_since"] is not None
        assert (await caller.get(at)).json() == answer.json()
        second = await caller.post(f"{at}/signed-document", content=b"<xml/>")
        assert (second.status_code, reason(second)) == (409, "signature_being_checked")
        assert reason(await caller.post(f"{at}/document")) == "signature_being_checked"
        await checked(klucznik, clock)
        done = (await caller.get(at)).json()
        assert (done["state"], done["checking_since"], done["setback"]) == ("limits", None, None)


async def test_a_grant_that_takes_ksef_its_time_is_answered_before(ksef: Sandbox, tmp_path: Path) -> None:
    nip, operator = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator) as klucznik, program(klucznik) as caller:
        at = await begun(caller, nip, "permission")
        await signed(caller, at, owner(nip, ksef))
        headers = dict(caller.headers)
    ksef.set(perm_delay_ms=60_000)
    async with nobody_waits(tmp_path, ksef) as (klucznik, clock), program(klucznik) as caller:
        caller.headers.update(headers)  # what a key has begun is its own
        answer = await caller.post(f"{at}/remedies/grant", json={"operator": operator})
        assert (answer.status_code, answer.json()["under_way"]["act"]) == (202, "grant")
        await clock.somebody_waits.wait()
        steps = (await caller.get(f"{at}/progress")).json()["steps"]
        assert [(step["kind"], step["standing"]) for step in steps][1] == ("grant", "now")
        again = await caller.post(f"{at}/remedies/grant", json={"operator": operator})
        assert (again.status_code, reason(again)) == (409, "onboarding_act_under_way")
        await checked(klucznik, clock)
        done = (await caller.get(at)).json()
        assert (done["state"], done["under_way"], done["setback"]) == ("done", None, None)

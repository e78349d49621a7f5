"""What every route of the API keeps to: a key with a scope, problems that a program can read, ids, the description."""

import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from tests.klucznik.api.worlds import connected, program, reason, stranger
from tests.klucznik.world import installed, some_nip
from tests.project import source

from klucznik.access.headers import LARGEST_BODY
from klucznik.api.asked import NIP
from klucznik.api.language import preferred
from klucznik.api.openapi import routes, scope_of
from klucznik.api.paging import cursor_of
from klucznik.domain.roles import SCOPES
from klucznik.errors import KlucznikError
from klucznik.messages import LANGUAGES, words_for_pages
from klucznik.messages.codes import CODES
from klucznik.messages.errors import error_text
from klucznik.services.installation import DATABASE_FILE
from ksef_sandbox import Sandbox

SOME = {
    "nip": "5265877635",
    "serial": "0123456789ABCDEF",
    "issuance": "0" * 32,
    "onboarding": "0" * 32,
    "invitation_id": "0" * 32,
    "import_id": "0" * 32,
    "webhook_id": "0" * 32,
    "delivery_id": "msg_" + "0" * 28,
}


def asked(route: APIRoute) -> tuple[str, str]:
    """A request that a route would answer, were it let through."""
    (method,) = route.methods or {""}
    return method, route.path.format_map(SOME)


async def test_no_route_is_open_to_a_program_without_the_key_and_the_scope(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, stranger(klucznik) as nobody:
        assert len(routes()) >= 10
        for route in routes():
            method, path = asked(route)
            refused = await nobody.request(method, path)
            assert (refused.status_code, reason(refused)) == (401, "key_missing"), route.path
            assert refused.headers["www-authenticate"] == 'Bearer realm="klucznik"'
        for missing in {scope_of(route) for route in routes()}:
            others = [scope.value for scope in SCOPES if scope is not missing]
            async with program(klucznik, *others) as somebody:
                for route in (one for one in routes() if scope_of(one) is missing):
                    refused = await somebody.request(*asked(route))
                    assert (refused.status_code, reason(refused)) == (403, "scope_missing"), route.path
                    assert refused.json()["data"] == {"scope": missing.value}


async def test_a_key_that_is_not_ours_is_told_apart_from_none(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, stranger(klucznik) as nobody:
        refused = await nobody.get("/connections", headers={"authorization": "Bearer klk_wrong"})
        assert reason(refused) == "key_unknown"
        assert refused.headers["www-authenticate"].endswith('error="invalid_token"')
        assert "klk_wrong" not in refused.text


async def test_without_a_key_not_even_a_broken_body_is_told_of(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, stranger(klucznik) as nobody:
        for body in (b"{", b"\xd3\x86\xb8\xf3"):
            refused = await nobody.post("/renewals", content=body, headers={"content-type": "application/json"})
            assert (refused.status_code, reason(refused)) == (401, "key_missing")


async def test_what_is_not_served_is_a_problem_too(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        assert reason(await caller.get("/no/such/route")) == "route_unknown"
        refused = await caller.put("/connections")
        assert (refused.status_code, reason(refused)) == (405, "method_not_allowed")
        assert refused.headers["allow"] == "GET"
        assert (await caller.put("/issuances")).headers["allow"] == "GET, POST"
        assert (await caller.post(f"/connections/{some_nip()}")).headers["allow"] == "DELETE, GET, PATCH"
        assert reason(await caller.get("/../v2/connections")) == "route_unknown"
        large = await caller.post("/anything", content=b"x" * (LARGEST_BODY + 1))
        assert (large.status_code, reason(large)) == (413, "body_too_large")


async def test_a_malformed_request_is_told_field_by_field_and_never_quoted(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        nip = await connected(klucznik, ksef)
        body = {"name": ["a-secret"], "revokes_superseded": None, "a/b": 1}
        refused = await caller.patch(f"/connections/{nip}", json=body)
        assert reason(refused) == "request_malformed"
        found = {(one["where"], one["pointer"], one["code"]) for one in refused.json()["errors"]}
        assert found == {("body", "/name", "malformed"), ("body", "/a~1b", "unknown")}
        assert "a-secret" not in refused.text
        no_json = await caller.patch(f"/connections/{nip}", content="{", headers={"content-type": "application/json"})
        assert [one["code"] for one in no_json.json()["errors"]] == ["not_json"]
        query = await caller.get("/connections", params={"limit": "0", "method": "magic"})
        assert {one["pointer"]: one["code"] for one in query.json()["errors"]} == {
            "/limit": "too_small",
            "/method": "not_one_of_these",
        }


async def test_a_misspelt_filter_is_told_instead_of_finding_everything(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        for path in ("/audit", "/issuances", "/webhooks"):
            refused = await caller.get(path, params={"NIP": some_nip()})
            assert [(one["where"], one["pointer"], one["code"]) for one in refused.json()["errors"]] == [
                ("query", "/NIP", "unknown")
            ]


async def test_what_would_have_been_right_is_told(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        many = (await caller.get("/issuances", params={"limit": 1000})).json()["errors"]
        assert [(one["code"], one["detail"]) for one in many] == [("too_large", "Allowed is 200 at most.")]
        (dashed,) = (await caller.get("/issuances", params={"nip": "526-587-76-35"})).json()["errors"]
        assert dashed["code"] == "not_of_this_form"
        assert NIP in dashed["detail"]
        form = {"content-type": "application/x-www-form-urlencoded", "idempotency-key": "1"}
        (unsaid,) = (await caller.post("/onboardings", content="{}", headers=form)).json()["errors"]
        assert (unsaid["where"], unsaid["pointer"], unsaid["code"]) == ("header", "/content-type", "not_sent_as_json")


async def test_a_cursor_of_another_list_is_told_everywhere(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        for path in ("connections", "certificates", "issuances", "onboardings", "invitations", "imports", "audit"):
            for cursor in ("garbage", cursor_of("1"), cursor_of("1", "2"), "é"):
                refused = await caller.get(f"/{path}", params={"after": cursor})
                assert (refused.status_code, reason(refused)) == (422, "cursor_malformed"), path


async def test_a_problem_speaks_the_language_that_is_asked_for_and_names_the_request(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        path, name = f"/connections/{some_nip()}", "order-4711_x"
        english = await caller.get(path, headers={"x-request-id": name})
        polish = await caller.get(path, headers={"accept-language": "de, pl;q=0.5", "x-request-id": "not fit\x7f"})
        assert english.headers["x-request-id"] == name
        assert english.json()["instance"] == f"urn:klucznik:request:{name}"
        assert len(polish.headers["x-request-id"]) == 32
        assert (english.headers["content-language"], polish.headers["content-language"]) == ("en", "pl")
        assert english.json()["type"] == polish.json()["type"] == "urn:klucznik:problem:not_connected"
        assert english.json()["title"] == "Not found"
        assert polish.json()["title"] == "Nie ma tego tutaj"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "pl"),
        ("en", "en"),
        ("de", "pl"),
        ("en-GB,en;q=0.9", "en"),
        ("pl;q=0.3, en;q=0.4", "en"),
        ("en;q=0", "pl"),
        ("en;q=x", "pl"),
        ("eng", "pl"),
        ("pl,en", "pl"),
    ],
)
def test_the_language_is_the_one_that_is_wanted_most(header: str, language: str) -> None:
    assert preferred(header) == language


async def test_the_description_has_every_route_with_its_scope_its_problems_and_examples(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, stranger(klucznik) as nobody:
        described = (await nobody.get("/openapi.json")).json()
        assert described["openapi"].startswith("3.1")
        for route in routes():
            for method in route.methods or ():
                operation = described["paths"][route.path][method.lower()]
                assert operation["x-scope"] == scope_of(route)
                assert operation["security"] == [{"key": []}]
                assert operation["tags"]
                assert operation["summary"]
                assert {"401", "403", "422", "500", "503"} <= set(operation["responses"])
                if "{" in route.path:
                    assert "404" in operation["responses"], route.path
                assert "409" in operation["responses"] or method != "POST", route.path
        assert "HTTPValidationError" not in described["components"]["schemas"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_error_of_the_api_sends_anybody_to_a_terminal(language: str) -> None:
    words = words_for_pages(language)
    for reason_raised in {one.name for one in source.reasons()}:
        now = error_text(KlucznikError(reason_raised), words, in_api=True).now or ""
        assert not re.search(r"klucznik [a-z]|--[a-z]", now), reason_raised
    for code in CODES:
        now = words.say(f"{code}.in_api") if words.has(f"{code}.in_api") else ""
        assert not re.search(r"klucznik [a-z]|--[a-z]", now), code
    # Those that programs meet most say what to do, by its route.
    for met in ("not_connected", "issuance_unknown", "login_over", "no_credential", "signature_being_checked"):
        assert "/" in (error_text(KlucznikError(met), words, in_api=True).now or ""), met


async def test_what_nobody_foresaw_is_a_problem_without_details(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as database:  # somebody has meddled with a row
            nip = await connected(klucznik, ksef)
            database.execute("UPDATE connections SET method = 'sekret'")
            database.commit()
        with caplog.at_level(logging.ERROR, "klucznik"):
            answer = await caller.get(f"/connections/{nip}")
        assert (answer.status_code, reason(answer)) == (500, "api_failed")
        assert answer.headers["x-request-id"] in answer.text
        (record,) = caplog.records
        assert vars(record)["facts"]["type"] == "ValueError"
        assert "sekret" not in answer.text + caplog.text


async def test_a_path_that_no_router_takes_for_one_is_still_a_problem(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        answer = await caller.get("/connections/%0A")
        assert (answer.status_code, reason(answer)) == (404, "route_unknown")


async def test_what_is_made_says_where_it_is_also_when_it_is_told_again(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, program(klucznik) as caller:
        for path, body in (
            ("/onboardings", {"nip": some_nip()}),
            ("/invitations", {"nip": some_nip()}),
            ("/imports", {"csv": f"nip\n{some_nip()}\n", "file_name": "a.csv"}),
        ):
            for replayed in (None, "true"):
                made = await caller.post(path, json=body, headers={"idempotency-key": path})
                assert (made.status_code, made.headers.get("idempotency-replayed")) == (201, replayed), made.text
                there = await caller.get(made.headers["location"].removeprefix("/api/v1"))
                assert there.json()["id"] == made.json()["id"]

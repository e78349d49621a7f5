"""What every page has: its headers, its language, and errors that a person can read."""

from collections.abc import AsyncIterator
from pathlib import Path

from tests.klucznik.web.worlds import browser
from tests.klucznik.world import installed

from klucznik.access.headers import LARGEST_BODY, POLICY
from klucznik.domain.roles import Role
from ksef_sandbox import Sandbox


async def test_every_answer_carries_the_headers_of_a_careful_site(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik) as anna:
        for path in ("/no/such/page", "/static/klucznik.css"):
            answer = await anna.get(path)
            assert answer.headers["content-security-policy"] == POLICY
            assert "unsafe" not in POLICY
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["strict-transport-security"]


async def test_a_page_that_is_not_there_says_so_in_the_language_of_the_visitor(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        polish = await anna.get("/no/such/page")
        assert (polish.status_code, "Nie ma tu takiej strony" in polish.text) == (404, True)
        switched = await anna.post("/language", data={"language": "en", "back": "//evil.example/"})
        assert (switched.status_code, switched.headers["location"]) == (303, "/")
        assert "There is no such page here" in (await anna.get("/no/such/page")).text


async def test_a_form_of_another_site_is_refused(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = await anna.post("/language", data={"language": "en"}, headers=headers)
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        # What a browser sends with our own forms, as no page of ours lets it tell where it was.
        ours = await anna.post(
            "/language", data={"language": "en"}, headers={"origin": "null", "sec-fetch-site": "same-origin"}
        )
        assert ours.status_code == 303


async def test_a_form_of_a_page_brings_the_token_of_its_session(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        page = (await anna.get("/no/such/page")).text
        assert f'name="csrf" value="{anna.headers["X-CSRF-Token"]}"' in page


async def test_a_request_that_is_too_large_is_refused_before_it_is_read(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik) as anna:
        said = await anna.post("/language", content=b"x" * (LARGEST_BODY + 1))

        async def unsaid() -> AsyncIterator[bytes]:
            yield b'--x\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n'
            for _ in range(LARGEST_BODY // 65536 + 2):
                yield b"x" * 65536

        kind = {"content-type": "multipart/form-data; boundary=x"}
        streamed = await anna.post("/language", content=unsaid(), headers=kind)
        assert (said.status_code, streamed.status_code) == (413, 413)

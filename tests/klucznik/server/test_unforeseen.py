"""What nobody foresaw: the visitor reads a page like every other, the log has no more than its type and place."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Mount
from tests.klucznik.web.worlds import browser
from tests.klucznik.world import installed

from klucznik.access.headers import POLICY
from klucznik.access.settings import WebSettings
from klucznik.domain.roles import Role
from klucznik.errors import StorageError
from klucznik.server.app import create_app
from klucznik.services.installation import DATABASE_FILE
from ksef_sandbox import Sandbox


async def test_an_unforeseen_error_is_a_page_without_details(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = APIRouter()

    @broken.get("/broken")
    async def fail() -> None:
        raise ValueError("sekret")

    with Sandbox() as ksef:
        async with installed(tmp_path, ksef) as klucznik:
            app = create_app(klucznik, WebSettings("http://localhost"), demo=broken)
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as anna:
                with caplog.at_level(logging.ERROR, "klucznik"):
                    answer = await anna.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == POLICY
    assert "ValueError" in answer.text
    assert "sekret" not in answer.text + caplog.text
    (record,) = caplog.records
    told = vars(record)["facts"]
    assert told["type"] == "ValueError"
    assert told["at"].startswith("test_unforeseen.py:")


async def test_where_the_database_lies_is_told_to_the_log_and_to_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where = "postgresql://me@db.internal:5432/books"

    async def fail() -> None:
        raise StorageError("database_busy", file=where)

    broken = APIRouter()
    broken.add_api_route("/broken", fail)
    with Sandbox() as ksef:
        async with installed(tmp_path, ksef) as klucznik:
            app = create_app(klucznik, WebSettings("http://localhost"), demo=broken)
            api = next(one.app for one in app.routes if isinstance(one, Mount) and isinstance(one.app, FastAPI))
            api.add_api_route("/broken", fail)
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as anna:
                answers = [await anna.get(path) for path in ("/broken", "/api/v1/broken")]
    for answer in answers:
        assert answer.status_code == 503
        assert "db.internal" not in answer.text
        assert "books" in answer.text
    assert caplog.text.count(where) == 2


async def test_whoever_is_signed_in_reads_a_page_too_where_the_database_cannot_tell_who_they_are(
    tmp_path: Path,
) -> None:
    with Sandbox() as ksef:
        async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
            with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as other:
                other.execute("ALTER TABLE web_sessions RENAME TO elsewhere")
            for path in ("/", "/sign-in", "/nowhere"):
                answer = await anna.get(path)
                assert answer.status_code == 500
                assert "<h1" in answer.text

"""What nobody foresaw: the visitor reads a page like every other, the log has no more than its type and place."""

import logging
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from tests.klucznik.world import installed

from klucznik.access.headers import POLICY
from klucznik.access.settings import WebSettings
from klucznik.server.app import create_app
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

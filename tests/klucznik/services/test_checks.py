"""A worker's rounds beside its issuances: they end with it, and no trouble of theirs is trouble of the worker's."""

import asyncio
import logging
from pathlib import Path

import httpx
import pytest
from tests.klucznik.mishaps import SIGN_IN, Mishap, Send, meanwhile
from tests.klucznik.offices import connection_of, let_in, office
from tests.klucznik.world import company, some_nip

from klucznik.domain.connections import Health
from klucznik.services.checks import check_once, checking
from ksef_sandbox import Sandbox


async def test_what_nobody_foresaw_stops_one_round_and_is_told_without_its_text(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def surprise(_: httpx.Request, __: Send) -> httpx.Response:
        raise RuntimeError("kanarek")

    operator, nip = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        await let_in(klucznik, nip, company(nip, ksef))
    ksef.advance(days=2)
    async with office(tmp_path, ksef, operator, Mishap(SIGN_IN, surprise)) as klucznik:
        with caplog.at_level(logging.ERROR):
            await check_once(klucznik)
        assert "unforeseen RuntimeError" in caplog.text
        assert "kanarek" not in caplog.text
        await check_once(klucznik)
        found = await connection_of(klucznik, nip)
    assert found is not None
    assert found.health is Health.HEALTHY
    assert found.checked_at is not None
    assert (ksef.now() - found.checked_at).days == 0


async def test_a_round_under_way_is_given_up_when_the_worker_ends(ksef: Sandbox, tmp_path: Path) -> None:
    operator, nip = some_nip(), some_nip()
    async with office(tmp_path, ksef, operator) as klucznik:
        await let_in(klucznik, nip, company(nip, ksef))
        before = await connection_of(klucznik, nip)
    ksef.advance(days=2)
    asked, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        asked.set()
        await never.wait()

    async with office(tmp_path, ksef, operator, Mishap(SIGN_IN, meanwhile(hang))) as klucznik:
        async with checking(klucznik):
            await asyncio.wait_for(asked.wait(), timeout=30)
        assert await connection_of(klucznik, nip) == before

"""Whatever file a browser brings to whichever form: a refusal in words, nothing kept, nothing asked of KSeF."""

import asyncio
import re
import threading
from pathlib import Path

import httpx
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import Connection as Transaction
from sqlalchemy import func, select
from tests.klucznik.keys.test_derivation import BOMB, ROUNDS, a_pkcs12, by_scrypt
from tests.klucznik.onboardings import STAFF, begun
from tests.klucznik.web.worlds import SETTINGS, browser
from tests.klucznik.world import installed, some_nip

from klucznik.access.headers import LARGEST_BODY
from klucznik.domain.connections import Method
from klucznik.domain.roles import Role
from klucznik.keys.protect import PKCS12_ROUNDS
from klucznik.server.app import create_app
from klucznik.services.accounts.hashing import AT_ONCE, MOST_WAITING
from klucznik.services.installation import Installation
from klucznik.services.onboarding import ask_for_document
from klucznik.storage.tables import metadata
from ksef_sandbox import Sandbox

LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha">'
    + b"".join(f'<!ENTITY a{n} "{f"&a{n - 1 or str()};" * 10}">'.encode() for n in range(1, 10))
    + b"]><a>&a9;</a>"
)
FILES = {
    "laughs.xml": LAUGHS,
    "xxe.xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "deep.xml": b"<a>" * 200_000,
    "polyglot.pdf": b"%PDF-1.7\n<?xml version='1.0'?><a/>",
    "archive.zip": b"PK\x03\x04" + b"\0" * 500,
    "page.html": b"<html><script>alert(1)</script></html>",
    "wide.csv": b"nip" + b";" * 1_000_000,
    "utf16.csv": "nip\n5265877635".encode("utf-16"),
    "nul.csv": b"nip\n5265877635\0",
    "rounds.p12": a_pkcs12().replace(ROUNDS[PKCS12_ROUNDS], BOMB),
    "scrypt.key": by_scrypt(1 << 30, 8, 16),
    "noise.bin": bytes(range(256)) * 4000,
    "empty": b"",
}
NAMES = ("../../etc/cron.d/x", "C:\\Windows\\x", "a\u202egpj.exe", "<img src=x onerror=alert(1)>", "ż" * 5_000, "%00x")


def forms_with_files(klucznik: Installation) -> list[tuple[str, list[str]]]:
    """Every form that takes files, and the names of their fields; a new one is tried without a line here."""
    found = []
    for route in iter_route_contexts(create_app(klucznik, SETTINGS).routes):
        if isinstance(route.original_route, APIRoute):
            files = [one.name for one in route.dependant.body_params if "UploadFile" in str(one.field_info.annotation)]
            if files:
                found.append((str(route.path), files))
    return found


async def kept_by(klucznik: Installation) -> dict[str, int]:
    """How many rows there are in each table."""

    def read(transaction: Transaction) -> dict[str, int]:
        return {
            table.name: transaction.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }

    return await klucznik.database.read(read)


def assert_refused(answer: httpx.Response, where: str) -> None:
    assert 400 <= answer.status_code < 500, where
    assert re.search(r"""class="(notice notice-bad|error)""", answer.text), where
    assert 'lang="pl"' in answer.text, where
    for live in ("<script>alert", "<img src=x", "root:x:", "\u202e", "../../etc"):
        assert live not in answer.text, where


async def test_no_hostile_file_is_taken_by_any_form(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        to_sign = await begun(klucznik, some_nip())
        to_bring = await begun(klucznik, some_nip(), method=Method.IMPORTED)
        await ask_for_document(klucznik, to_sign.id, STAFF)
        forms = forms_with_files(klucznik)
        assert len(forms) >= 4
        before = await kept_by(klucznik)
        ksef.clear_requests()
        for path, fields in forms:
            where = path.format(onboarding_id=to_bring.id if "/bring/" in path else to_sign.id)
            for name, content in FILES.items():
                files = dict.fromkeys(fields[:2], (name, content, "image/png"))
                answer = await anna.post(where, files=files, data={"password": "x" * 20})
                assert_refused(answer, f"{path} {name}")
            for name in NAMES:
                files = {fields[0]: (name, b"PK\x03\x04", "text/csv")}
                assert_refused(await anna.post(where, files=files), f"{path} {name[:30]}")
            many = await anna.post(where, files=[("x", (f"{n}", b"x")) for n in range(1_500)])
            assert_refused(many, f"{path} many files")
            fields_too = await anna.post(where, files={"x": b"x"}, data={f"f{n}": "x" for n in range(1_500)})
            assert_refused(fields_too, f"{path} many fields")
            large = await anna.post(where, files={fields[0]: ("x", b"x" * (LARGEST_BODY + 1))})
            assert large.status_code == 413
        assert await kept_by(klucznik) == before
        assert ksef.requests() == []


async def test_files_that_take_a_second_to_open_wait_their_turn_and_hold_nobody_else_up(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        to_sign = await begun(klucznik, some_nip())
        to_bring = await begun(klucznik, some_nip(), method=Method.IMPORTED)
        gate = threading.Event()
        slow = [
            asyncio.create_task(klucznik.hashing.opened(gate.wait, klucznik.clock))
            for _ in range(AT_ONCE + MOST_WAITING)
        ]
        await asyncio.sleep(0)
        file = {"certificate": ("a.p12", a_pkcs12(), "application/x-pkcs12")}
        for where in (f"/connect/{to_sign.id}/key", f"/connect/{to_bring.id}/bring/certificates"):
            assert (await anna.post(where, files=file, data={"password": "x" * 20})).status_code == 429
        assert (await anna.get(f"/connect/{to_sign.id}")).status_code == 200
        gate.set()
        assert all(await asyncio.gather(*slow))

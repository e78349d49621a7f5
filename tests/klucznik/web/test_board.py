"""The board as its visitors see it, without JavaScript."""

import csv
import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import httpx
from bench.portfolio import fill
from tests.klucznik.web.worlds import browser
from tests.klucznik.world import context_of, installed

from klucznik.domain.connections import Connection, Health, Method
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.roles import Role
from klucznik.services.connections import new_connection
from klucznik.services.installation import Installation
from klucznik.storage import connections
from ksef_sandbox import Sandbox

HOSTILE = '=HYPERLINK("https://evil.example";"<b>Żółw</b>")'
PESEL = "80010112345"


def companies_on(page: httpx.Response) -> list[str]:
    assert page.status_code == 200
    return re.findall(r'href="/companies/(\d{10})"', page.text)


def next_of(page: httpx.Response) -> str | None:
    found = re.search(r'href="([^"]+)" rel="next"', page.text)
    return None if found is None else found[1].replace("&amp;", "&")


async def put(klucznik: Installation, nip: str, name: str | None, health: Health = Health.HEALTHY) -> Connection:
    person = Subject(SubjectType.PESEL, PESEL)
    made = new_connection(klucznik, context_of(nip), Method.CERTIFICATES, person, name=name)
    made = replace(made, health=health)
    await klucznik.database.write(lambda transaction: connections.add(transaction, made, now=made.created_at))
    return made


async def test_an_empty_board_leads_to_the_first_company(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        async with browser(klucznik, Role.STAFF) as anna:
            assert 'href="/connect"' in (await anna.get("/")).text
            begun = (await anna.post("/connect", data={"nip": "5265877635"})).headers["location"]
            assert f'href="{begun}"' in (await anna.get("/")).text
        async with browser(klucznik, Role.AUDITOR) as auditor:
            assert 'href="/connect"' not in (await auditor.get("/")).text
        async with browser(klucznik) as nobody:
            assert (await nobody.get("/")).headers["location"].startswith("/sign-in")


async def test_the_board_is_searched_filtered_sorted_and_paged_by_links_and_a_form(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        nips = await fill(klucznik, 120)
        for order in ("nip", "name", "health", "next", "urgent"):
            shown: list[str] = []
            address: str | None = f"/?order={order}"
            while address is not None:
                page = await anna.get(address)
                shown += companies_on(page)
                address = next_of(page)
            assert sorted(shown) == nips
        await put(klucznik, "5265877635", HOSTILE, Health.BLOCKED)
        for query in ("q=526-587", "q=ŻÓŁW</B", "health=blocked&order=name", "attention=1&q=hyper"):
            assert "5265877635" in companies_on(await anna.get(f"/?{query}")), query
        page = await anna.get("/?q=526587")
        assert companies_on(page) == ["5265877635"]
        assert "8•••••••345" in page.text
        assert PESEL not in page.text
        assert "<b>Żółw" not in page.text
        assert companies_on(await anna.get("/?q=nikt+taki")) == []
        for query in ("method=x", "health=x", "days=8", "order=x", "after=x", "q=" + "x" * 101):
            refused = await anna.get(f"/?{query}")
            assert (refused.status_code, "Nie udało się" in refused.text) == (422, True), query


async def test_what_is_downloaded_has_every_company_and_no_formula(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.AUDITOR) as auditor:
        nips = await fill(klucznik, 30)
        await put(klucznik, "5265877635", HOSTILE)
        answer = await auditor.get("/companies.csv?order=nip")
        assert answer.content.startswith(b"\xef\xbb\xbf")
        heading, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";")
        assert heading[0] == "NIP"
        assert [row[0] for row in rows] == [*nips, "5265877635"]
        assert rows[-1][1] == f"'{HOSTILE}"
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
        assert PESEL not in answer.text
        book = zipfile.ZipFile(io.BytesIO((await auditor.get("/companies.xlsx")).content))
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert sheet.count("<row ") == 32
        assert "<f>" not in sheet
        assert "HYPERLINK" in sheet + "".join(book.read(name).decode() for name in book.namelist() if "Strings" in name)
        few = await auditor.get("/companies.csv?q=526587")
        assert len(few.text.splitlines()) == 2

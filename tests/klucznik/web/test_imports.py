"""Pages of lists of companies: from the file to the links, with what is hostile in a file shown as what it is: text."""

import csv
import io
import re
from pathlib import Path

import httpx
from tests.klucznik.web.worlds import PUBLIC_URL, browser
from tests.klucznik.world import installed, some_nip

from klucznik.domain.roles import Role
from ksef_sandbox import Sandbox

HOSTILE = '=HYPERLINK("http://evil.example";"<script>alert(1)</script>")'


def cells_of(answer: httpx.Response) -> list[list[str]]:
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))


async def test_from_the_file_to_the_links(ksef: Sandbox, tmp_path: Path) -> None:
    good, bad = some_nip(), some_nip()[:9]
    content = f'NIP;Nazwa;E-mail\n{good};=1+2 Żółw;a@firma.pl\n{bad};"{HOSTILE.replace(chr(34), chr(34) * 2)}";x\n'
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        assert (await anna.get("/imports")).status_code == 200
        assert cells_of(await anna.get("/imports/template.csv"))[0][0] == "NIP"
        files = {"file": ("../../<b>lista</b>.csv", content.encode("cp1250"), "application/pdf")}
        brought = await anna.post("/imports", files=files, data={"otherwise": "invitation"})
        assert brought.status_code == 303
        where = brought.headers["location"]
        page = await anna.get(where)
        assert "&lt;b&gt;lista&lt;/b&gt;.csv" in page.text or "b&gt;.csv" in page.text
        assert "<script>alert" not in page.text
        assert "<b>lista" not in page.text
        assert "Powstanie 1 zaproszenie" in page.text
        assert good not in (await anna.get(f"{where}?show=bad")).text

        heading, line = cells_of(await anna.get(f"{where}/bad.csv"))
        assert line[:2] == [bad, f"'{HOSTILE}"]
        assert (line[4], bad in line[5], len(heading)) == ("3", True, len(line))

        for _ in range(2):
            assert (await anna.post(f"{where}/carry-out")).headers["location"] == where
        assert "Pobierz plik z linkami" in (await anna.get(where)).text
        _, (nip, name, email, link, _) = cells_of(await anna.post(f"{where}/links"))
        assert (nip, name, email) == (good, "'=1+2 Żółw", "a@firma.pl")
        assert (await anna.get(link.removeprefix(PUBLIC_URL))).status_code == 200
        assert re.search(r"/imports/[0-9a-f]{32}", (await anna.get("/imports")).text)
        assert (await anna.post(f"{where}/discard")).headers["location"] == "/imports"
        assert (await anna.get(where)).status_code == 404


async def test_a_file_that_is_no_list_is_refused_at_the_field(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        for files in ({"file": ("a.xlsx", b"PK\x03\x04")}, {"file": ("", b"")}, {"other": ("a.csv", b"nip")}, None):
            answer = await anna.post("/imports", files=files, data={"otherwise": "x"})
            assert answer.status_code == 422
            assert 'href="#file"' in answer.text
        assert "/imports/" not in (await anna.get("/imports")).text.replace("/imports/template.csv", "")

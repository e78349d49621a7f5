"""A company's page, its history and what can be done there, without JavaScript."""

import re
from pathlib import Path

from bench.portfolio import fill
from tests.klucznik.offices import let_in, office
from tests.klucznik.web.worlds import browser
from tests.klucznik.world import accepted, company, context_of, installed, owner, set_limits, some_nip

from klucznik.domain.board import Order, Wanted
from klucznik.domain.roles import Role
from klucznik.services.board import board_page, everything
from klucznik.services.engine import Engine
from klucznik.services.issue import issue
from klucznik.services.timeline import Happened, timeline
from ksef_sandbox import Sandbox


def serials_in(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"<code>([0-9A-F]{16})</code>", text)))


async def test_a_company_tells_whose_its_certificates_are_what_is_next_and_what_has_happened(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        nip = some_nip()
        person = owner(nip, ksef)
        await issue(klucznik, context_of(nip), person)
        text = (await anna.get(f"/companies/{nip}")).text
        subject = person.holder.signs_in_as
        assert subject.shown() in text
        assert subject.value not in text
        assert len(serials_in(text)) == 2
        for said in ("działa", "należą do osoby", "Klucznik odnowi je sam", "Wniosek do KSeF", "Połączono firmę"):
            assert said in text, said
        whole = (await anna.get(f"/companies/{nip}/timeline")).text
        for said in ("Zlecono wydanie: uwierzytelnianie, offline", "Oba limity wystarczają", "sprawdzono w działaniu"):
            assert said in whole, said
        assert "Traceback" not in whole


async def test_what_is_done_on_the_page_is_done_and_told_with_the_name_of_who_did_it(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        nip = some_nip()
        address = f"/companies/{nip}"
        await issue(klucznik, context_of(nip), owner(nip, ksef))

        async def act(path: str, **fields: str) -> str:
            answer = await anna.post(f"{address}{path}", data=fields)
            assert answer.status_code == 303, answer.text
            return (await anna.get(answer.headers["location"])).text

        assert "Piekarnia Pod Lipą" in await act("/name", name="  Piekarnia   Pod Lipą ")
        too_long = await anna.post(f"{address}/name", data={"name": "x" * 101})
        assert (too_long.status_code, "od 1 do 100" in too_long.text) == (422, True)
        assert "Sprawdzono w KSeF" in await act("/verify")
        offline = serials_in((await anna.get(address)).text)[1]
        assert "Subiekt" in await act(f"/certificates/{offline}/programs", program="Subiekt")
        asked = (await anna.get(f"{address}/certificates/{offline}/revoke")).text
        for said in ("nie da się cofnąć", "przestaną się weryfikować", "Subiekt", offline):
            assert said in asked, said
        assert len(serials_in((await anna.get(address)).text)) == 2  # nothing is revoked by looking
        gone = await act(f"/certificates/{offline}/revoke", reason="KeyCompromise")
        assert "Zwolniło się jedno miejsce" in gone
        assert offline not in serials_in(gone)
        asked_ksef = await anna.post(f"{address}/permissions")
        assert "Uprawnienia w KSeF" in asked_ksef.text
        history = (await anna.get(f"{address}/timeline")).text
        assert history.count("Anna Przykładowa") == 2
        assert f"Unieważniono certyfikat {offline}" in history
        await anna.get(f"{address}/disconnect")
        assert (await anna.post(f"{address}/disconnect")).headers["location"] == "/"
        assert (await anna.get(address)).status_code == 404


async def test_a_renewal_is_asked_for_ordered_and_carried_out_by_the_worker(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        nip = some_nip()
        seal = company(nip, ksef)
        await issue(klucznik, context_of(nip), seal)
        set_limits(ksef, seal.holder.signs_in_as, enrollment=10, certificate=10)
        before = serials_in((await anna.get(f"/companies/{nip}")).text)
        asked = (await anna.get(f"/companies/{nip}/renew")).text
        assert "zużyje 2 wnioski" in asked
        assert len(accepted(ksef, seal.holder.signs_in_as)) == 2
        answer = await anna.post(f"/companies/{nip}/renew")
        assert answer.headers["location"].endswith("renewal_ordered")
        await Engine(klucznik).run_until_idle()
        after = serials_in((await anna.get(f"/companies/{nip}")).text)
        assert len(set(after) - set(before)) == 2


async def test_a_company_by_permission_shows_what_the_operator_may_do(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip()) as klucznik, browser(klucznik, Role.STAFF) as anna:
        await let_in(klucznik, nip, company(nip, ksef))
        text = (await anna.get(f"/companies/{nip}")).text
        assert "operator" in text
        assert "Certyfikaty</h2>" not in text
        permissions = (await anna.post(f"/companies/{nip}/permissions")).text
        assert "InvoiceWrite" in permissions


async def test_no_certificate_of_somebody_else_is_touched_from_a_company_s_page(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        mine, theirs = some_nip(), some_nip()
        for nip in (mine, theirs):
            await issue(klucznik, context_of(nip), owner(nip, ksef))
        serial = serials_in((await anna.get(f"/companies/{theirs}")).text)[0]
        for answer in (
            await anna.get(f"/companies/{mine}/certificates/{serial}/revoke"),
            await anna.post(f"/companies/{mine}/certificates/{serial}/revoke"),
            await anna.post(f"/companies/{mine}/certificates/{serial}/programs", data={"program": "x"}),
            await anna.get("/companies/1234"),
            await anna.get(f"/companies/{some_nip()}"),
        ):
            assert answer.status_code == 404
        assert serial in (await anna.get(f"/companies/{theirs}")).text
        async with browser(klucznik, Role.AUDITOR) as auditor:
            page = await auditor.get(f"/companies/{mine}")
            assert '<form method="post" action="/companies' not in page.text
            for path in ("verify", "permissions", "name", "renew", "disconnect"):
                assert (await auditor.post(f"/companies/{mine}/{path}")).status_code == 403


async def test_the_history_of_a_company_has_its_own_entries_alone_page_by_page(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        nips = await fill(klucznik, 40)
        rows = (await board_page(klucznik, Wanted(), Order.NIP)).rows
        shared = next(one.connection for one in rows if one.connection.subject and one.connection.subject.is_person)
        found: list[Happened] = []
        cursor: str | None = None
        while True:
            page = await timeline(klucznik, shared.context, cursor=cursor, size=3)
            found += page.lines
            cursor = page.following
            if cursor is None:
                break
        assert [one.event for one in found] == [
            "issuance_ended",
            "preflight_passed",
            "connection_health_changed",
            "connection_made",
        ]
        assert len(nips) == 40
        async with browser(klucznik, Role.AUDITOR) as auditor:
            for cursor in ("x", "WzFd", "W10", "WyJhIiwiYiIsMV0"):
                answer = await auditor.get(f"/companies/{shared.context.value}/timeline?before={cursor}")
                assert answer.status_code == 422


async def test_a_person_who_signs_for_many_is_shown_with_some_of_the_companies(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        await fill(klucznik, 99)
        found = [one async for page in everything(klucznik, Wanted(), Order.NIP) for one in page.rows]
        theirs = [one.connection for one in found if one.connection.subject and one.connection.subject.is_person]
        assert len(theirs) > 21
        text = (await anna.get(f"/companies/{theirs[0].context.value}")).text
        assert "i kolejne" in text
        assert len(re.findall(r'<li><a href="/companies/', text)) == 20

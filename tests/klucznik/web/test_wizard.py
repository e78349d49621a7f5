"""The wizard as people walk it, without JavaScript: to a pair, and out of a refusal by each of its ways."""

import io
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import select
from tests.klucznik.offices import NAME, connection_of, employee, office, told
from tests.klucznik.onboardings import STAFF, by_another_program
from tests.klucznik.web.readers import Reader, reader
from tests.klucznik.web.worlds import PUBLIC_URL, SETTINGS
from tests.klucznik.world import (
    accepted,
    checked,
    company,
    context_of,
    filed,
    installed,
    nobody_waits,
    owner,
    person,
    set_limits,
    slow_to_check,
    some_nip,
    some_pesel,
)

from klucznik.domain.accounts import PROOF_LASTS
from klucznik.domain.connections import Method
from klucznik.keys.credential import Credential
from klucznik.server.app import create_app
from klucznik.services import invitations
from klucznik.services.certificates import programs_of
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.issue import held_pair, issue
from klucznik.storage.schema_people import web_sessions
from ksef_sandbox import Sandbox

NIP = "5265877635"
PASSWORD = "trzy-zielone-zolwie"
REFUSED = "Teraz nie można wygenerować certyfikatów"


async def to_the_signature(anna: Reader, nip: str, *, signer: str = "person", method: str = "certificates") -> None:
    await anna.open("/connect")
    await anna.press("Dalej", nip=nip, name="Piekarnia Ślimak")
    if anna.path == "/connect":  # a NIP of the tests looks mistyped
        await anna.press("Rozumiem, dalej")
    await anna.press("Dalej", signer=signer)
    await anna.press("Dalej", method=method)


async def sign(anna: Reader, credential: Credential) -> None:
    at = anna.path
    await anna.press("Przygotuj dokument")
    document = (await anna.client.get(f"{at}/document.xml")).content
    await anna.press("Sprawdź i zaloguj", files={"signed": ("signed.xml", by_another_program(document, credential))})


@asynccontextmanager
async def stranger(klucznik: Installation) -> AsyncIterator[Reader]:
    """A browser of somebody who has nothing but a link."""
    transport = httpx.ASGITransport(app=create_app(klucznik, SETTINGS))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield Reader(client)


async def used_up(ksef: Sandbox, home: Path, nip: str, credential: Credential, *, left: dict[str, int]) -> None:
    """The subject has had two pairs issued by another program, whose keys are not here."""
    async with installed(home, ksef) as other:
        await issue(other, context_of(nip), credential)
        await issue(other, context_of(nip), credential, another_pair=True)
    used = {name: number + 4 for name, number in left.items()}
    set_limits(ksef, credential.holder.signs_in_as, **used)
    ksef.clear_requests()


async def test_from_the_nip_to_a_proved_pair_and_its_files(ksef: Sandbox, tmp_path: Path) -> None:
    person = owner(NIP, ksef)
    subject = person.holder.signs_in_as
    async with installed(tmp_path, ksef) as klucznik, reader(klucznik) as anna:
        await anna.open("/connect")
        await anna.press("Dalej", nip="526587")
        assert (anna.answer.status_code, "nie jest numerem NIP" in anna.warnings) == (422, True)
        await anna.press("Dalej", nip="5265877634")
        assert "Ostatnia cyfra nie pasuje" in anna.warnings
        # The hint while one types says the same.
        assert "Ostatnia cyfra" in (await anna.client.get("/connect/nip", params={"nip": "526-587-76-34"})).text
        assert "wygląda poprawnie" in (await anna.client.get("/connect/nip", params={"nip": f"PL {NIP}"})).text
        await anna.press("Rozumiem, dalej", nip="PL 526-587-76-35", name="Piekarnia Ślimak")
        at = anna.path
        assert anna.heading == "Kto podpisze?"
        await anna.press("Dalej")
        assert (anna.answer.status_code, "Wybierz jedną" in anna.warnings) == (422, True)
        await anna.press("Dalej", signer="person")
        assert "nie ma ustawionego operatora" in anna.text
        assert not anna.page.xpath("//input[@value='permission']")
        await anna.press("Dalej", method="certificates")

        # Every mistake is told where it was made, and costs nothing.
        assert anna.heading == "Podpisz dokument"
        await anna.press("Przygotuj dokument")
        await anna.press("Sprawdź i zaloguj", files={"signed": ("umowa.pdf", b"%PDF-1.7 x")})
        assert (anna.answer.status_code, "To jest PDF" in anna.warnings) == (422, True)
        await anna.press("Zaloguj do KSeF", files={"certificate": ("C:\\klucze\\x.crt", b"nic")}, password="x")
        assert (anna.answer.status_code, "C:" in anna.text) == (422, False)
        ksef.advance(minutes=11)
        await anna.open(at)
        assert "Potrzebny jest nowy dokument" in anna.warnings
        await sign(anna, person)

        assert anna.heading == "Limity KSeF przed wygenerowaniem"
        assert subject.value not in anna.answer.text
        assert f"PESEL {subject.shown()} – wspólnie we wszystkich jej firmach" in anna.text
        assert "teraz 12, potem 10" in anna.text
        assert "teraz 6, potem 4" in anna.text
        assert filed(ksef, subject) == []
        await anna.press("Wygeneruj 2 certyfikaty")
        assert anna.heading == "Certyfikaty są w drodze"
        assert "wrócić później, także na innym urządzeniu" in anna.text
        async with reader(klucznik) as colleague:
            await Engine(klucznik).run_until_idle()
            assert "Firma połączona z KSeF" in (await colleague.open(at)).heading
        await anna.open(at)
        assert len(accepted(ksef, subject)) == 2
        serials = [one.serial_number for one in await held_pair(klucznik, subject)]
        assert len(serials) == 2
        assert all(serial in anna.text for serial in serials)
        assert re.search(r"Numer logowania:\s*\d{8}-AU-", anna.text)
        assert "KOD II" in anna.text
        assert (await anna.client.get(f"{at}/kod2.svg")).content.startswith(b"<svg")

        # Somebody goes back and sends an old form once more: nothing happens.
        again = await anna.client.post(
            f"{at}/signer", data={"signer": "seal", "csrf": anna.page.xpath("//input[@name='csrf']/@value")[0]}
        )
        assert (again.status_code, again.headers["location"]) == (303, at)
        assert (await anna.open(at)).heading == "Firma połączona z KSeF"
        async with reader(klucznik) as fresh:  # whose password was entered just now
            await fresh.open(at)
            await takes_the_files(klucznik, ksef, fresh)
        assert "key_exported" in await told(klucznik, subject)


async def takes_the_files(klucznik: Installation, ksef: Sandbox, anna: Reader) -> None:
    await anna.follow("Pobierz dla innego programu")
    await anna.press("Pobierz zaszyfrowane", password=PASSWORD, again=f"{PASSWORD}!")
    assert "Hasła się różnią" in anna.warnings
    await anna.press("Pobierz zaszyfrowane", password="krótkie", again="krótkie")
    assert anna.answer.status_code == 422
    counter = Reader(anna.client, anna.answer, list(anna.seen))
    await counter.press("Pobierz zaszyfrowane", password=PASSWORD, again=PASSWORD, program="  Faktury   Plus ")
    headers = counter.answer.headers
    assert headers["content-disposition"] == f'attachment; filename="ksef-{NIP}.zip"'
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    with zipfile.ZipFile(io.BytesIO(counter.answer.content)) as files:
        names = files.namelist()
        key = files.read(next(name for name in names if name.endswith(".key")))
    assert sorted(name.rpartition(".")[2] for name in names) == ["crt", "crt", "key", "key"]
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in key
    load_pem_private_key(key, PASSWORD.encode())
    serials = [name.split("-")[2].partition(".")[0] for name in names]
    assert set((await programs_of(klucznik, serials)).values()) == {("Faktury Plus",)}
    # Later on the password is asked for first.
    ksef.advance(seconds=PROOF_LASTS.total_seconds())
    answer = await anna.client.get(anna.path)
    assert (answer.status_code, answer.headers["location"].startswith("/prove")) == (303, True)


async def test_a_refusal_is_left_by_letting_the_operator_in(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    subject = person.holder.signs_in_as
    set_limits(ksef, subject, enrollment=1)
    async with office(tmp_path, ksef, some_nip()) as klucznik, reader(klucznik) as anna:
        await to_the_signature(anna, nip)
        await sign(anna, person)
        assert anna.heading == REFUSED
        assert "Nic nie zostało zużyte" in anna.warnings
        assert "Potrzebne wnioski: 2. KSeF przyjmie jeszcze: 1" in anna.text
        ways = [" ".join(one.text_content().split()) for one in anna.page.xpath("//li[contains(@class,'way')]//h3")]
        assert ways[0].startswith("Nadaj uprawnienia w KSeF operatorowi")
        assert ways[-1].startswith("Poczekaj")
        at = anna.path
        await anna.follow("Zobacz, co i komu nadać")
        assert all(word in anna.text for word in (NAME, "InvoiceRead", "InvoiceWrite", nip))
        assert not ksef.requests(path="/permissions/entities/grants")
        await anna.press("Nadaj uprawnienie")
        assert (anna.path, anna.heading) == (at, "Firma połączona z KSeF")
        assert "Operator zalogował się do tej firmy" in anna.text
        connection = await connection_of(klucznik, nip)
        assert connection is not None
        assert connection.method is Method.PERMISSION
        assert filed(ksef, subject) == []


async def test_a_refusal_is_left_by_revoking_and_the_pair_is_ordered_in_the_same_session(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    person = owner(nip, ksef)
    subject = person.holder.signs_in_as
    await used_up(ksef, tmp_path / "other", nip, person, left={"enrollment": 2, "certificate": 1})
    async with installed(tmp_path / "ours", ksef) as klucznik, reader(klucznik) as anna:
        await to_the_signature(anna, nip)
        await sign(anna, person)
        assert anna.heading == REFUSED
        sign_ins = len(ksef.requests(method="POST", path="/auth/xades-signature"))
        at = anna.path
        await anna.follow("Wybierz certyfikaty")
        (suggested,) = anna.page.xpath("//input[@name='serial'][@checked]/@value")
        await anna.press("Pokaż skutki", serial=None)
        assert anna.answer.status_code == 422
        await anna.open(f"{at}/revoke")
        await anna.press("Pokaż skutki")
        assert suggested in anna.text
        assert "teraz 1, potem 2" in anna.text
        assert "bez zmian: 2" in anna.text
        assert "Unieważnienia nie da się cofnąć" in anna.warnings
        assert not ksef.requests(method="POST", path=f"/certificates/{suggested}/revoke")
        await anna.press("Tak, unieważnij 1 certyfikat")
        assert (anna.path, anna.heading) == (at, "Limity KSeF przed wygenerowaniem")
        await anna.press("Wygeneruj 2 certyfikaty")
        await Engine(klucznik).run_until_idle()
        assert (await anna.open(at)).heading == "Firma połączona z KSeF"
        assert len(accepted(ksef, subject)) == 2
        # The new certificate proves itself by one sign-in; the person has not signed again.
        assert len(ksef.requests(method="POST", path="/auth/xades-signature")) == sign_ins + 1


async def test_an_order_is_left_to_wait_for_the_limits_and_called_off_again(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    seal = company(nip, ksef)
    await used_up(ksef, tmp_path / "other", nip, seal, left={"enrollment": 1})
    async with installed(tmp_path / "ours", ksef) as klucznik, reader(klucznik) as anna:
        await to_the_signature(anna, nip, signer="seal")
        await sign(anna, seal)
        at = anna.path
        await anna.follow("Zostaw zlecenie, niech czeka")
        assert "Czeka najdłużej 60 dni" in anna.text
        await anna.press("Tak, niech czeka")
        await Engine(klucznik).run_until_idle()
        await anna.open(at)
        assert anna.heading == "Zlecenie czeka na limity"
        assert "Następne sprawdzenie" in anna.text
        await anna.press("Przestań czekać")
        assert (anna.path, anna.heading) == (at, REFUSED)
        assert filed(ksef, seal.holder.signs_in_as) == []


async def test_whoever_was_invited_walks_the_same_pages_and_reaches_no_others(ksef: Sandbox, tmp_path: Path) -> None:
    nip, other = some_nip(), some_nip()
    person = owner(nip, ksef)
    async with installed(tmp_path, ksef) as klucznik, reader(klucznik) as anna, stranger(klucznik) as client:
        await to_the_signature(anna, other)
        link = (await invitations.invite(klucznik, STAFF, nip, name="Piekarnia Ślimak")).token
        await client.open(f"/i/{link}")
        await client.press("Zaczynam")
        await client.press("Połącz firmę z KSeF")
        at = client.path
        assert (await client.open(anna.path)).answer.status_code == 404
        assert (await client.open("/connect")).path == at
        await client.press("Dalej", signer="person")
        await client.press("Dalej", method="certificates")
        await sign(client, person)
        await client.press("Wygeneruj 2 certyfikaty")
        await Engine(klucznik).run_until_idle()
        assert (await client.open(at)).heading == "Firma połączona z KSeF"
        assert not client.page.xpath("//a[@href='/calendar' or contains(@href, '/companies')]")
        assert (await client.client.get(f"/companies/{nip}/download")).status_code == 404
        # Their signature was the proof, for an hour.
        assert (await client.open(f"{at}/download")).heading == "Certyfikaty dla innego programu"
        ksef.advance(hours=1)
        assert (await client.open(f"{at}/download")).answer.status_code == 403


async def test_keys_are_handed_out_where_the_signature_was_given_and_by_no_other_link(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik, stranger(klucznik) as client, stranger(klucznik) as other:
        invited = await invitations.invite(klucznik, STAFF, nip)
        await client.open(f"/i/{invited.token}")
        await client.press("Zaczynam")
        await client.press("Połącz firmę z KSeF")
        at = client.path
        await client.press("Dalej", signer="person")
        await client.press("Dalej", method="certificates")
        await sign(client, owner(nip, ksef))
        await client.press("Wygeneruj 2 certyfikaty")
        await other.open(f"/i/{(await invitations.renew_link(klucznik, STAFF, invited.invitation.id)).token}")
        await other.press("Zaczynam")
        await Engine(klucznik).run_until_idle()
        assert (await other.open(at)).heading == "Firma połączona z KSeF"
        refused = (await other.open(f"{at}/download")).answer
        assert (refused.status_code, "w której złożono podpis" in refused.text) == (403, True)


async def test_whoever_was_invited_takes_away_only_what_they_have_signed_for(ksef: Sandbox, tmp_path: Path) -> None:
    """The company is connected with its bookkeeper's own certificates; its owner grants, and gets none of them."""
    nip = some_nip()
    boss, bookkeeper = owner(nip, ksef), employee(nip, ksef, "InvoiceRead", "InvoiceWrite")
    async with office(tmp_path, ksef, some_nip()) as klucznik, stranger(klucznik) as client:
        await issue(klucznik, context_of(nip), bookkeeper)
        link = (await invitations.invite(klucznik, STAFF, nip)).token
        await client.open(f"/i/{link}")
        await client.press("Zaczynam")
        await client.press("Połącz firmę z KSeF")
        at = client.path
        await client.press("Dalej", signer="person")
        await client.press("Dalej", method="permission")
        await sign(client, boss)
        await client.press("Nadaj uprawnienie")
        assert client.heading == "Firma połączona z KSeF"
        assert (await client.open(f"{at}/download")).answer.status_code == 404


async def test_a_signature_that_ksef_checks_for_minutes_is_waited_for_by_nobody(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with slow_to_check(tmp_path, ksef) as (klucznik, clock), reader(klucznik) as anna:
        await to_the_signature(anna, nip)
        at = anna.path
        await sign(anna, owner(nip, ksef))
        assert (anna.path, anna.heading) == (at, "KSeF sprawdza podpis")
        assert "Stronę można zamknąć" in anna.text
        assert anna.page.xpath("//noscript/meta[@http-equiv='refresh']")
        assert anna.page.xpath(f"//*[@sse-connect='{at}/events']")
        # A second one, from another window, is not sent; nor does a reload send anything.
        files = {"signed": ("signed.xml", b"<xml/>")}
        csrf = anna.page.xpath("//input[@name='csrf']/@value")[0]
        second = await anna.client.post(f"{at}/signature", data={"csrf": csrf}, files=files)
        assert (second.status_code, second.headers["location"]) == (303, at)
        assert (await anna.open(at)).heading == "KSeF sprawdza podpis"
        assert "KSeF sprawdza podpis" in (await anna.open("/connect")).text
        await clock.somebody_waits.wait()
        assert len(ksef.requests(method="POST", path="/auth/xades-signature")) == 1
        await checked(klucznik, clock)
        assert (await anna.open(at)).heading == "Limity KSeF przed wygenerowaniem"


async def test_a_grant_that_takes_ksef_its_time_is_waited_for_by_nobody(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with office(tmp_path, ksef, some_nip()) as klucznik, reader(klucznik) as anna:
        await to_the_signature(anna, nip)
        at = anna.path
        await sign(anna, owner(nip, ksef))
    ksef.set(perm_delay_ms=60_000)
    async with nobody_waits(tmp_path, ksef) as (klucznik, clock), reader(klucznik) as anna:
        await anna.open(f"{at}/grant")
        await anna.press("Nadaj uprawnienie")
        assert (anna.path, anna.heading) == (at, "KSeF nadaje uprawnienie")
        assert anna.page.xpath("//noscript/meta[@http-equiv='refresh']")
        assert anna.page.xpath(f"//*[@sse-connect='{at}/events']")
        await clock.somebody_waits.wait()
        await anna.open(at)
        assert anna.page.xpath("//li[@aria-current='step']//*[contains(., 'Nadanie uprawnień przez KSeF')]")
        # From another window, or once more by the same form: it leads to where the row is.
        assert (await anna.open(f"{at}/grant")).heading == "KSeF nadaje uprawnienie"
        assert "KSeF nadaje uprawnienie" in (await anna.open("/connect")).text
        await checked(klucznik, clock)
        assert (await anna.open(at)).heading == "Firma połączona z KSeF"
    assert len(ksef.requests(method="POST", path="/permissions/entities/grants")) == 1


async def test_a_refusal_that_comes_after_minutes_is_told_on_the_page(ksef: Sandbox, tmp_path: Path) -> None:
    async with slow_to_check(tmp_path, ksef) as (klucznik, clock), reader(klucznik) as anna:
        await to_the_signature(anna, some_nip())
        at = anna.path
        await sign(anna, person(some_pesel(), ksef))
        assert anna.heading == "KSeF sprawdza podpis"
        await checked(klucznik, clock)
        assert (await anna.open(at)).heading == "Podpisz dokument"
        assert "KSeF odrzucił ten podpis" in anna.warnings
        assert "nie ma uprawnień w KSeF do podanego NIP-u" in anna.warnings


async def test_the_browser_of_a_client_is_proved_by_a_signature_that_was_checked_and_not_before(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with slow_to_check(tmp_path, ksef) as (klucznik, clock), stranger(klucznik) as client:
        await client.open(f"/i/{(await invitations.invite(klucznik, STAFF, nip)).token}")
        await client.press("Zaczynam")
        await client.press("Połącz firmę z KSeF")
        at = client.path
        await client.press("Dalej", signer="person")
        await client.press("Dalej", method="certificates")
        await sign(client, owner(nip, ksef))
        assert client.heading == "KSeF sprawdza podpis"
        assert await proofs(klucznik) == [None]
        await checked(klucznik, clock)
        await client.open(at)
        await client.press("Wygeneruj 2 certyfikaty")
        await Engine(klucznik).run_until_idle()
        assert (await client.open(f"{at}/download")).heading == "Certyfikaty dla innego programu"


async def proofs(klucznik: Installation) -> list[datetime | None]:
    """When those who are signed in here have proved who they are."""
    return await klucznik.database.read(
        lambda transaction: list(transaction.execute(select(web_sessions.c.proved_at)).scalars())
    )


async def test_who_signed_before_another_on_the_same_invitation_gets_no_keys_of_theirs(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    bookkeeper = employee(nip, ksef, "InvoiceRead", "InvoiceWrite")
    async with installed(tmp_path, ksef) as klucznik, stranger(klucznik) as first, stranger(klucznik) as second:
        await first.open(f"/i/{(await invitations.invite(klucznik, STAFF, nip)).token}")
        await first.press("Zaczynam")
        await first.open("/invited")
        await first.press("Połącz firmę z KSeF")
        at = first.path
        await first.press("Dalej", signer="representative")
        await first.press("Dalej", method="certificates")
        await sign(first, bookkeeper)
        assert first.heading == "Limity KSeF przed wygenerowaniem"
        # The link for another device goes to the owner, who signs there instead.
        link = await link_for_another_device(first)
        await second.open(link)
        await second.press("Zaczynam")
        await second.open(at)
        csrf = second.page.xpath("//input[@name='csrf']/@value")[0]
        await second.client.post(f"{at}/back", data={"csrf": csrf, "to": "sign"})
        await second.open(at)
        await sign(second, owner(nip, ksef))
        await second.press("Wygeneruj 2 certyfikaty")
        await Engine(klucznik).run_until_idle()
        assert (await first.open(f"{at}/download")).answer.status_code == 403
        assert (await second.open(f"{at}/download")).heading == "Certyfikaty dla innego programu"


async def link_for_another_device(client: Reader) -> str:
    await client.open("/invited")
    csrf = client.page.xpath("//input[@name='csrf']/@value")[0]
    shown = await client.client.post("/invited/device", data={"csrf": csrf})
    found = re.search(r"/i/[\w-]{43}", shown.text)
    assert found is not None
    return found[0]

"""The wizard by keyboard alone, with and without JavaScript: a document's time runs out, the road moves by itself."""

import re
from pathlib import Path

from playwright.async_api import FilePayload, Locator, Page, expect
from tests.klucznik.onboardings import by_another_program
from tests.klucznik.web.sites import IN_BROWSER, Site, assert_accessible, assert_fits_a_phone
from tests.klucznik.world import filed, owner, some_nip

from klucznik.domain.identifiers import nip_checksum_ok
from klucznik.domain.roles import Role
from klucznik.keys.credential import Credential

pytestmark = IN_BROWSER

_MOST_TABS = 60


async def reach(page: Page, wanted: Locator) -> None:
    """Go to an element with the tabulator, as somebody without a mouse does."""
    for _ in range(_MOST_TABS):
        if await wanted.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} cannot be reached by keyboard on {page.url}")


def well_typed_nip() -> str:
    """One whose last digit follows from the others: the wizard asks nothing about it."""
    return next(nip for nip in iter(some_nip, "") if nip_checksum_ok(nip))


async def press(page: Page, button: str) -> None:
    await expect(page.get_by_role("button", name=button)).to_be_visible()
    await reach(page, page.get_by_role("button", name=button))
    await page.keyboard.press("Enter")


async def choose(page: Page, name: str, value: str, *, steps: int) -> None:
    """The first of some radio buttons by Tab, another one by the arrows."""
    await expect(page.locator(f"#{name}-{value}")).to_be_visible()
    await reach(page, page.locator(f"[name={name}]").first)
    await page.keyboard.press("Space")
    for _ in range(steps):
        await page.keyboard.press("ArrowDown")
    await expect(page.locator(f"#{name}-{value}")).to_be_checked()


async def looked_at(page: Page, heading: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    await assert_fits_a_phone(page)
    await assert_accessible(page)


async def sign(page: Page, person: Credential, directory: Path) -> None:
    async with page.expect_download() as downloading:
        await reach(page, page.get_by_role("link", name="Pobierz dokument"))
        await page.keyboard.press("Enter")
    unsigned = await (await downloading.value).path()
    signed = directory / "signed.xml"
    signed.write_bytes(by_another_program(unsigned.read_bytes(), person))
    await page.locator("#signed").set_input_files(signed)


async def test_without_javascript_the_keyboard_leads_to_the_same_end(site: Site, tmp_path: Path) -> None:
    nip = well_typed_nip()
    person = owner(nip, site.ksef)
    async with site.page(Role.STAFF, javascript=False) as page:
        await page.goto("/connect")
        await reach(page, page.locator("#nip"))
        await page.keyboard.type(nip)
        await press(page, "Dalej")
        await choose(page, "signer", "person", steps=0)
        await press(page, "Dalej")
        await choose(page, "method", "certificates", steps=0)
        await press(page, "Dalej")
        await press(page, "Przygotuj dokument")
        await expect(page.get_by_text("Podpisany plik trzeba wczytać do")).to_be_visible()
        await sign(page, person, tmp_path)
        await press(page, "Sprawdź i zaloguj do KSeF")
        await press(page, "Wygeneruj 2 certyfikaty")
        # The page comes again by itself every few seconds.
        await expect(page.get_by_role("heading", level=1)).to_have_text("Firma połączona z KSeF")


async def test_the_whole_wizard_by_keyboard_and_its_road_moves_by_itself(site: Site, tmp_path: Path) -> None:
    nip = well_typed_nip()
    person = owner(nip, site.ksef)
    async with site.page(Role.STAFF) as page:
        await page.goto("/connect")
        await reach(page, page.locator("#nip"))
        await page.keyboard.type(nip)
        await expect(page.locator("#nip-told")).to_contain_text("wygląda poprawnie")
        await looked_at(page, "Połącz firmę z KSeF")
        await press(page, "Dalej")
        await looked_at(page, "Kto podpisze?")
        await choose(page, "signer", "representative", steps=2)
        await press(page, "Dalej")
        await looked_at(page, "Jak połączyć?")
        await choose(page, "method", "certificates", steps=0)
        await press(page, "Dalej")
        await looked_at(page, "Podpisz dokument")
        await press(page, "Przygotuj dokument")
        left = page.locator("[data-shown]")
        await expect(left).to_have_text(re.compile(r"Zostało \d:\d\d"))
        before = await left.inner_text()
        await expect(left).not_to_have_text(before)
        # A mistake opens the page where it is told, far below the top.
        other = FilePayload(name="other.xml", mimeType="text/xml", buffer=b"<other/>")
        await page.locator("#signed").set_input_files(other)
        await press(page, "Sprawdź i zaloguj do KSeF")
        await expect(page.get_by_role("alert")).to_be_focused()
        await sign(page, person, tmp_path)
        await press(page, "Sprawdź i zaloguj do KSeF")
        await looked_at(page, "Limity KSeF przed wygenerowaniem")
        await press(page, "Wygeneruj 2 certyfikaty")
        # Nobody touches the page: the stream brings it to its end.
        await looked_at(page, "Firma połączona z KSeF")
        await expect(page.get_by_text("Numer logowania")).to_be_visible()
        assert await page.locator("h1").inner_text() == "Firma połączona z\u00a0KSeF", "z would end a line"
        assert len(filed(site.ksef, person.holder.signs_in_as)) == 2


async def test_a_document_whose_time_runs_out_says_so_without_a_reload(site: Site) -> None:
    async with site.page(Role.STAFF) as page:
        await page.goto("/connect")
        await page.locator("#nip").fill(well_typed_nip())
        await press(page, "Dalej")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Kto podpisze?")
        await choose(page, "signer", "person", steps=0)
        await press(page, "Dalej")
        await choose(page, "method", "certificates", steps=0)
        await press(page, "Dalej")
        await page.clock.install()
        await press(page, "Przygotuj dokument")
        await expect(page.locator("[data-shown]")).to_contain_text("Zostało")
        await page.clock.fast_forward("09:00")
        await expect(page.locator(".clock-short")).to_be_visible()
        await page.clock.fast_forward("02:00")
        await expect(page.get_by_text("Czas tego dokumentu minął")).to_be_visible()
        await press(page, "Przygotuj nowy dokument")
        await expect(page.locator("[data-shown]")).to_contain_text("Zostało 9:5")

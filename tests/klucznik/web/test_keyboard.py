"""Without a mouse: all that can be operated is reached by Tab, in the order of the page, and one sees where one is."""

from playwright.async_api import Page, expect
from tests.klucznik.web.filled import Filled
from tests.klucznik.web.sites import IN_BROWSER, PHONE, Site, assert_accessible

from klucznik.domain.roles import Role

pytestmark = IN_BROWSER

# Of radio buttons with one name Tab reaches one; the arrows reach the others.
_OPERATED = """
() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && one.type !== 'hidden')
  .filter((one) => one.type !== 'radio' || document.querySelector(`[name="${one.name}"]`) === one)
  .map((one, number) => { one.dataset.number = number; return number; })
"""
_FOCUSED = """
() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return [one.dataset.number === undefined ? null : Number(one.dataset.number), seen, one.outerHTML.slice(0, 120)];
}
"""


async def test_everything_is_reached_in_its_order_and_seen_when_it_is(site: Site, world: Filled) -> None:
    paths = ["/", *(world.addresses_of(f"/{path}")[0] for path in ("companies/{nip}", "connect/{onboarding_id}"))]
    async with site.page(Role.ADMINISTRATOR) as page:
        for path in [*paths, "/invitations/new", "/settings/api-keys/new"]:
            await page.goto(path)
            everything = await page.evaluate(_OPERATED)
            # Where a page puts the focus by itself, one goes round from there.
            await page.evaluate("document.activeElement?.blur()")
            assert await _tabbed_through(page, len(everything)) == everything, path


async def _tabbed_through(page: Page, most: int) -> list[int]:
    reached: list[int] = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        number, seen, shown = await page.evaluate(_FOCUSED)
        assert seen, f"{page.url}: the focus is not seen on {shown}"
        assert number is not None, f"{page.url}: the focus is on {shown}"
        reached.append(number)
    return reached


async def test_the_frame_is_walked_without_a_mouse(site: Site) -> None:
    async with site.page(Role.ADMINISTRATOR, size=PHONE) as page:
        await page.goto("/")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Przejdź do treści")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        menu = page.locator("summary").first
        await menu.focus()
        await page.keyboard.press("Enter")
        leave = page.get_by_role("button", name="Wyloguj")
        await expect(leave).to_be_visible()
        await assert_accessible(page)
        await page.keyboard.press("Escape")
        await expect(leave).to_be_hidden()
        await expect(menu).to_be_focused()


async def test_what_is_wrong_in_a_form_is_read_first(site: Site) -> None:
    async with site.page(Role.ADMINISTRATOR) as page:
        await page.goto("/invitations/new")
        await page.locator("#nip").fill("123")
        await page.keyboard.press("Enter")
        summary = page.get_by_role("alert")
        await expect(summary).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#nip")).to_be_focused()
        await assert_accessible(page)

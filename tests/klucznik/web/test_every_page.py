"""Every page that the application lists: nothing keeps anybody out, nothing sticks out, nothing is complained of.

A new page is looked at without a line here; where its address has a part that is filled in, `filled` says with what.
"""

import re
from urllib.parse import urlsplit

from fastapi.routing import APIRoute, iter_route_contexts
from playwright.async_api import Page
from tests.klucznik.web.filled import Filled, filled
from tests.klucznik.web.sites import IN_BROWSER, Site, assert_accessible, assert_fits_a_phone
from tests.project.english import ENGLISH

from klucznik.domain.roles import Role

pytestmark = IN_BROWSER

# Answers that are no pages: files and streams.
_NO_PAGE = re.compile(r"/api/|\.(ics|csv|xlsx|xml|json)$|/download|/export|/progress$|/events$")


async def test_every_page_keeps_nobody_out_in_any_way_that_a_browser_can_tell(site: Site) -> None:
    world = await filled(site)
    paths = pages_of(site, world)
    async with site.page(Role.ADMINISTRATOR) as page:
        for path in paths:
            await look_at(page, path)
    async with site.page() as page:
        for path in paths:
            await page.goto(path)
            if urlsplit(page.url).path not in ("/sign-in", "/no/such/page"):
                await look_at(page, path)
        await look_at(page, "/sign-in")


def pages_of(site: Site, world: Filled) -> list[str]:
    """The address of each page; that of nothing too, for the page of an error."""
    found = {"/no/such/page"}
    for route in iter_route_contexts(site.app.routes):
        path = route.path or ""
        if isinstance(route.original_route, APIRoute) and "GET" in (route.methods or ()) and not _NO_PAGE.search(path):
            found.add(world.address_of(path))
    assert len(found) > 1
    return sorted(found)


async def look_at(page: Page, path: str) -> None:
    await page.goto(path)
    title = await page.title()
    assert title.endswith(" – Klucznik"), path
    assert not ENGLISH.search(title), title
    assert "." not in title.removesuffix(" – Klucznik"), f"a key, not a title: {title}"
    assert await page.locator("h1").count() == 1, path
    await assert_fits_a_phone(page)
    await assert_accessible(page)

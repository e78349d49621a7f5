"""Every page that the application lists: nothing keeps anybody out, nothing sticks out, nothing is complained of.

A new page is looked at without a line here; where its address has a part that is filled in, `filled` says with what.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

from fastapi.routing import APIRoute, iter_route_contexts
from playwright.async_api import Page
from tests.klucznik.web.filled import Filled
from tests.klucznik.web.sites import IN_BROWSER, Site, assert_accessible, assert_fits_a_phone
from tests.klucznik.world import installed
from tests.project.english import ENGLISH

from klucznik.access.settings import WebSettings
from klucznik.domain.roles import Role
from klucznik.operations.serving import listen, served, url_of
from klucznik.server.app import create_app
from klucznik.server.demo import Demo, Signers
from klucznik.server.demo_pages import demo_router
from klucznik.services.accounts.account_links import make_setup_link

pytestmark = IN_BROWSER

NOWHERE = "/no/such/page"
# There while nobody has an account, so not on a site with people.
_ONLY_ONCE = "/set-up/{token}"

# Answers that are no pages: files and streams.
_NO_PAGE = re.compile(r"/api/|\.(ics|csv|xlsx|xml|json|svg)$|/connect/nip$|/download|/export|/progress$|/events$")


async def test_every_page_keeps_nobody_out_in_any_way_that_a_browser_can_tell(site: Site, world: Filled) -> None:
    unseen = pages_of(site, world)
    async with site.page(Role.ADMINISTRATOR) as page:
        await look_at(page, NOWHERE, status=404)
        unseen = [path for path in unseen if not await look_at(page, path)]
    async with site.page(session=world.invited) as page:
        unseen = [path for path in unseen if not await look_at(page, path)]
    async with site.page() as page:
        await look_at(page, "/sign-in")
        unseen = [path for path in unseen if not await look_at(page, path)]
    assert unseen == [], "pages that refuse everybody"


def pages_of(site: Site, world: Filled) -> list[str]:
    """The address of each page."""
    found = set[str]()
    for route in iter_route_contexts(site.app.routes):
        path = route.path or ""
        page = isinstance(route.original_route, APIRoute) and "GET" in (route.methods or ())
        if page and path != _ONLY_ONCE and not _NO_PAGE.search(path):
            found.update(world.addresses_of(path))
    assert found
    return sorted(found)


async def test_pages_that_only_a_new_installation_or_a_demo_has_keep_nobody_out_either(
    site: Site, tmp_path: Path
) -> None:
    async with installed(tmp_path, site.ksef) as fresh:
        token = await make_setup_link(fresh)
        with listen("127.0.0.1", 0, option="--port") as listening:
            demo = demo_router(Demo(Signers(tmp_path), email="", password=""))
            app = create_app(fresh, WebSettings(url_of(listening)), demo=demo)
            async with served(app, listening, finish_within_s=60), site.page() as page:
                assert await look_at(page, f"{url_of(listening)}/set-up/{token}")
                assert await look_at(page, f"{url_of(listening)}/demo")


async def look_at(page: Page, path: str, *, status: int = 200) -> bool:
    """False where it refuses whoever asks. Where it leads elsewhere, that is looked at in its own turn."""
    answer = await page.goto(path)
    assert answer is not None
    if urlsplit(page.url).path != urlsplit(path).path:
        return urlsplit(page.url).path != "/sign-in"
    if answer.status != status:
        assert answer.status in (403, 404), path
        return False
    title = await page.title()
    assert title.endswith(" – Klucznik"), path
    assert not ENGLISH.search(title), title
    assert "." not in title.removesuffix(" – Klucznik"), f"a key, not a title: {title}"
    assert await page.locator("h1").count() == 1, path
    await assert_fits_a_phone(page)
    await assert_accessible(page)
    return True

"""`python -m tests.klucznik.web.screenshots DIR`: every page of the demo, on a desktop and a phone, light and dark.

Pages are found by following links, so that a new one is in the next round of pictures without a line here; what only
comes after a form is walked to in `_walks`. A picture is named after its page.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright
from tests import needs
from tests.klucznik.server.test_serving import serving

from klucznik.server.demo import FREE

_SIZES = {"desktop": (1440, 900), "phone": (375, 812)}
_NO_PAGE = re.compile(r"\.(xml|ics|csv|xlsx|crt|key|zip)$|^/(static|api|demo/signatures)/|/download$|/export")


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    home = directory / "home"
    with serving(home, "--demo") as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs.chromium(), args=["--no-sandbox"])
        context = browser.new_context(base_url=running.url, locale="pl-PL", timezone_id="Europe/Warsaw")
        page = context.new_page()
        for path in ("/sign-in", "/no/such/page"):
            page.goto(path)
            _picture(page, directory)
        page.goto(running.said["demo"])
        for _ in _walks(page):
            _picture(page, directory)
        for path in _linked(page):
            page.goto(path)
            _picture(page, directory)
        browser.close()


def _walks(page: Page) -> Iterator[None]:
    """The wizard with the company that is free, as its owner walks it; a picture is taken at each stop."""
    answer = page.goto("/connect")
    if answer is None or answer.status != 200:
        return
    yield
    page.get_by_label("NIP").first.fill(FREE.nip)
    for _ in range(8):
        before = page.url, page.locator("h1").inner_text()
        short = page.locator("form[action^='/demo/sign/'] button")
        button = short if short.count() else page.locator("main form button.button:not(.button-quiet)").first
        if not button.count():
            return
        for group in page.locator("main fieldset").all():
            group.locator("input[type=radio]").first.check()
        button.click()
        page.wait_for_load_state()
        yield
        if (page.url, page.locator("h1").inner_text()) == before:
            break
    page.locator(".road-now, .road-waiting").first.wait_for(state="detached", timeout=60_000)
    page.wait_for_load_state()
    yield


def _linked(page: Page) -> Iterator[str]:
    """Every page that links lead to from the first one, one of each kind."""
    waiting, kinds, seen = ["/", "/connect"], set[str](), set[str]()
    while waiting:
        path = waiting.pop(0)
        kind = _kind(path)
        # An onboarding looks different in each of its states.
        if (kind in kinds and kind != "/connect/_") or path in seen or _NO_PAGE.search(path):
            continue
        seen.add(path)
        kinds.add(kind)
        yield path
        links = page.eval_on_selector_all("a[href]", "all => all.map((one) => one.href)")
        here = urlsplit(page.url).netloc
        waiting += [urlsplit(link).path for link in links if urlsplit(link).netloc == here]


def _kind(path: str) -> str:
    """The page without what is of one company, certificate or order."""
    return re.sub(r"/[0-9a-f]{16,}(?=/|$)|/\d{10}(?=/|$)|/[0-9A-F]{16}(?=/|$)", "/_", path)


def _picture(page: Page, directory: Path) -> None:
    heading = page.locator("h1").first.inner_text() if page.locator("h1").count() else ""
    told = unicodedata.normalize("NFD", f"{_kind(urlsplit(page.url).path)} {heading}".lower().replace("ł", "l"))
    name = re.sub(r"[^a-z0-9]+", "-", told.encode("ascii", "ignore").decode()).strip("-")[:80]
    for size, (width, height) in _SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=directory / f"{name}.{size}.{scheme}.png", full_page=True)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")
    print(f"{page.url} -> {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

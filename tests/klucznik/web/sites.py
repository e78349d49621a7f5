"""The application in a real browser: one server, one sandbox and one Chromium for all tests of a run.

A test opens a page as somebody of a role; what the browser complains of while it is open fails the test. Everything
runs in the event loop of the session: such tests are marked `pytestmark = IN_BROWSER`.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect
from tests import needs
from tests.klucznik.web.worlds import some_user
from tests.klucznik.world import QUICK, installed

from klucznik.access.settings import WebSettings
from klucznik.domain.accounts import User
from klucznik.domain.roles import Role
from klucznik.operations.serving import served
from klucznik.server.app import create_app
from klucznik.services.accounts.browser_sessions import open_session
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from ksef_sandbox import Sandbox

IN_BROWSER = pytest.mark.asyncio(loop_scope="session")
DESKTOP, PHONE = (1440, 900), (375, 812)
Scheme = Literal["light", "dark"]

_FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
_PATIENCE_MS = 60_000  # a busy machine may take its time
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
# The browser notes it where the page itself comes with a refusal; the page says it in words.
_PAGE_REFUSES = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")

expect.set_options(timeout=_PATIENCE_MS)


@dataclass(frozen=True)
class Site:
    """A running application with its worker.

    Attributes:
        url: without a slash at its end.
    """

    url: str
    app: FastAPI
    settings: WebSettings
    klucznik: Installation
    ksef: Sandbox
    browser: Browser
    _users: dict[Role, User] = field(default_factory=dict, init=False)

    async def user(self, role: Role) -> User:
        """The one of that role whom all tests share."""
        if role not in self._users:
            self._users[role] = await some_user(self.klucznik, role)
        return self._users[role]

    @asynccontextmanager
    async def page(
        self,
        role: Role | None = None,
        *,
        javascript: bool = True,
        size: tuple[int, int] = DESKTOP,
        scheme: Scheme = "light",
        session: str | None = None,
    ) -> AsyncIterator[Page]:
        """A page in a browser of its own, signed in as somebody of that role; None: as nobody.

        Args:
            session: the token of another session than that of the shared user, for example an invited client's.
        """
        context = await self.browser.new_context(
            base_url=self.url,
            java_script_enabled=javascript,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            locale="pl-PL",
            timezone_id="Europe/Warsaw",
            reduced_motion="reduce",
        )
        context.set_default_timeout(_PATIENCE_MS)
        token = session or (None if role is None else await self._token(role))
        if token is not None:
            await context.add_cookies([{"name": self.settings.cookie, "value": token, "url": self.url}])
        page = await context.new_page()
        try:
            with complaints_of(page) as complaints:
                yield page
            assert complaints == []
        finally:
            await context.close()

    async def _token(self, role: Role) -> str:
        user = await self.user(role)
        token, _ = await open_session(self.klucznik, user_id=user.id)
        return token


@contextmanager
def complaints_of(page: Page) -> Iterator[list[str]]:
    """What the browser complains of: errors and warnings of scripts and of the policy (CSP), what fails to load."""
    found: list[str] = []

    def noted(message: ConsoleMessage) -> None:
        refused = _PAGE_REFUSES.match(message.text) and message.location["url"] == page.url
        if message.type in ("error", "warning") and not refused:
            found.append(f"{page.url}: {message.text}")

    page.on("console", noted)
    page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
    yield found


async def assert_accessible(page: Page) -> None:
    """No violation of WCAG 2.1 A and AA, nor of axe's best practices; the colours in both schemes.

    The page needs JavaScript: without it axe would wait for ever.
    """
    await page.evaluate(_axe())
    problems = await _violations(page, {"runOnly": {"type": "tag", "values": _RULES}})
    await page.emulate_media(color_scheme="dark")
    problems += await _violations(page, {"runOnly": {"type": "rule", "values": ["color-contrast"]}})
    await page.emulate_media(color_scheme="light")
    assert problems == [], page.url


async def _violations(page: Page, options: dict[str, Any]) -> list[str]:
    found = await page.evaluate("async (options) => (await axe.run(document, options)).violations", options)
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        for node in one["nodes"]
    ]


async def assert_fits_a_phone(page: Page) -> None:
    """Nothing is to be scrolled sideways at 320 px: the smallest phone, or 1280 px at a zoom of 400 %."""
    before = page.viewport_size
    await page.set_viewport_size({"width": 320, "height": PHONE[1]})
    wide = await page.evaluate(_SIDEWAYS)
    if before is not None:
        await page.set_viewport_size(before)
    assert wide == [], page.url


# What sticks out, unless it scrolls inside a frame of its own.
_SIDEWAYS = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > width + 1)
    .map((e) => e.outerHTML.slice(0, 150));
}
"""


@lru_cache
def _axe() -> str:
    return needs.axe().read_text(encoding="utf-8")


@asynccontextmanager
async def running_site(home: Path) -> AsyncIterator[Site]:
    """Everything started, and stopped again."""
    chromium = needs.chromium()
    with Sandbox(switches=QUICK) as ksef, socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://localhost:{listening.getsockname()[1]}"
        settings = WebSettings(public_url=url)
        async with installed(home, ksef) as klucznik, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
            app = create_app(klucznik, settings)
            async with served(app, listening, finish_within_s=10), _at_work(Engine(klucznik)):
                yield Site(url, app, settings, klucznik, ksef, browser)
                await browser.close()


@asynccontextmanager
async def _at_work(engine: Engine) -> AsyncIterator[None]:
    working = asyncio.create_task(engine.run())
    try:
        yield
    finally:
        engine.stop()
        await working

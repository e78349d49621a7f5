"""People before a browser: what they type, and what they read off a page."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pyotp import TOTP
from tests.klucznik.web.worlds import browser, hashing_quickly
from tests.klucznik.world import installed

from klucznik.services.accounts.account_links import make_setup_link
from klucznik.services.installation import Installation
from klucznik.services.telling.rounds import Outlets
from ksef_sandbox import Sandbox

EMAIL = "anna@biuro.example"
PASSWORD = "trzy słonie w szafie"
ANNA = {"email": EMAIL, "name": "Anna Przykładowa", "password": PASSWORD, "again": PASSWORD}


@dataclass(frozen=True)
class Person:
    """Somebody before a browser without JavaScript, who sends the forms of the pages that they look at."""

    browser: httpx.AsyncClient

    async def send(self, page: str, action: str | None = None, **data: str) -> httpx.Response:
        """Look at a page and send a form of it, with the token that stands in the page."""
        looked = await self.browser.get(page)
        csrf = re.search(r'name="csrf" value="([^"]+)"', looked.text)
        given = data if csrf is None else {"csrf": csrf[1], **data}
        return await self.browser.post(action or page, data=given)

    async def sign_in(self, *, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
        return await self.browser.post("/sign-in", data={"email": email, "password": password})

    async def reads(self, page: str) -> str:
        return (await self.browser.get(page)).text

    async def turn_app_on(self, klucznik: Installation) -> tuple[TOTP, list[str]]:
        """The app on the phone, and the recovery codes."""
        secret = re.findall(r'<code class="secret">([A-Z2-7 ]+)</code>', await self.reads("/account/app"))[0]
        app = TOTP(secret.replace(" ", ""))
        shown = await self.send("/account/app", code=app.at(klucznik.clock.now()))
        return app, re.findall(r"<code>([a-z0-9-]{19})</code>", shown.text)


@asynccontextmanager
async def office(
    home: Path, ksef: Sandbox, outlets: Outlets | None = None
) -> AsyncIterator[tuple[Installation, Person]]:
    """An installation, and its first administrator, who has just signed in for the first time."""
    async with installed(home, ksef) as opened:
        klucznik = hashing_quickly(opened)
        async with browser(klucznik, outlets=outlets) as client:
            await client.post(f"/set-up/{await make_setup_link(klucznik)}", data=ANNA)
            yield klucznik, Person(client)

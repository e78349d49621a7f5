"""Somebody before a browser without JavaScript: opens pages, fills in forms as they stand there, follows links.

What a form does not offer cannot be sent: hidden fields, what is checked and where it goes come from the page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import httpx
from lxml import html
from tests.klucznik.web.worlds import browser

from klucznik.domain.roles import Role
from klucznik.services.installation import Installation

Files = Mapping[str, tuple[str, bytes]]


@dataclass
class Reader:
    """A browser window.

    Attributes:
        answer: what came last; redirects have been followed.
        seen: the paths of all pages that were looked at.
    """

    client: httpx.AsyncClient
    answer: httpx.Response = field(default_factory=lambda: httpx.Response(204))
    seen: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        return self.seen[-1]

    @property
    def page(self) -> html.HtmlElement:
        return html.fromstring(self.answer.text)

    @property
    def text(self) -> str:
        """The words of the page, on one line."""
        return " ".join(self.page.find("body").text_content().split())

    @property
    def heading(self) -> str:
        (found,) = self.page.findall(".//h1")
        return " ".join(found.text_content().split())

    @property
    def warnings(self) -> str:
        return " ".join(" ".join(one.text_content().split()) for one in self.page.find_class("notice"))

    async def open(self, path: str) -> Reader:
        return await self._arrived(await self.client.get(path))

    async def follow(self, text: str) -> Reader:
        """A link by its words."""
        link = next(one for one in self.page.iter("a") if text in one.text_content())
        return await self.open(urljoin(self.path, link.get("href")))

    async def press(self, button: str, *, files: Files | None = None, **fields: str | Sequence[str] | None) -> Reader:
        """Send the form that has the button of these words; a field that is given as None is not sent."""
        form, pressed = self._form_with(button)
        data: dict[str, str | list[str]] = {}
        for name, value in form.form_values():
            before = data.get(name)
            data[name] = value if before is None else [*(before if isinstance(before, list) else [before]), value]
        if pressed.get("name"):
            data[pressed.get("name")] = pressed.get("value", "")
        for name, given in fields.items():
            assert any(one.get("name") == name for one in form.iter("input", "select", "textarea")), name
            if given is None:
                data.pop(name, None)
            else:
                data[name] = given if isinstance(given, str) else list(given)
        where = urljoin(self.path, form.get("action") or self.path)
        if form.method == "GET":
            return await self._arrived(await self.client.get(where, params=data))
        # Only the token that stands in the form; a form that lacks it is refused.
        return await self._arrived(await self.client.post(where, data=data, files=files))

    def _form_with(self, button: str) -> tuple[html.FormElement, html.HtmlElement]:
        found = [
            (form, one)
            for form in self.page.iter("form")
            for one in form.iter("button")
            if button in " ".join(one.text_content().split())
        ]
        assert found, f"no button {button!r} on {self.path}: {self.text}"
        return found[0]

    async def _arrived(self, answer: httpx.Response) -> Reader:
        while answer.status_code == 303:
            answer = await self.client.get(answer.headers["location"])
        self.answer = answer
        self.seen.append(urlsplit(str(answer.url)).path)
        return self


@asynccontextmanager
async def reader(klucznik: Installation, role: Role = Role.STAFF) -> AsyncIterator[Reader]:
    """A browser of somebody of that role; what it sends besides its cookie stands in the pages."""
    async with browser(klucznik, role) as client:
        client.headers.pop("X-CSRF-Token")
        yield Reader(client)

"""Pages of invitations: from the office's form to the client's own browser, and what neither of them may do."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from tests.klucznik.onboardings import STAFF
from tests.klucznik.web.matrix import routes_of
from tests.klucznik.web.worlds import PUBLIC_URL, SETTINGS, browser
from tests.klucznik.world import company, context_of, installed, some_nip

from klucznik.domain.roles import Role
from klucznik.server.app import create_app
from klucznik.services import invitations
from klucznik.services.installation import Installation
from klucznik.services.issue import Issued, issue
from ksef_sandbox import Sandbox

LINK = re.compile(rf"{re.escape(PUBLIC_URL)}/i/([\w-]{{43}})\b")
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@asynccontextmanager
async def strangers_browser(klucznik: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of somebody who has nothing but a link."""
    transport = httpx.ASGITransport(app=create_app(klucznik, SETTINGS))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield client


def link_on(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    found = LINK.search(page.text)
    assert found is not None
    return f"/i/{found.group(1)}"


async def test_from_the_form_to_the_clients_own_page(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with (
        installed(tmp_path, ksef) as klucznik,
        browser(klucznik, Role.STAFF) as anna,
        strangers_browser(klucznik) as client,
        strangers_browser(klucznik) as phone,
    ):
        form = {"nip": nip, "name": "<b>Żółw</b>", "email": "jan@firma.pl", "days": "7"}
        made = await anna.post("/invitations", data=form)
        link = link_on(made)
        assert "&lt;b&gt;Żółw&lt;/b&gt;" in made.text
        assert link.removeprefix("/i/") not in (await anna.get("/invitations")).text

        # Who invites sees what the client will see, and uses up nothing.
        assert '<button class="button">Zaczynam' not in (await anna.get(link)).text
        assert (await anna.post(link)).status_code == 403

        for _ in range(2):
            page = await client.get(link)
            assert (page.status_code, nip in page.text, "Zaczynam" in page.text) == (200, True, True)
        assert "set-cookie" not in page.headers
        entered = await client.post(link)
        assert (entered.status_code, entered.headers["location"]) == (303, "/invited")
        assert all(word in entered.headers["set-cookie"] for word in ("HttpOnly", "Secure", "SameSite=lax"))
        home = await client.get("/invited")
        assert nip in home.text
        assert (await client.get(link)).headers["location"] == "/invited"
        assert (await phone.get(link)).status_code == 410
        assert (await phone.post(link)).status_code == 409

        token = CSRF.search(home.text)
        assert token is not None
        assert (await client.post("/invited/device")).status_code == 403
        begun = await client.post("/invited", data={"csrf": token.group(1)})
        assert (begun.status_code, begun.headers["location"][:9]) == (303, "/connect/")
        again = await client.post("/invited", data={"csrf": token.group(1)})
        assert again.headers["location"] == begun.headers["location"]
        device = await client.post("/invited/device", data={"csrf": token.group(1)})
        assert device.status_code == 200, re.findall("<main.*</main>", device.text, re.S)
        assert "data:image/svg+xml" in device.text
        await phone.post(link_on(device))
        assert nip in (await phone.get("/invited")).text
        for stranger_to in ("/invitations", "/invitations/new"):
            assert (await client.get(stranger_to)).status_code == 403
        assert (await client.get("/")).headers["location"] == "/invited"

        (where,) = set(re.findall(r"/invitations/[0-9a-f]{32}", (await anna.get("/invitations")).text))
        assert "w toku" in (await anna.get(where)).text
        assert (await anna.post(f"{where}/revoke")).status_code == 303
        assert (await phone.get("/invited")).status_code == 303  # signed out


async def test_a_wrong_form_says_at_the_field_what_is_wrong(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, Role.STAFF) as anna:
        for given, field in (
            ({"nip": "123"}, "nip"),
            ({"nip": some_nip(), "email": "jan"}, "email"),
            ({"nip": some_nip(), "days": "9999"}, "days"),
        ):
            answer = await anna.post("/invitations", data={"days": "7", **given})
            assert answer.status_code == 422
            assert f'href="#{field}"' in answer.text
        empty = await anna.get("/invitations/new?nip=5250001003")
        assert "5250001003" in empty.text


async def test_an_invitation_alone_does_nothing_with_what_is_here_of_the_company(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik, strangers_browser(klucznik) as client:
        issued = await issue(klucznik, context_of(nip), company(nip, ksef))
        assert isinstance(issued, Issued)
        token, session = await invitations.enter(klucznik, (await invitations.invite(klucznik, STAFF, nip)).token)
        client.cookies.set(SETTINGS.cookie, token, domain="klucznik.test")
        client.headers["X-CSRF-Token"] = session.csrf
        parts = {"nip": nip, "serial": issued.certificates[0].serial_number}
        ksef.clear_requests()
        routes = [one for one in routes_of(create_app(klucznik, SETTINGS)) if one.path.startswith("/companies/{nip}")]
        assert len(routes) > 10
        for route in routes:
            answer = await client.request(route.method, route.path.format(**parts), data={"name": "Inna"})
            assert answer.status_code in (403, 404), (route.name, answer.headers)
        assert ksef.requests() == []

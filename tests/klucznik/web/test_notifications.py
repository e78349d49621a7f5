"""Settings of what is told to whom: each chooses how to be told; administrators have webhooks."""

import re
from pathlib import Path

import httpx
import pytest
from tests.klucznik.receivers import happened, receiver, verifies
from tests.klucznik.web.worlds import PUBLIC_URL, SETTINGS, browser, some_user
from tests.klucznik.world import installed, some_nip

from klucznik.domain.accounts import Digest
from klucznik.domain.roles import Role
from klucznik.server.app import create_app
from klucznik.services.accounts.browser_sessions import open_session
from klucznik.services.telling import webhooks
from klucznik.services.telling.rounds import Outlets, tell_until_idle
from klucznik.storage import users
from ksef_sandbox import Sandbox

OURS = Outlets(private_webhooks=True)


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.STAFF, Role.AUDITOR])
async def test_each_chooses_how_to_be_told(role: Role, ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, role) as anna:
        page = await anna.get("/settings/notifications")
        assert re.search(r'value="daily" checked', page.text)
        assert "nie wysyła poczty" in page.text
        saved = await anna.post("/settings/notifications", data={"digest": "weekly"})
        assert (saved.status_code, saved.headers["location"]) == (303, "/settings/notifications?saved=1")
        assert re.search(r'value="weekly" checked', (await anna.get(saved.headers["location"])).text)
        assert (await anna.post("/settings/notifications", data={"digest": "hourly"})).status_code == 422
        (there,) = await klucznik.database.read(lambda transaction: users.page(transaction, limit=10))
        assert there.digest is Digest.WEEKLY


@pytest.mark.parametrize("role", [Role.STAFF, Role.AUDITOR])
async def test_webhooks_are_for_administrators(role: Role, ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, browser(klucznik, role) as anna:
        for path in ("/settings/webhooks", "/settings/webhooks/new"):
            assert (await anna.get(path)).status_code == 403
        assert "/settings/webhooks" not in (await anna.get("/settings")).text


async def test_a_webhook_in_the_browser_from_the_address_to_the_replay(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver("500 Oops") as program:
        user = await some_user(klucznik, Role.ADMINISTRATOR)
        token, session = await open_session(klucznik, user_id=user.id)
        transport = httpx.ASGITransport(app=create_app(klucznik, SETTINGS, OURS))
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as anna:
            anna.cookies.set(SETTINGS.cookie, token, domain="klucznik.test")
            anna.headers["X-CSRF-Token"] = session.csrf
            wrong = await anna.post("/settings/webhooks/new", data={"url": "http://[", "nip": "12"})
            assert (wrong.status_code, 'aria-invalid="true"' in wrong.text) == (422, True)
            made = await anna.post(
                "/settings/webhooks/new", data={"url": program.url, "kinds": ["connection.removed", "webhook.disabled"]}
            )
            secret = "".join(re.findall(r'<code class="secret">(whsec_[^<]+)</code>', made.text))
            (webhook,) = await webhooks.listed(klucznik)
            path = f"/settings/webhooks/{webhook.id}"
            await happened(klucznik, nip := some_nip())
            await tell_until_idle(klucznik, OURS)
            page = (await anna.get(path)).text
            assert "whsec_" not in page
            assert all(words in page for words in ("Odłączono firmę", nip, "odpowiedź 500", "nie przyjmuje"))
            (replay,) = re.findall(rf'action="({path}/replay/msg_\w+)"', page)
            assert (await anna.post(replay)).headers["location"] == f"{path}?replayed=1"
            ksef.advance(minutes=1)
            assert (await anna.post(f"{path}/test")).status_code == 303
            await tell_until_idle(klucznik, OURS)
            (sent, *_) = (await webhooks.deliveries(klucznik, webhook))[::-1]
            again = await anna.post(f"{path}/replay-since", data={"event": str(sent.event.number)})
            assert "1 zdarzenie zostanie wysłane jeszcze raz." in (await anna.get(again.headers["location"])).text
            assert (await anna.post(f"{path}/replay-since", data={"event": "yesterday"})).status_code == 422
            assert "whsec_" in (await anna.post(f"{path}/secret")).text
            await anna.post(f"{path}/disable")
            assert "Webhook jest wyłączony" in (await anna.get(path)).text
            await anna.post(f"{path}/enable")
            assert (await anna.post(f"{path}/remove")).headers["location"] == "/settings/webhooks"
            assert (await anna.get(path)).status_code == 404
    assert program.kinds == ["connection.removed", "connection.removed", "webhook.test"]
    assert all(verifies(secret, got) for got in program.got)

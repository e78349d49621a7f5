"""The stream that keeps a page of the wizard up to date: for whoever is signed in, as long as they are.

What it brings a browser to is tried in `test_wizard_in_a_browser`.
"""

from pathlib import Path

import httpx
from tests.klucznik.onboardings import begun
from tests.klucznik.web.worlds import SETTINGS, some_user
from tests.klucznik.world import installed

from klucznik.domain.onboarding import Act, UnderWay, act_begun
from klucznik.domain.roles import Role
from klucznik.operations.serving import listen, served, url_of
from klucznik.server.app import create_app
from klucznik.services.accounts.browser_sessions import close_session, open_session
from klucznik.services.onboarding import rows
from ksef_sandbox import Sandbox


async def test_a_stream_ends_when_its_browser_is_signed_out(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        user = await some_user(klucznik, Role.ADMINISTRATOR)
        token, session = await open_session(klucznik, user_id=user.id)
        acting = act_begun(await begun(klucznik), UnderWay(Act.GRANT, klucznik.clock.now()))
        onboarding = await rows.saved(klucznik, acting)
        with listen("127.0.0.1", 0, option="--port") as listening:
            cookie = {"cookie": f"{SETTINGS.cookie}={token}"}
            async with (
                served(create_app(klucznik, SETTINGS), listening, finish_within_s=1),
                httpx.AsyncClient(base_url=url_of(listening), trust_env=False, headers=cookie, timeout=60) as client,
                client.stream("GET", f"/connect/{onboarding.id}/events") as answer,
            ):
                lines = answer.aiter_lines()
                assert await anext(lines) == "event: road"
                await close_session(klucznik, session)
                # However long KSeF takes yet; the browser is led to the page, which asks to sign in.
                assert [line async for line in lines if line.startswith("event:")] == ["event: over"]

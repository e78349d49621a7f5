"""Users at the terminal: a way in for somebody who has lost it."""

import asyncio

from tests.klucznik.cli.lines import at, listed, part
from tests.klucznik.cli.scenes import Scene, done, klucznik

from klucznik.services.accounts.users import invite
from klucznik.services.installation import Installation


def test_whoever_rules_the_machine_lists_users_and_makes_a_link(scene: Scene) -> None:
    async def somebody() -> None:
        async with await Installation.open(scene.home, ksef_url=scene.ksef.base_url) as opened:
            await invite(opened, email="ewa@biuro.example", name="Ewa Nowak", role="administrator")

    assert "nie ma" in done("user", "list", *at(scene)).said.lower()
    asyncio.run(somebody())
    found = listed(done("user", "list", "--json", *at(scene)).data, "users")
    assert [(one["email"], one["role"], one["has_password"]) for one in found] == [
        ("ewa@biuro.example", "administrator", False)
    ]
    assert "bez hasła" in done("user", "list", *at(scene)).said
    url = ("--public-url", "https://klucznik.example/")
    made = done("user", "link", "Ewa@biuro.example", "--remove-second-factor", *url, "--json", *at(scene)).data
    assert str(made["link"]).startswith("https://klucznik.example/password/")
    assert part(made, "user")["email"] == "ewa@biuro.example"
    assert "jeden raz" in done("user", "link", "ewa@biuro.example", *url, *at(scene)).said
    assert klucznik("user", "link", "nikt@biuro.example", *url, *at(scene)).code == 2

"""Every route with everybody: who is let in is written out in `matrix.txt`, follows from the roles, and is asked."""

from pathlib import Path

from tests.klucznik.web.matrix import PEOPLE, SAFE, TABLE, Route, World, let_in, routes_of, table
from tests.klucznik.web.worlds import SETTINGS, hashing_quickly
from tests.klucznik.world import installed

from klucznik.domain.roles import ACTIONS, SCOPES, Action, Role
from klucznik.server.app import create_app
from ksef_sandbox import Sandbox

# The description of the API holds no data.
_OPEN = {"GET /api/v1/openapi.json"}


async def test_every_route_lets_in_whom_the_written_table_says(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        found = await table(await World.make(hashing_quickly(klucznik)))
    written = TABLE.read_text(encoding="utf-8").splitlines()
    changed = [line for line in found.splitlines() if line not in written]
    gone = [line for line in written if line not in found.splitlines()]
    help_ = "look at every line, then: python -m tests.klucznik.web.matrix"
    assert (changed, gone) == ([], []), help_


def test_the_table_follows_from_the_roles() -> None:
    """Whoever may not do what a route needs is not let in, and whoever may is."""
    roles = [Role(who) for who in PEOPLE[2:]]
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    pages = [line for line in lines if "/api/" not in line]
    assert len(pages) > 50
    for line in pages:
        needs, *cells = (part.strip() for part in line.split("  ")[1:] if part.strip())
        action = needs.rstrip("+")
        if action in set(Action):
            may = ["yes" if Action(action) in ACTIONS[role] else "no" for role in roles]
            assert cells[0] in ("sign in", "key"), line
            assert cells[1:] == ["second", *may], line
        else:
            assert action in ("anybody", "half"), line


async def test_every_route_says_who_is_let_in(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        routes = routes_of(create_app(klucznik, SETTINGS))
    assert [route.name for route in routes if route.needs is None and route.name not in _OPEN] == []
    scopes = {scope.value for scope in SCOPES}
    assert {route.needs for route in routes if route.of_api and route.needs is not None} <= scopes


async def test_no_form_is_taken_without_the_token_of_its_session(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        world = await World.make(hashing_quickly(klucznik))
        taken = []
        for route in routes_of(world.app):
            if route.of_api or route.method in SAFE or route.needs == "anybody":
                continue
            answer = await world.as_person("administrator", route, with_token=False)
            if answer.status != 403 or not answer.said("form_not_ours"):
                taken.append(route.name)
        assert taken == []


async def test_a_key_opens_no_page_and_a_browser_no_api(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        world = await World.make(hashing_quickly(klucznik))
        page, api = Route("GET", "/audit", "audit"), Route("GET", "/api/v1/connections", "see")
        assert let_in(await world.with_key("with audit", page)) == "sign in"
        assert let_in(await world.as_person("administrator", api)) == "key"

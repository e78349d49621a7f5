"""Signing in and out: with a password, by the links that open an account once, and what guessing costs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.klucznik.databases import everything_in
from tests.klucznik.web.worlds import SETTINGS, browser, hashing_quickly
from tests.klucznik.world import installed

from klucznik.domain.accounts import HALF_LASTS, LINK_LASTS, LinkPurpose
from klucznik.domain.audit import Event, Record
from klucznik.domain.guesses import FREE, LONGEST_PAUSE, About
from klucznik.services import audit
from klucznik.services.accounts.account_links import make_setup_link
from klucznik.services.accounts.browser_sessions import open_session
from klucznik.services.installation import Installation
from klucznik.storage import users
from ksef_sandbox import Sandbox

EMAIL = "anna@biuro.example"
PASSWORD = "trzy słonie w szafie"
ANNA = {"email": EMAIL, "name": "Anna Przykładowa", "password": PASSWORD, "again": PASSWORD}
WRONG = {"email": EMAIL, "password": "cztery słonie w szafie"}


@asynccontextmanager
async def empty(home: Path, ksef: Sandbox) -> AsyncIterator[Installation]:
    """An installation in which nobody may sign in yet."""
    async with installed(home, ksef) as klucznik:
        yield hashing_quickly(klucznik)


@asynccontextmanager
async def new_office(home: Path, ksef: Sandbox) -> AsyncIterator[tuple[Installation, httpx.AsyncClient]]:
    """An installation with one administrator, and a browser in which nobody is signed in."""
    async with empty(home, ksef) as klucznik:
        token = await make_setup_link(klucznik)
        async with browser(klucznik) as first:
            assert (await first.post(f"/set-up/{token}", data=ANNA)).status_code == 303
        async with browser(klucznik) as fresh:
            yield klucznik, fresh


async def sign_in(client: httpx.AsyncClient, *, password: str = PASSWORD, next: str = "/") -> httpx.Response:
    return await client.post("/sign-in", data={"email": EMAIL, "password": password, "next": next})


async def test_the_set_up_link_makes_one_administrator_and_is_used_up(ksef: Sandbox, tmp_path: Path) -> None:
    async with empty(tmp_path, ksef) as klucznik, browser(klucznik) as anna, browser(klucznik) as stranger:
        earlier, token = await make_setup_link(klucznik), await make_setup_link(klucznik)
        assert (await anna.get(f"/set-up/{earlier}")).status_code == 403
        # Whoever only looks uses nothing up: programs that look through e-mails would.
        assert [(await anna.get(f"/set-up/{token}")).status_code for _ in range(3)] == [200] * 3
        made = await anna.post(f"/set-up/{token}", data=ANNA)
        assert (made.status_code, made.headers["location"]) == (303, "/")
        assert (await anna.get("/sign-in")).status_code == 303
        for data in (ANNA, {**ANNA, "email": "eve@evil.example"}):
            assert (await stranger.post(f"/set-up/{token}", data=data)).status_code == 403
        assert await make_setup_link(klucznik) is None


async def test_a_set_up_link_is_over_after_a_day(ksef: Sandbox, tmp_path: Path) -> None:
    async with empty(tmp_path, ksef) as klucznik, browser(klucznik) as anna:
        token = await make_setup_link(klucznik)
        ksef.advance(seconds=LINK_LASTS[LinkPurpose.SET_UP].total_seconds())
        assert (await anna.post(f"/set-up/{token}", data=ANNA)).status_code == 403


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "krótkie", "again": "krótkie"}, "co najmniej 12"),
        ({"password": "Password1234!", "again": "Password1234!"}, "na listach"),
        ({"password": "anna@biuro.example", "again": "anna@biuro.example"}, "z imienia"),
        ({"again": "coś zupełnie innego"}, "są różne"),
        ({"email": "anna"}, "To nie jest adres"),
        ({"name": " "}, "Imię i nazwisko"),
    ],
)
async def test_what_is_wrong_in_the_set_up_is_said_at_its_field_and_the_link_stays_good(
    ksef: Sandbox, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    async with empty(tmp_path, ksef) as klucznik, browser(klucznik) as anna:
        token = await make_setup_link(klucznik)
        answer = await anna.post(f"/set-up/{token}", data=ANNA | change)
        assert (answer.status_code, said in answer.text) == (422, True)
        assert PASSWORD not in answer.text
        assert (await anna.get(f"/set-up/{token}")).status_code == 200


async def test_a_password_signs_in_and_the_button_signs_out(ksef: Sandbox, tmp_path: Path) -> None:
    async with new_office(tmp_path, ksef) as (_, anna):
        answer = await sign_in(anna, next="/settings?x=1")
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings?x=1")
        cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{SETTINGS.cookie}="))
        assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
        assert SETTINGS.cookie.startswith("__Host-")
        page = await anna.get("/no/such/page")
        assert EMAIL in page.text
        kept = anna.cookies[SETTINGS.cookie]
        forged = await anna.post("/sign-out")
        assert forged.status_code == 403
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        out = await anna.post("/sign-out", data={"csrf": csrf})
        assert (out.status_code, out.headers.get("location")) == (303, "/sign-in"), out.text
        anna.cookies.set(SETTINGS.cookie, kept, domain="klucznik.test")
        assert EMAIL not in (await anna.get("/no/such/page")).text


@pytest.mark.parametrize(
    "back", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/\t/evil.example", "//["]
)
async def test_nobody_is_sent_to_another_site_after_signing_in(ksef: Sandbox, tmp_path: Path, back: str) -> None:
    async with empty(tmp_path, ksef) as klucznik, browser(klucznik) as anna:
        token = await make_setup_link(klucznik)
        await anna.post(f"/set-up/{token}", data=ANNA)
        assert (await anna.get("/sign-in", params={"next": back})).headers["location"] == "/"


async def test_whoever_asks_too_early_comes_to_the_page_after_signing_in(ksef: Sandbox, tmp_path: Path) -> None:
    async with empty(tmp_path, ksef) as klucznik, browser(klucznik) as anna:
        assert (await anna.post("/sign-out")).status_code == 401


async def test_a_token_that_a_stranger_has_planted_is_never_signed_in(ksef: Sandbox, tmp_path: Path) -> None:
    async with new_office(tmp_path, ksef) as (klucznik, anna):
        async with browser(klucznik) as eve:
            await sign_in(eve)
            planted = eve.cookies[SETTINGS.cookie]
        anna.cookies.set(SETTINGS.cookie, planted, domain="klucznik.test")
        answer = await sign_in(anna)
        given = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{SETTINGS.cookie}="))
        assert planted not in given
        async with browser(klucznik) as eve:
            eve.cookies.set(SETTINGS.cookie, planted, domain="klucznik.test")
            assert EMAIL not in (await eve.get("/no/such/page")).text


async def test_an_unknown_account_and_a_wrong_password_look_the_same(ksef: Sandbox, tmp_path: Path) -> None:
    async with new_office(tmp_path, ksef) as (_, anna):
        answers = [await anna.post("/sign-in", data=WRONG | {"email": e}) for e in (EMAIL, "ewa@biuro.example")]
        assert [answer.status_code for answer in answers] == [401, 401]
        first, second = (
            answer.text.replace(email, "") for answer, email in zip(answers, (EMAIL, "ewa@biuro.example"), strict=True)
        )
        assert first == second
        assert WRONG["password"] not in first


async def test_who_guesses_waits_ever_longer_and_the_owner_at_her_browser_does_not(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with new_office(tmp_path, ksef) as (klucznik, anna):
        await sign_in(anna)
        del anna.cookies[SETTINGS.cookie]
        async with browser(klucznik) as eve:
            statuses = [(await eve.post("/sign-in", data=WRONG)).status_code for _ in range(FREE[About.ACCOUNT] + 1)]
            assert statuses == [401] * FREE[About.ACCOUNT] + [429]
            blocked = await sign_in(eve)
            assert (blocked.status_code, int(blocked.headers["retry-after"]) > 0) == (429, True)
            assert "Za dużo prób" in blocked.text
            # The right password at another browser waits as well, but never longer than the bound.
            pauses = []
            for _ in range(10):
                ksef.advance(seconds=int((await sign_in(eve, password="x" * 20)).headers["retry-after"]))
                assert (await eve.post("/sign-in", data=WRONG)).status_code == 401
                pauses.append(int((await eve.post("/sign-in", data=WRONG)).headers["retry-after"]))
            assert pauses == sorted(pauses)
            assert 800 < pauses[-1] <= LONGEST_PAUSE.total_seconds() + 1
        assert (await sign_in(anna)).status_code == 303
        events = [one async for one in recorded(klucznik)]
        failed = [event for event in events if event == Event.SIGN_INS_FAILED.value]
        assert 1 <= len(failed) <= 3
        assert Event.SIGNED_IN_HERE.value in events


async def recorded(klucznik: Installation) -> AsyncIterator[str]:
    rows: list[object] = []
    await audit.export(klucznik, rows.append)
    for row in rows:
        if isinstance(row, Record):
            yield row.event


async def test_a_password_hashed_in_an_older_way_is_hashed_anew_at_the_next_sign_in(
    ksef: Sandbox, tmp_path: Path
) -> None:
    from argon2 import PasswordHasher

    async with new_office(tmp_path, ksef) as (klucznik, anna):
        old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)

        def weaken(transaction: object) -> None:
            from dataclasses import replace

            user = users.by_email(transaction, EMAIL)  # type: ignore[arg-type]
            assert user is not None
            users.save(transaction, replace(user, password_hash=old), now=klucznik.clock.now())  # type: ignore[arg-type]

        await klucznik.database.write(weaken)
        assert (await sign_in(anna)).status_code == 303
        user = await klucznik.database.read(lambda transaction: users.by_email(transaction, EMAIL))
        assert user is not None
        assert user.password_hash is not None
        assert not klucznik.hashing.is_old(user.password_hash)
        assert (await sign_in(anna)).status_code == 303


async def test_a_session_that_waits_for_the_second_factor_opens_nothing_and_ends_soon(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with new_office(tmp_path, ksef) as (klucznik, anna):
        user = await klucznik.database.read(lambda transaction: users.by_email(transaction, EMAIL))
        assert user is not None
        token, session = await open_session(klucznik, user_id=user.id, complete=False)
        anna.cookies.set(SETTINGS.cookie, token, domain="klucznik.test")
        assert EMAIL not in (await anna.get("/no/such/page")).text
        assert session.is_open(session.created_at + HALF_LASTS - timedelta(seconds=1))
        assert not session.is_open(session.created_at + HALF_LASTS)


async def test_neither_password_nor_token_is_kept(ksef: Sandbox, tmp_path: Path) -> None:
    async with new_office(tmp_path, ksef) as (_, anna):
        await sign_in(anna)
        await anna.post("/sign-in", data=WRONG)
        secrets = [PASSWORD, WRONG["password"], anna.cookies[SETTINGS.cookie]]
    kept = everything_in(tmp_path)
    assert EMAIL.encode() in kept
    assert not [secret for secret in secrets if secret.encode() in kept]

"""Who signs in at the very moment in which the password is changed comes in by the new one or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from pyotp import TOTP
from tests.klucznik.databases import database_url
from tests.klucznik.web.worlds import hashing_quickly
from tests.klucznik.world import installed

from klucznik.errors import AccessDenied
from klucznik.services.accounts import passwords, second_factor, users
from klucznik.services.accounts.account_links import make_setup_link
from klucznik.services.accounts.guesses import Guesser
from klucznik.services.accounts.passwords import Entered
from klucznik.services.installation import Installation
from ksef_sandbox import Sandbox

EMAIL, OLD, NEW = "anna@biuro.example", "trzy słonie w szafie", "pięć gęsi na rowerze"
ANNA = Guesser(EMAIL)


@asynccontextmanager
async def office(home: Path, ksef: Sandbox) -> AsyncIterator[tuple[Installation, Entered]]:
    async with installed(home, ksef) as opened:
        klucznik = hashing_quickly(opened)
        token = await make_setup_link(klucznik)
        assert token is not None
        yield klucznik, await passwords.set_up(klucznik, token, email=EMAIL, name="Anna", password=OLD)


async def test_half_a_sign_in_by_the_old_password_is_not_finished_after_a_new_one(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna):
        app = TOTP((await second_factor.new_totp(klucznik, anna.session)).secret)
        await second_factor.turn_totp_on(klucznik, anna.session, app.at(klucznik.clock.now()))
        half = await passwords.sign_in(klucznik, OLD, who=ANNA)
        token, _ = await users.new_link(klucznik, (await users.find_user(klucznik, EMAIL)).id)
        await passwords.set_password_by_link(klucznik, token, NEW)
        ksef.advance(seconds=30)
        with pytest.raises(AccessDenied, match="second_factor_wrong"):
            await second_factor.finish_with_code(klucznik, half.session, app.at(klucznik.clock.now()), who=ANNA)


@pytest.mark.postgresql
async def test_whoever_signs_in_while_the_password_is_changed_waits_and_is_not_let_in_by_the_old_one(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with office(tmp_path, ksef) as (klucznik, _):
        with psycopg.connect(database_url(tmp_path) or "") as changing:
            changing.execute("UPDATE users SET password_hash = 'another', version = version + 1")
            late = asyncio.create_task(passwords.sign_in(klucznik, OLD, who=ANNA))
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            with psycopg.connect(database_url(tmp_path) or "", autocommit=True) as looking:
                while not late.done() and looking.execute(waits).fetchone() == (0,):
                    await asyncio.sleep(0.01)
            changing.execute("DELETE FROM web_sessions")
            changing.commit()
        with pytest.raises(AccessDenied, match="sign_in_wrong"):
            await late

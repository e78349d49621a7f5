"""The second factor: an app with codes, recovery codes, and that the password alone opens nothing any more."""

from pathlib import Path

from tests.klucznik.databases import everything_in
from tests.klucznik.web.people import EMAIL, PASSWORD, Person, office
from tests.klucznik.web.worlds import browser

from klucznik.domain.accounts import HALF_LASTS, PROOF_LASTS
from klucznik.domain.guesses import FREE, About
from ksef_sandbox import Sandbox


async def test_with_an_app_the_password_alone_opens_nothing_and_each_code_is_good_once(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna):
        app, codes = await anna.turn_app_on(klucznik)
        assert len(set(codes)) == 10
        used = app.at(klucznik.clock.now())
        async with browser(klucznik) as client:
            again = Person(client)
            half = await again.sign_in()
            assert half.headers["location"] == "/sign-in/second?next=/"
            assert (await client.get("/account")).headers["location"].startswith("/sign-in/second")
            # The code that has turned it on is used already.
            replayed = await again.send("/sign-in/second", code=used)
            assert (replayed.status_code, "już użyty" in replayed.text) == (401, True)
            ksef.advance(seconds=30)
            code = app.at(klucznik.clock.now())
            assert (await again.send("/sign-in/second", code=code, next="/account")).headers["location"] == "/account"
            assert EMAIL in await again.reads("/account")
            await again.send("/account", "/sign-out")
            await again.sign_in()
            assert (await again.send("/sign-in/second", code=code)).status_code == 401


async def test_a_recovery_code_stands_in_once(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna):
        _, codes = await anna.turn_app_on(klucznik)
        for expected in (303, 401):
            async with browser(klucznik) as client:
                await Person(client).sign_in()
                typed = codes[0].upper().replace("-", " ")
                assert (await Person(client).send("/sign-in/second", code=typed)).status_code == expected
        assert "Zostało 9 kodów" in await anna.reads("/account")


async def test_who_knows_the_password_cannot_guess_codes_for_long(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna):
        await anna.turn_app_on(klucznik)
        async with browser(klucznik) as client:
            eve, statuses = Person(client), []
            for _ in range(FREE[About.CODE] + 1):
                # The right password in between makes no guess of a code forgotten.
                await eve.sign_in()
                statuses.append((await eve.send("/sign-in/second", code="000000")).status_code)
            # The right code with which the app was turned on has cleared the counter.
            assert statuses == [401] * FREE[About.CODE] + [429]


async def test_a_change_of_the_second_factor_asks_for_the_password_and_signs_out_the_others(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna), browser(klucznik) as client:
        elsewhere = Person(client)
        await elsewhere.sign_in()
        assert EMAIL in await elsewhere.reads("/account")
        ksef.advance(seconds=PROOF_LASTS.total_seconds())
        asked = await anna.browser.get("/account/app")
        assert asked.headers["location"] == "/prove?next=/account/app"
        wrong = await anna.send("/prove", password="coś zupełnie innego", next="/account/app")
        assert wrong.status_code == 403
        proved = await anna.send("/prove", password=PASSWORD, next="/account/app")
        assert proved.headers["location"] == "/account/app"
        await anna.turn_app_on(klucznik)
        assert (await elsewhere.browser.get("/account")).headers["location"].startswith("/sign-in")
        assert EMAIL in await anna.reads("/account")
        assert (await anna.send("/account", "/account/app/remove")).status_code == 303
        assert "wyłączony" in await anna.reads("/account")
        assert (await elsewhere.sign_in()).headers["location"] == "/"


async def test_half_a_sign_in_is_over_soon(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna):
        app, _ = await anna.turn_app_on(klucznik)
        async with browser(klucznik) as client:
            await Person(client).sign_in()
            ksef.advance(seconds=HALF_LASTS.total_seconds())
            answer = await client.post("/sign-in/second", data={"code": app.at(klucznik.clock.now())})
            assert answer.status_code == 401


async def test_neither_secret_nor_recovery_code_is_kept_in_plain(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna):
        app, codes = await anna.turn_app_on(klucznik)
    kept = everything_in(tmp_path)
    secrets = [app.secret, *codes, *(code.replace("-", "") for code in codes)]
    assert not [secret for secret in secrets if secret.encode() in kept]

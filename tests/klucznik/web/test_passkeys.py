"""Passkeys in a real browser, whose authenticator is a virtual one: made, signed in with, and good nowhere else."""

import json
from typing import Any

import pytest
from playwright.async_api import CDPSession, Page
from tests.klucznik.web.people import PASSWORD
from tests.klucznik.web.sites import IN_BROWSER, Site, assert_accessible, assert_fits_a_phone
from tests.klucznik.web.worlds import some_user

from klucznik.domain.accounts import BrowserSession, User
from klucznik.domain.roles import Role
from klucznik.errors import AccessDenied, InputError
from klucznik.services.accounts import passkeys
from klucznik.services.accounts.browser_sessions import open_session
from klucznik.services.accounts.passkeys import Place
from klucznik.storage import users

pytestmark = IN_BROWSER

_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


async def with_authenticator(page: Page) -> tuple[CDPSession, str]:
    tools = await page.context.new_cdp_session(page)
    await tools.send("WebAuthn.enable")
    made = await tools.send("WebAuthn.addVirtualAuthenticator", {"options": _AUTHENTICATOR})
    return tools, made["authenticatorId"]


async def person(site: Site) -> User:
    """Somebody with a password of their own."""
    user = await some_user(site.klucznik, Role.STAFF)
    hashed = await site.klucznik.hashing.hash(PASSWORD, site.klucznik.clock)

    def commit(transaction: Any) -> None:
        from dataclasses import replace

        users.save(transaction, replace(user, password_hash=hashed), now=user.created_at)

    await site.klucznik.database.write(commit)
    return user


async def sign_in(page: Page, user: User) -> None:
    await page.goto("/sign-in?next=/account")
    await page.get_by_label("Adres e-mail").fill(user.email)
    await page.get_by_label("Hasło").fill(PASSWORD)
    await page.get_by_role("button", name="Zaloguj się").click()


async def sign_out(page: Page) -> None:
    await page.locator("details.menu summary").click()
    await page.get_by_role("button", name="Wyloguj", exact=True).click()


async def test_a_passkey_is_made_signs_in_and_stands_in_for_the_password(site: Site) -> None:
    user = await person(site)
    async with site.page() as page:
        await with_authenticator(page)
        await sign_in(page, user)
        await page.get_by_role("link", name="Dodaj klucz dostępu").click()
        await assert_accessible(page)
        await page.get_by_label("Nazwa").fill("laptop w biurze")
        await page.get_by_role("button", name="Utwórz klucz dostępu").click()
        await page.get_by_role("heading", name="Kody zapasowe").wait_for()
        await assert_accessible(page)
        await assert_fits_a_phone(page)
        await page.get_by_role("link", name="Zapisane").click()
        assert await page.get_by_text("laptop w biurze").first.is_visible()

        await sign_out(page)
        await page.get_by_role("button", name="Użyj klucza dostępu").click()
        await page.get_by_role("navigation", name="Główne").wait_for()

        # The password alone opens the account no more; the passkey is the second factor.
        await sign_out(page)
        await sign_in(page, user)
        await page.get_by_role("heading", name="Drugi składnik").wait_for()
        await assert_accessible(page)
        await page.get_by_role("button", name="Użyj klucza dostępu").click()
        await page.get_by_role("heading", name="Moje konto").wait_for()

        await page.goto("/prove?next=/account")
        await assert_accessible(page)
        await page.get_by_role("button", name="Użyj klucza dostępu").click()
        await page.get_by_role("heading", name="Moje konto").wait_for()


async def test_without_an_authenticator_the_page_says_so_and_the_password_goes_on(site: Site) -> None:
    user = await person(site)
    async with site.page() as page:
        tools = await page.context.new_cdp_session(page)
        await tools.send("WebAuthn.enable")
        made = await tools.send(
            "WebAuthn.addVirtualAuthenticator", {"options": {**_AUTHENTICATOR, "isUserVerified": False}}
        )
        assert made["authenticatorId"]
        await page.goto("/sign-in")
        await page.get_by_role("button", name="Użyj klucza dostępu").click()
        await page.get_by_text("Przeglądarka nie użyła klucza dostępu").wait_for()
        await sign_in(page, user)
        await page.get_by_role("heading", name="Moje konto").wait_for()


async def answered(page: Page, kind: str, options: str) -> str:
    """What this browser answers to options, wherever they come from."""
    script = """
    async ([kind, text]) => {
      const options = JSON.parse(text);
      const parsed = kind === "create"
        ? PublicKeyCredential.parseCreationOptionsFromJSON(options)
        : PublicKeyCredential.parseRequestOptionsFromJSON(options);
      const made = kind === "create"
        ? await navigator.credentials.create({ publicKey: parsed })
        : await navigator.credentials.get({ publicKey: parsed });
      return JSON.stringify(made.toJSON());
    }
    """
    answer: str = await page.evaluate(script, [kind, options])
    return answer


async def with_passkey(site: Site, page: Page) -> tuple[User, BrowserSession, Place]:
    user, place = await some_user(site.klucznik, Role.STAFF), Place("localhost", site.url)
    _, session = await open_session(site.klucznik, user_id=user.id)
    await page.goto("/sign-in")
    await with_authenticator(page)
    made = await answered(page, "create", await passkeys.ask_for_new(site.klucznik, session, place))
    assert await passkeys.add(site.klucznik, session, place, name="laptop", answer=made) is not None
    with pytest.raises(InputError, match="passkey_not_accepted"):
        await passkeys.add(site.klucznik, session, place, name="laptop", answer=made)
    return user, session, place


async def test_an_answer_is_good_once_here_and_for_what_was_asked(site: Site) -> None:
    async with site.page() as page:
        _, session, place = await with_passkey(site, page)
        answer = await answered(page, "get", passkeys.ask_for_sign_in(site.klucznik, place))
        # Caught for another site, or handed in where something else was asked.
        with pytest.raises(AccessDenied, match="passkey_refused"):
            await passkeys.sign_in(site.klucznik, Place("localhost", "https://localhost"), answer)
        with pytest.raises(AccessDenied, match="passkey_refused"):
            await passkeys.prove(site.klucznik, session, place, answer)
        changed = json.loads(answer)
        changed["response"]["signature"] = changed["response"]["authenticatorData"]
        with pytest.raises(AccessDenied, match="passkey_refused"):
            await passkeys.sign_in(site.klucznik, place, json.dumps(changed))
        assert (await passkeys.sign_in(site.klucznik, place, answer)).session.complete_at is not None
        with pytest.raises(AccessDenied, match="passkey_refused"):
            await passkeys.sign_in(site.klucznik, place, answer)

        theirs = await some_user(site.klucznik, Role.STAFF)
        _, other = await open_session(site.klucznik, user_id=theirs.id)
        mine = await answered(page, "get", await passkeys.ask_for_session(site.klucznik, session, place))
        with pytest.raises(AccessDenied, match="passkey_refused"):
            await passkeys.prove(site.klucznik, other, place, mine)
        late = await answered(page, "get", passkeys.ask_for_sign_in(site.klucznik, place))
        site.ksef.advance(seconds=301)
        with pytest.raises(AccessDenied, match="passkey_refused"):
            await passkeys.sign_in(site.klucznik, place, late)


@pytest.mark.parametrize(
    "answer", ["", "{}", "[]", "null", '{"rawId": "AA", "response": {}}', '{"rawId": 1}', "é" * 50]
)
async def test_what_is_no_answer_of_a_browser_is_refused(site: Site, answer: str) -> None:
    with pytest.raises(AccessDenied, match="passkey_refused"):
        await passkeys.sign_in(site.klucznik, Place("localhost", site.url), answer)

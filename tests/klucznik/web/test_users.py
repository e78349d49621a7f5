"""Users: invited by a link, given another role, shut out; and the last administrator stays."""

import re
import secrets
from pathlib import Path

from sqlalchemy import Connection as Transaction
from tests.klucznik.databases import everything_in
from tests.klucznik.web.people import EMAIL, Person, office
from tests.klucznik.web.worlds import browser

from klucznik.domain.accounts import PROOF_LASTS, User
from klucznik.domain.roles import Role
from klucznik.storage import users
from ksef_sandbox import Sandbox

BOB = "bob@biuro.example"
BOBS = "pięć gęsi na rowerze"


async def invited(anna: Person, *, role: str = "staff") -> tuple[str, str]:
    """The address of Bob's page, and the path of the link that is passed on to him."""
    shown = await anna.send("/settings/users/new", email=BOB.upper(), name="Bob Nowak", role=role)
    path = re.findall(r"https://klucznik\.test(/password/[\w-]+)", shown.text)[0]
    page = re.findall(r'href="(/settings/users/[0-9a-f]{32})">Bob Nowak', await anna.reads("/settings/users"))[0]
    return page, path


async def test_an_invited_colleague_sets_a_password_by_the_link_once(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna), browser(klucznik) as client:
        _, path = await invited(anna)
        bob = Person(client)
        assert [BOB in await bob.reads(path) for _ in range(2)] == [True, True]
        assert (await bob.send(path, password=BOBS, again=BOBS)).status_code == 200
        assert (await client.get(path)).status_code == 403
        assert (await bob.sign_in(email=BOB, password=BOBS)).status_code == 303
        assert (await client.get("/settings")).status_code == 200
        assert (await client.get("/settings/users")).status_code == 403
        assert "już jest" in (await anna.send("/settings/users/new", email=BOB, name="B", role="staff")).text
        token = path.rpartition("/")[2]
    assert token.encode() not in everything_in(tmp_path)


async def test_the_list_goes_on_after_an_address_with_a_plus(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna):
        now, last = klucznik.clock.now(), ("b+c@biuro.example", "e@biuro.example")
        emails = [f"aa{number}@biuro.example" for number in range(98)] + [*last]

        def add(transaction: Transaction) -> None:
            for email in emails:
                users.add(transaction, User(secrets.token_hex(16), email, email, Role.STAFF, now), now=now)

        await klucznik.database.write(add)
        (further,) = re.findall(r'href="(/settings/users\?after=[^"]+)"', await anna.reads("/settings/users"))
        second = await anna.reads(further)
        assert [email in second for email in emails[-3:]] == [False, False, True]


async def test_another_role_or_none_takes_effect_at_once(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna), browser(klucznik) as client:
        page, path = await invited(anna, role="administrator")
        bob = Person(client)
        await bob.send(path, password=BOBS, again=BOBS)
        await bob.sign_in(email=BOB, password=BOBS)
        assert (await client.get("/settings/users")).status_code == 200
        await anna.send(page, f"{page}/role", role="auditor")
        assert (await client.get("/settings")).headers["location"].startswith("/sign-in")
        await bob.sign_in(email=BOB, password=BOBS)
        assert [(await client.get(at)).status_code for at in ("/audit", "/settings/users")] == [200, 403]
        await anna.send(page, f"{page}/disable")
        assert (await client.get("/settings")).headers["location"].startswith("/sign-in")
        assert (await bob.sign_in(email=BOB, password=BOBS)).status_code == 401
        await anna.send(page, f"{page}/enable")
        assert (await bob.sign_in(email=BOB, password=BOBS)).status_code == 303


async def test_the_last_administrator_stays_and_nobody_changes_their_own_role(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna), browser(klucznik) as client:
        anna_row = await klucznik.database.read(lambda transaction: users.by_email(transaction, EMAIL))
        assert anna_row is not None
        own = f"/settings/users/{anna_row.id}"
        assert "inny administrator" in await anna.reads(own)
        assert (await anna.send(own, f"{own}/disable")).status_code == 422
        # An administrator who has no password yet cannot sign in, and does not count.
        page, path = await invited(anna, role="administrator")
        bob = Person(client)
        await bob.send(path, password=BOBS, again=BOBS)
        await bob.sign_in(email=BOB, password=BOBS)
        assert (await anna.send(page, f"{page}/role", role="staff")).status_code == 303
        await anna.send(page, f"{page}/role", role="administrator")
        await bob.sign_in(email=BOB, password=BOBS)
        assert (await bob.send(own, f"{own}/disable")).status_code == 303
        assert (await bob.send(page, f"{page}/role", role="staff")).status_code == 422


async def test_a_link_for_a_forgotten_password_ends_what_was_open(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna), browser(klucznik) as client:
        page, path = await invited(anna)
        bob = Person(client)
        await bob.send(path, password=BOBS, again=BOBS)
        await bob.sign_in(email=BOB, password=BOBS)
        links = []
        for _ in range(2):
            shown = await anna.send(page, f"{page}/link")
            links.append(re.findall(r"https://klucznik\.test(/password/[\w-]+)", shown.text)[0])
        async with browser(klucznik) as fresh:
            # A new link takes the place of the one before, and the browser goes on until one is used.
            assert [(await fresh.get(link)).status_code for link in links] == [403, 200]
            assert (await client.get("/settings")).status_code == 200
            assert (await Person(fresh).send(links[1], password="x" + BOBS, again="x" + BOBS)).status_code == 200
        assert (await client.get("/settings")).headers["location"].startswith("/sign-in")
        assert (await bob.sign_in(email=BOB, password=BOBS)).status_code == 401


async def test_what_lets_people_in_asks_for_the_password_again(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (_, anna):
        page, _ = await invited(anna)
        ksef.advance(seconds=PROOF_LASTS.total_seconds())
        for action in ("role", "enable", "link", "second-factor"):
            assert (await anna.send(page, f"{page}/{action}", role="staff")).headers[
                "location"
            ] == f"/prove?next={page}"
        for form in ("/settings/users/new", "/settings/api-keys/new", f"/settings/api-keys/{'0' * 32}/rotate"):
            assert (await anna.browser.get(form)).headers["location"] == f"/prove?next={form}"
        # To shut somebody out waits for nothing.
        assert (await anna.send(page, f"{page}/disable")).headers["location"] == page


async def test_a_key_of_the_api_is_shown_once_and_revoked(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (_, anna):
        wrong = await anna.send("/settings/api-keys/new", name="x", days="90")
        assert (wrong.status_code, "zakres" in wrong.text) == (422, True)
        made = await anna.send("/settings/api-keys/new", name="Nocny import", scopes="see", days="90")
        secret = re.findall(r"klk_[\w-]{43}", made.text)[0]
        listed = await anna.reads("/settings/api-keys")
        assert ("Nocny import" in listed, secret in listed) == (True, False)
        revoke = re.findall(r'action="(/settings/api-keys/[0-9a-f]{32}/revoke)"', listed)[0]
        rotate = revoke.replace("/revoke", "/rotate")
        assert (await anna.send(rotate, overlap="999", days="")).status_code == 422
        again = await anna.send(rotate, overlap="24", days="")
        assert re.findall(r"klk_[\w-]{43}", again.text) not in ([], [secret])
        assert "Dotychczasowy sekret działa jeszcze do" in again.text
        assert "Dotychczasowy sekret działa jeszcze do" in await anna.reads("/settings/api-keys")
        await anna.send("/settings/api-keys", revoke)
        assert "unieważniony" in await anna.reads("/settings/api-keys")


async def test_the_log_is_shown_page_by_page_and_verified(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (_, anna):
        await anna.send("/settings/api-keys/new", name="Nocny import", scopes="see", days="90")
        page = await anna.reads("/audit")
        assert "Utworzono klucz API" in page
        assert "Dodano użytkownika" in page
        assert page.index("Utworzono klucz API") < page.index("Dodano użytkownika")
        assert "cały" in (await anna.send("/audit", "/audit/verify")).text

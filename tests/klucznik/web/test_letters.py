"""Letters from the pages: a forgotten password, links that are sent, what has become of them; and without a server."""

import re
from pathlib import Path

from tests.klucznik.api.worlds import program, reason
from tests.klucznik.mailboxes import mailbox, text_of
from tests.klucznik.web.people import EMAIL, PASSWORD, Person, office
from tests.klucznik.web.worlds import PUBLIC_URL, browser
from tests.klucznik.world import some_nip

from klucznik.services.telling.rounds import tell_until_idle
from ksef_sandbox import Sandbox

FRESH = "sto słoni na dachu"


async def test_a_forgotten_password_is_replaced_and_the_second_factor_stays(ksef: Sandbox, tmp_path: Path) -> None:
    async with (
        mailbox() as post,
        office(tmp_path, ksef, post.outlets) as (klucznik, anna),
        browser(klucznik, outlets=post.outlets) as client,
    ):
        app, _ = await anna.turn_app_on(klucznik)
        stranger, evil = Person(client), {"host": "evil.example", "x-forwarded-host": "evil.example"}
        answers = [
            await client.post("/forgotten", data={"email": email}, headers=evil) for email in (EMAIL, "nikt@x.example")
        ]
        told = [re.sub(r"\S+@\S+", "", one.text) for one in answers]
        assert (answers[0].status_code, told[0]) == (answers[1].status_code, told[1])
        await tell_until_idle(klucznik, post.outlets)
        (letter,) = post.got
        assert "evil" not in letter.as_string()
        (path,) = re.findall(rf"{re.escape(PUBLIC_URL)}(/password/[\w-]+)", text_of(letter))
        assert (await client.get(path)).status_code == 200  # a look uses nothing up
        assert (await stranger.send(path, password=FRESH, again=FRESH)).status_code == 200
        assert (await stranger.send(path, password=PASSWORD, again=PASSWORD)).status_code == 403
        assert (await anna.browser.get("/settings")).headers["location"].startswith("/sign-in")
        assert (await stranger.sign_in()).status_code == 401
        entered = await stranger.sign_in(password=FRESH)
        assert entered.headers["location"].startswith("/sign-in/second")
        ksef.advance(minutes=1)
        done = await stranger.send("/sign-in/second", code=app.at(klucznik.clock.now()))
        assert done.status_code == 303
        log = await stranger.reads("/audit")
        assert "Utworzono jednorazowy link do konta." in log
        await tell_until_idle(klucznik, post.outlets)
        assert [one["Subject"] for one in post.got[1:]] == ["Klucznik: hasło zostało zmienione"]


async def test_without_a_mail_server_the_page_says_who_can_help(ksef: Sandbox, tmp_path: Path) -> None:
    async with office(tmp_path, ksef) as (klucznik, anna), browser(klucznik) as client:
        page = await client.get("/forgotten")
        assert "klucznik user link" in page.text
        assert "<input" not in page.text.partition("<main")[2]
        assert (await client.post("/forgotten", data={"email": EMAIL})).text == page.text
        new = await anna.reads("/invitations/new")
        assert 'name="how"' not in new
        nip = some_nip()
        made = await anna.send(
            "/invitations/new", "/invitations", nip=nip, email="a@firma.example", how="mail", days="7"
        )
        assert f"{PUBLIC_URL}/i/" in made.text  # shown, as nothing is sent
        async with program(klucznik, "invite") as caller:
            body = {"nip": some_nip(), "email": "a@firma.example", "send": True}
            refused = await caller.post("/invitations", json=body, headers={"idempotency-key": "1"})
            assert (refused.status_code, reason(refused)) == (409, "mail_not_set_up")


async def test_an_invitation_is_sent_and_its_page_says_what_has_become_of_the_letter(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with mailbox() as post, office(tmp_path, ksef, post.outlets) as (klucznik, anna):
        form = {"nip": some_nip(), "email": "", "how": "mail", "language": "pl", "days": "7"}
        missing = await anna.send("/invitations/new", "/invitations", **form)
        assert (missing.status_code, 'href="#email"' in missing.text) == (422, True)
        made = await anna.send("/invitations/new", "/invitations", **{**form, "email": "nikt@firma.example"})
        where = made.headers["location"]
        assert "czeka na wysłanie" in await anna.reads(where)
        post.refuses = "550 no such user"
        await tell_until_idle(klucznik, post.outlets)
        assert "nie ma takiego adresu" in await anna.reads(where)
        assert "listu nie wysłano" in await anna.reads("/invitations")
        post.refuses = None
        wrong = await anna.send(where, f"{where}/send", email="jan", language="pl")
        assert (wrong.status_code, 'href="#email"' in wrong.text) == (422, True)
        await anna.send(where, f"{where}/send", email="jan@firma.example", language="en")
        await tell_until_idle(klucznik, post.outlets)
        assert "Wysłano na jan@firma.example" in await anna.reads(where)
        assert "Open the invitation" in text_of(post.got[-1])


async def test_a_program_has_an_invitation_sent_and_never_sees_its_link(ksef: Sandbox, tmp_path: Path) -> None:
    async with (
        mailbox() as post,
        office(tmp_path, ksef) as (klucznik, _),
        program(klucznik, "invite", outlets=post.outlets) as caller,
    ):
        body = {"nip": some_nip(), "email": "a@firma.example", "send": True, "language": "en"}
        made = [await caller.post("/invitations", json=body, headers={"idempotency-key": "1"}) for _ in range(2)]
        assert (made[0].status_code, made[0].json()["link"], made[0].json()["letter"]["state"]) == (
            201,
            None,
            "waiting",
        )
        assert made[1].json() == made[0].json()
        await tell_until_idle(klucznik, post.outlets)
        where = f"/invitations/{made[0].json()['id']}"
        letter = (await caller.get(where)).json()["letter"]
        assert (letter["to"], letter["state"], letter["problem"]) == ("a@firma.example", "sent", None)
        again = await caller.post(f"{where}/send", json={"email": "b@firma.example"})
        assert (again.status_code, again.json()["email"], "link" in again.json()) == (200, "b@firma.example", False)
        await tell_until_idle(klucznik, post.outlets)
        assert [one["To"] for one in post.got] == ["a@firma.example", "b@firma.example"]
        nobody = await caller.post(
            "/invitations", json={"nip": some_nip(), "send": True}, headers={"idempotency-key": "2"}
        )
        assert reason(nobody) == "invitation_email_missing"


async def test_the_switch_in_the_browser_is_the_language_of_letters_and_of_the_next_browser(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with (
        mailbox() as post,
        office(tmp_path, ksef, post.outlets) as (klucznik, anna),
        browser(klucznik, outlets=post.outlets) as client,
    ):
        await anna.send("/account", "/language", language="en", back="/account")
        another = Person(client)
        await another.sign_in()
        assert "My account" in await another.reads("/account")
        await anna.send("/account/password", current=PASSWORD, password=FRESH, again=FRESH)
        await tell_until_idle(klucznik, post.outlets)
        assert [one["Subject"] for one in post.got] == ["Klucznik: your password was changed"]

"""Letters with links: to one person, once, in their language; sealed until they are gone, not sent where void."""

import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import event as sqlalchemy_event
from tests.klucznik.databases import everything_in, look
from tests.klucznik.mailboxes import mailbox, text_of
from tests.klucznik.onboardings import STAFF
from tests.klucznik.world import installed, some_nip

from klucznik.domain.accounts import User
from klucznik.domain.languages import Language
from klucznik.domain.letters import DeliveryState
from klucznik.domain.roles import ACTIONS, Principal, Role
from klucznik.errors import AccessDenied, InputError, TooManyAttempts
from klucznik.services import imports, invitations
from klucznik.services.accounts import passwords
from klucznik.services.accounts import users as people
from klucznik.services.accounts.account_links import look_at_link
from klucznik.services.backup import backup, restore
from klucznik.services.installation import Installation
from klucznik.services.telling.letters import ask_for_password, delivery_of_invitation, delivery_to_user
from klucznik.services.telling.rounds import Outlets, tell_until_idle
from ksef_sandbox import Sandbox

PAGE = "https://klucznik.example/i/"
PASSWORDS = "https://klucznik.example/password/"
TO = "biuro@firma.example"
PASSWORD, ANOTHER = "trzy słonie w szafie", "cztery słonie w szafie"
CHIEF = Principal("user:chief", "chief", Role.ADMINISTRATOR, ACTIONS[Role.ADMINISTRATOR])


def token_in(message: EmailMessage) -> str:
    """Of the one link that is in both halves of a letter."""
    link = re.compile(r"/(?:i|password)/([\w-]{43})")
    (found,) = {one for kind in ("plain", "html") for one in link.findall(text_of(message, kind))}
    return str(found)


async def sent_to(klucznik: Installation, nip: str, email: str = TO, language: str = "pl") -> str:
    made = await invitations.invite_by_mail(
        klucznik, STAFF, nip, page=PAGE, email=email, language=language, name="<b>Żółw</b> & Syn"
    )
    return made.id


async def with_a_password(klucznik: Installation, email: str, language: str | None = None) -> User:
    token, user = await people.invite(klucznik, email=email, name="Ewa", role="staff", language=language)
    return await passwords.set_password_by_link(klucznik, token, PASSWORD) or user


def sealed(home: Path) -> int:
    return len(look(home, "SELECT owner_id FROM sealed_secrets WHERE kind = 'letter'"))


async def test_an_invitation_goes_to_the_company_and_its_link_rests_nowhere_in_plain(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik, mailbox() as post:
        invitation = await sent_to(klucznik, nip)
        assert sealed(tmp_path) == 1
        for _ in range(2):
            await tell_until_idle(klucznik, post.outlets)
        (message,) = post.got
        token = token_in(message)
        assert token.encode() not in everything_in(tmp_path)
        assert sealed(tmp_path) == 0
        delivery = await delivery_of_invitation(klucznik, invitation)
        assert delivery is not None
        assert (delivery.recipient, delivery.state) == (TO, DeliveryState.SENT)
        assert (await invitations.look(klucznik, token)).invitation.id == invitation
        await invitations.enter(klucznik, token)
    assert message["To"] == TO
    assert message["Subject"] == "Połączenie z KSeF: <b>Żółw</b> & Syn"
    html = text_of(message, "html")
    assert "&lt;b&gt;Żółw&lt;/b&gt; &amp; Syn" in html
    assert re.findall(r"(?:src|href)=\"([^\"]+)", html) == [PAGE + token]  # loads nothing, leads nowhere else


async def test_a_company_and_a_user_are_each_written_to_in_their_language(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, mailbox() as post:
        await sent_to(klucznik, some_nip(), "gmbh@firma.example", "en")
        ewa = await people.invite_by_mail(
            klucznik, email="ewa@biuro.example", name="Ewa", role="staff", page=PASSWORDS, language="en"
        )
        await people.invite_by_mail(klucznik, email="jan@biuro.example", name="Jan", role="staff", page=PASSWORDS)
        await tell_until_idle(klucznik, post.outlets)
        letters = {str(one["To"]): one for one in post.got}
        assert "is valid until" in text_of(letters["gmbh@firma.example"])
        assert letters["ewa@biuro.example"]["Subject"] == "Klucznik: your account is ready"
        assert letters["jan@biuro.example"]["Subject"] == "Klucznik: konto jest gotowe"
        await people.speak(klucznik, ewa.id, Language.POLISH)
        await people.send_link(klucznik, ewa.id, page=PASSWORDS)
        await tell_until_idle(klucznik, post.outlets)
        assert post.got[-1]["Subject"] == "Klucznik: konto jest gotowe"
        assert (await look_at_link(klucznik, token_in(post.got[-1])))[1] == await people.load_user(klucznik, ewa.id)
        with pytest.raises(AccessDenied, match="link_not_good"):
            await look_at_link(klucznik, token_in(letters["ewa@biuro.example"]))


async def test_a_server_that_is_away_gets_the_same_link_later_and_a_wrong_address_is_put_right(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, mailbox() as post:
        async with mailbox() as gone:
            pass
        away, wrong = await sent_to(klucznik, some_nip()), await sent_to(klucznik, some_nip(), "nikt@firma.example")
        await tell_until_idle(klucznik, gone.outlets)
        waiting = await delivery_of_invitation(klucznik, away)
        assert waiting is not None
        assert (waiting.state, waiting.problem) == (DeliveryState.WAITING, "server_away")
        ksef.advance(minutes=2)
        post.refuses = "550 no such user"
        await tell_until_idle(klucznik, post.outlets)
        failed = await delivery_of_invitation(klucznik, wrong)
        assert failed is not None
        assert (failed.state, failed.problem) == (DeliveryState.FAILED, "recipient_refused")
        assert sealed(tmp_path) == 0
        post.refuses = None
        again = await invitations.send_again(klucznik, STAFF, wrong, page=PAGE, email=TO, language="en")
        assert (again.email, again.language) == (TO, Language.ENGLISH)
        await tell_until_idle(klucznik, post.outlets)
        (message,) = post.got
        assert (await invitations.look(klucznik, token_in(message))).invitation.id == wrong


async def test_a_link_that_is_void_by_then_is_not_sent(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, mailbox() as post:
        shown, revoked = await sent_to(klucznik, some_nip()), await sent_to(klucznik, some_nip())
        user = await people.invite_by_mail(
            klucznik, email="ewa@biuro.example", name="Ewa", role="staff", page=PASSWORDS
        )
        await invitations.renew_link(klucznik, STAFF, shown)
        await invitations.revoke(klucznik, STAFF, revoked)
        await people.disable(klucznik, user.id, by=CHIEF.id)
        await tell_until_idle(klucznik, post.outlets)
        assert post.got == []
        assert await delivery_of_invitation(klucznik, shown) is None  # it was shown to whoever made it
        delivery = await delivery_to_user(klucznik, user.id)
        assert delivery is not None
        assert (delivery.state, delivery.problem) == (DeliveryState.FAILED, "link_void")
        assert sealed(tmp_path) == 0


async def test_whoever_asks_does_the_same_whether_there_is_an_account_or_not(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, mailbox() as post:
        await with_a_password(klucznik, "ewa@biuro.example")
        said = []
        for email in ("ewa@biuro.example", "nikt@biuro.example"):
            said.append(await statements_of_asking(klucznik, email))
        assert said[0] == said[1]
        assert sealed(tmp_path) == 0  # the link is made by whoever sends it
        await tell_until_idle(klucznik, post.outlets)
        assert [one["To"] for one in post.got] == ["ewa@biuro.example"]
        assert look(tmp_path, "SELECT id FROM mails") == []  # as little is kept of either
        for _ in range(2):
            await ask_for_password(klucznik, "nikt@biuro.example", address=None, page=PASSWORDS)
        with pytest.raises(TooManyAttempts):
            await ask_for_password(klucznik, "nikt@biuro.example", address=None, page=PASSWORDS)
        for number in range(8):
            await ask_for_password(klucznik, f"{number}@biuro.example", address="192.0.2.1", page=PASSWORDS)
        with pytest.raises(TooManyAttempts):
            await ask_for_password(klucznik, "9@biuro.example", address="192.0.2.1", page=PASSWORDS)


async def statements_of_asking(klucznik: Installation, email: str) -> list[str]:
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    engine = klucznik.database._dialect.engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    try:
        await ask_for_password(klucznik, email, address="192.0.2.1", page=PASSWORDS)
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)
    return seen


async def test_a_link_that_was_asked_for_ends_within_the_hour_and_with_any_new_password(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, mailbox() as post:
        ewa = await with_a_password(klucznik, "ewa@biuro.example", "en")
        by_hand, _ = await people.new_link(klucznik, ewa.id)
        for minutes in (0, 40):
            await ask_for_password(klucznik, "EWA@biuro.example", address=None, page=PASSWORDS)
            await tell_until_idle(klucznik, post.outlets)
            ksef.advance(minutes=minutes)
            await look_at_link(klucznik, token_in(post.got[-1]))
        await look_at_link(klucznik, by_hand)  # a stranger who asks makes no link of an administrator's void
        ksef.advance(minutes=20)
        with pytest.raises(AccessDenied, match="link_not_good"):
            await look_at_link(klucznik, token_in(post.got[-1]))
        ksef.advance(minutes=15)
        await ask_for_password(klucznik, ewa.email, address=None, page=PASSWORDS)
        await tell_until_idle(klucznik, post.outlets)
        await passwords.set_password_by_link(klucznik, by_hand, ANOTHER)
        for token in (token_in(post.got[-1]), by_hand):
            with pytest.raises(AccessDenied, match="link_not_good"):
                await passwords.set_password_by_link(klucznik, token, PASSWORD)
        await tell_until_idle(klucznik, post.outlets)
        assert post.got[-1]["Subject"] == "Klucznik: your password was changed"
        ksef.advance(minutes=15)
        # Asked for while nothing could be sent: after an hour nobody waits for it any more.
        await ask_for_password(klucznik, ewa.email, address=None, page=PASSWORDS)
        ksef.advance(minutes=60)
        before = len(post.got)
        await tell_until_idle(klucznik, post.outlets)
        assert len(post.got) == before


async def test_a_list_is_invited_by_letters_where_it_has_addresses(ksef: Sandbox, tmp_path: Path) -> None:
    first, second, third = (some_nip() for _ in range(3))
    content = f"nip;email\n{first};a@firma.example\n{second};b@firma.example\n{third};\n".encode()
    async with installed(tmp_path, ksef) as klucznik, mailbox() as post:
        brought = await imports.bring(klucznik, STAFF, content, file_name="x.csv")
        which = brought.bulk_import.id
        for _ in range(2):
            await imports.carry_out(klucznik, STAFF, which, by_mail=PAGE, language="en")
        left = await imports.links(klucznik, STAFF, which)
        assert [one.invitation.context.value for one in left] == [third]
        await tell_until_idle(klucznik, post.outlets)
        found = [await invitations.look(klucznik, token_in(one)) for one in post.got]
        assert {one.invitation.context.value for one in found} == {first, second}
        assert {one.invitation.language for one in found} == {Language.ENGLISH}


async def test_no_backup_holds_a_link_that_is_on_its_way(ksef: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    async with installed(tmp_path / "here", ksef) as klucznik, mailbox() as post:
        await sent_to(klucznik, some_nip())
        await backup(klucznik, file, "długie hasło kopii".encode())
        await restore(klucznik, file, "długie hasło kopii".encode())
        assert sealed(tmp_path / "here") == 0
        await tell_until_idle(klucznik, post.outlets)
        assert post.got == []


@pytest.mark.parametrize("email", ["a@firma.example\nBcc: b@firma.example", "a@x.pl, b@x.pl", "<a@x.pl>", ""])
async def test_one_address_is_one_address_and_nothing_else(ksef: Sandbox, tmp_path: Path, email: str) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(InputError):
            await sent_to(klucznik, some_nip(), email)
        with pytest.raises(InputError):
            await ask_for_password(klucznik, email, address=None, page=PASSWORDS)
        await tell_until_idle(klucznik, Outlets())
        assert look(tmp_path, "SELECT id FROM mails") == []


async def test_old_letters_leave_no_sealed_link_behind(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        await sent_to(klucznik, some_nip())
        await tell_until_idle(klucznik, Outlets())  # there is no mail server
        assert sealed(tmp_path) == 1
        ksef.advance(days=15)
        await tell_until_idle(klucznik, Outlets())
        assert sealed(tmp_path) == 0

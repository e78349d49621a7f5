"""Notices by e-mail: what arrives, once, in Polish, when each user wants it; and a mail server that is away."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from sqlalchemy import Connection, text
from sqlalchemy import event as sqlalchemy_event
from tests.klucznik.databases import look
from tests.klucznik.mailboxes import PUBLIC_URL, SENDER, mailbox, text_of
from tests.klucznik.offices import connection_of
from tests.klucznik.receivers import ALL, server_named
from tests.klucznik.world import context_of, installed, owner, set_limits, some_nip

from klucznik.domain.accounts import Digest, User
from klucznik.domain.connections import Health
from klucznik.domain.events import Kind
from klucznik.domain.roles import Role
from klucznik.errors import InputError
from klucznik.services.connection_check import remember
from klucznik.services.installation import Installation
from klucznik.services.issue import issue
from klucznik.services.renewal.renewal_scan import RenewalScan
from klucznik.services.telling.events import page
from klucznik.services.telling.mail import Encryption, Letter, MailServer, Undelivered
from klucznik.services.telling.notices import forget_what_is_old, look_for_ends
from klucznik.services.telling.rounds import Outlets, tell_until_idle
from klucznik.storage import certificates, connections, users
from ksef_sandbox import Sandbox


async def user(klucznik: Installation, email: str, digest: Digest = Digest.IMMEDIATELY) -> User:
    found = User(email.replace("@", "")[:32].ljust(32, "0"), email, "Anna", Role.STAFF, klucznik.clock.now(), digest)
    await klucznik.database.write(lambda transaction: users.add(transaction, found, now=found.created_at))
    return found


async def refused(klucznik: Installation, ksef: Sandbox, nip: str) -> str:
    """An order that the limits refuse; the PESEL of who wanted it."""
    credential = owner(nip, ksef)
    set_limits(ksef, credential.holder.signs_in_as, enrollment=1)
    await issue(klucznik, context_of(nip), credential)
    return credential.holder.signs_in_as.value


async def test_a_refusal_arrives_once_in_polish_with_the_limits_and_a_link(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik, mailbox() as post:
        await user(klucznik, "anna@biuro.example")
        await user(klucznik, "nie@biuro.example", Digest.OFF)
        pesel = await refused(klucznik, ksef, nip)
        for _ in range(3):
            await tell_until_idle(klucznik, post.outlets)
    (message,) = post.got
    assert message["To"] == "anna@biuro.example"
    assert message["From"] == f"Klucznik <{SENDER}>"
    assert message["Subject"] == f"Klucznik: Limity KSeF nie zostawiają miejsca na nowe certyfikaty – {nip}"
    for kind in ("plain", "html"):
        told = text_of(message, kind)
        assert "Wnioski: zostało 1 z 1." in told
        assert "Certyfikaty: zostało" in told
        assert f"{PUBLIC_URL}/" in told
        assert pesel not in told
        assert f"{pesel[0]}•••••••{pesel[-3:]}" in told


async def test_a_server_that_is_away_is_asked_again_later_and_nothing_is_lost(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        async with mailbox() as gone:
            pass
        await user(klucznik, "anna@biuro.example")
        await refused(klucznik, ksef, some_nip())
        with caplog.at_level(logging.WARNING):
            await tell_until_idle(klucznik, gone.outlets)
        assert "mail_not_sent" in caplog.text
        assert "anna" not in caplog.text
        assert look(tmp_path, "SELECT problem, attempts FROM mails") == [("server_away", 1)]
        async with mailbox() as back:
            await tell_until_idle(klucznik, back.outlets)
            assert back.got == []  # not before its time
            ksef.advance(minutes=2)
            await tell_until_idle(klucznik, back.outlets)
            await tell_until_idle(klucznik, back.outlets)
    assert len(back.got) == 1


async def test_whoever_wants_one_letter_a_day_gets_everything_in_it(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, mailbox() as post:
        await user(klucznik, "anna@biuro.example", Digest.DAILY)
        nips = [some_nip() for _ in range(3)]
        for nip in nips:
            await refused(klucznik, ksef, nip)
        await tell_until_idle(klucznik, post.outlets)
        assert post.got == []
        ksef.advance(days=1)
        await tell_until_idle(klucznik, post.outlets)
    (message,) = post.got
    assert message["Subject"] == "Klucznik: 3 sprawy"
    assert all(nip in text_of(message) for nip in nips)
    assert text_of(message).count("Limity KSeF nie zostawiają miejsca") == 1  # one heading for all


async def test_a_certificate_is_told_of_four_times_calmly_while_it_is_renewed_by_itself(
    ksef: Sandbox, tmp_path: Path
) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        await issue(klucznik, context_of(nip), owner(nip, ksef))
        async with mailbox() as post:
            await user(klucznik, "anna@biuro.example")
            ends = await connection_end(klucznik)
            days: list[int] = []
            for left in (100, 89, 75, 59, 40, 29, 10, 6, 2):
                ksef.advance(seconds=(ends - timedelta(days=left) - ksef.now()).total_seconds())
                before = len(post.got)
                await tell_until_idle(klucznik, post.outlets)
                days += [left] * (len(post.got) - before)
            told = (await page(klucznik, after=0, choice=ALL)).events
    assert days == [89, 59, 29, 6]
    calm = text_of(post.got[0])
    assert "Certyfikaty, które Klucznik odnowi sam" in calm
    assert "Niczego nie trzeba robić." in calm
    assert calm.count("\n- ") == 2  # both of the pair, in one letter
    # Nobody renewed it: no worker was running.
    assert "Certyfikaty, których odnowienie się opóźnia" in text_of(post.got[2])
    expiring = [one for one in told if one.kind == Kind.CERTIFICATE_EXPIRING]
    assert [one.data["days"] for one in expiring] == [90, 90, 60, 60, 30, 30, 7, 7]
    assert {one.nip for one in expiring} == {nip}


async def connection_end(klucznik: Installation) -> datetime:
    def read(transaction: Connection) -> datetime:
        held = certificates.page(transaction, klucznik.environment)
        return min(one.valid_to for one in held)

    return await klucznik.database.read(read)


async def test_what_only_a_person_can_renew_is_told_as_a_task_and_again_each_week(
    ksef: Sandbox, tmp_path: Path
) -> None:
    """The half that signs in was revoked elsewhere: nothing here can renew the other."""
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        await issue(klucznik, context_of(nip), owner(nip, ksef))
        gone = text("UPDATE certificates SET revoked_at = valid_from WHERE type = 'Authentication'")
        await klucznik.database.write(lambda transaction: transaction.execute(gone))
        async with mailbox() as post:
            await user(klucznik, "anna@biuro.example")
            ends = await connection_end(klucznik)
            ksef.advance(seconds=(ends - timedelta(days=50) - ksef.now()).total_seconds())
            for _ in range(2):
                await RenewalScan(klucznik).run()
                await tell_until_idle(klucznik, post.outlets)
            assert len(post.got) == 1
            ksef.advance(days=8)
            await RenewalScan(klucznik).run()
            await tell_until_idle(klucznik, post.outlets)
    first, second = map(text_of, post.got)
    assert "Certyfikaty, które odnowi tylko podpis osoby" in first
    assert "potrzebny jest podpis osoby" in first
    assert "potrzebny jest podpis osoby" in second
    assert "tylko podpis osoby" not in second


async def test_a_lost_permission_is_told_and_one_that_comes_back_is_not(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        await issue(klucznik, context_of(nip), owner(nip, ksef))
        there = await connection_of(klucznik, nip)
        assert there is not None
        async with mailbox() as post:
            await user(klucznik, "anna@biuro.example")
            lost = await remember(klucznik, there, there.subject, Health.PERMISSION_LOST, 415, {})
            await remember(klucznik, lost, there.subject, Health.HEALTHY, None, {})
            await tell_until_idle(klucznik, post.outlets)
            kinds = [one.kind for one in (await page(klucznik, after=0, choice=ALL)).events][-2:]
    assert kinds == [Kind.CONNECTION_PERMISSION_LOST, Kind.CONNECTION_HEALTH_CHANGED]
    assert [one["Subject"] for one in post.got] == [f"Klucznik: KSeF nie wpuszcza nas już do firmy – {nip}"]


async def test_two_workers_send_each_letter_once(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, installed(tmp_path, ksef) as other, mailbox() as post:
        for number in range(5):
            await user(klucznik, f"osoba{number}@biuro.example")
        await refused(klucznik, ksef, some_nip())
        await asyncio.gather(*(tell_until_idle(one, post.outlets) for one in (klucznik, other)))
        await tell_until_idle(klucznik, post.outlets)
    assert sorted(str(one["To"]) for one in post.got) == [f"osoba{number}@biuro.example" for number in range(5)]


async def test_an_address_that_is_refused_for_good_is_not_tried_again(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        async with mailbox() as post:
            post.refuses = "550 no such user"
            await user(klucznik, "nikt@biuro.example")
            await refused(klucznik, ksef, some_nip())
            await tell_until_idle(klucznik, post.outlets)
            post.refuses = None
            ksef.advance(days=1)
            await tell_until_idle(klucznik, post.outlets)
        assert post.got == []
        assert look(tmp_path, "SELECT problem, due_at FROM mails") == [("recipient_refused", None)]


async def test_what_is_old_is_forgotten(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        await user(klucznik, "anna@biuro.example")
        await refused(klucznik, ksef, some_nip())
        await tell_until_idle(klucznik, Outlets())  # there is no mail server
        ksef.advance(days=13)
        await forget_what_is_old(klucznik)
        assert len(look(tmp_path, "SELECT id FROM mails")) == 1
        ksef.advance(days=2)
        await forget_what_is_old(klucznik)
        assert look(tmp_path, "SELECT id FROM mails") == []
        assert len(look(tmp_path, "SELECT id FROM events")) == 2
        ksef.advance(days=90)
        await forget_what_is_old(klucznik)
        assert look(tmp_path, "SELECT id FROM events") == []


async def test_a_look_for_ends_asks_as_often_for_many_companies_as_for_one(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        nip = some_nip()
        await issue(klucznik, context_of(nip), owner(nip, ksef))
        ends = await connection_end(klucznik)
        ksef.advance(seconds=(ends - timedelta(days=20) - ksef.now()).total_seconds())
        one = await statements_of_a_look(klucznik)
        there = await connection_of(klucznik, nip)
        assert there is not None

        def many(transaction: Connection) -> None:
            for number in range(200):
                more = replace(there, id=f"{number:032x}", context=context_of(f"12{number:08d}"))
                connections.add(transaction, more, now=ksef.now())

        await klucznik.database.write(many)
        assert await statements_of_a_look(klucznik) == one
        told = (await page(klucznik, after=0, choice=ALL, size=1000)).events
        assert sum(event.kind == Kind.CERTIFICATE_EXPIRING for event in told) == 2 * 201


async def statements_of_a_look(klucznik: Installation) -> int:
    seen: list[str] = []

    def count(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    engine = klucznik.database._dialect.engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", count)
    try:
        await look_for_ends(klucznik)
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", count)
    return len(seen)


async def test_a_password_goes_over_tls_alone_to_a_server_that_proves_its_name(ksef: Sandbox, tmp_path: Path) -> None:
    tls, trust = server_named("localhost", tmp_path)
    heard: list[object] = []

    def knows(_: SMTP, __: Session, ___: Envelope, ____: str, given: object) -> AuthResult:
        heard.append(given)
        return AuthResult(success=given == LoginPassword(b"anna", b"kanarek"), handled=False)

    demands = {"tls_context": tls, "require_starttls": True, "auth_required": True, "authenticator": knows}
    letter = Letter("1", "anna@biuro.example", "Temat", "Treść", "<p>Treść</p>")
    async with mailbox(**demands) as post:
        right = MailServer("localhost", post.port, Encryption.STARTTLS, SENDER, "anna", "kanarek", trust)
        assert await right.send([letter, replace(letter, id="2")], now=ksef.now()) == [None, None]
        assert await replace(right, password="zly").send([letter], now=ksef.now()) == [Undelivered.LOGIN_REFUSED]
        asked = len(heard)
        for stranger in (replace(right, trust=None), replace(right, host="127.0.0.1")):
            assert await stranger.send([letter], now=ksef.now()) == [Undelivered.TLS_FAILED]
        assert len(heard) == asked  # the password was not shown to either
    assert [text_of(one).strip() for one in post.got] == ["Treść", "Treść"]
    assert len({one["Message-ID"] for one in post.got}) == 2
    async with mailbox() as plain:
        open_to_all = MailServer("localhost", plain.port, Encryption.STARTTLS, SENDER, "anna", "kanarek", trust)
        assert await open_to_all.send([letter], now=ksef.now()) == [Undelivered.TLS_FAILED]
    assert plain.got == []
    assert "kanarek" not in repr(right)


@pytest.mark.parametrize(
    ("url", "host", "port", "encryption", "user_name"),
    [
        ("smtps://anna:s%40l@mail.example", "mail.example", 465, "tls", "anna"),
        ("smtp://mail.example:2525", "mail.example", 2525, "starttls", None),
        ("smtp://localhost:25", "localhost", 25, "none", None),
        ("smtp://a%40b.example:x@mail.example", "mail.example", 587, "starttls", "a@b.example"),
    ],
)
def test_the_address_of_a_mail_server_is_read(
    url: str, host: str, port: int, encryption: str, user_name: str | None
) -> None:
    found = MailServer.parse(url, SENDER)
    assert (found.host, found.port, found.encryption, found.user) == (host, port, encryption, user_name)
    assert "s@l" not in repr(found)


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://", "smtp://a:b@h/x", "smtp://h:abc"])
def test_a_wrong_address_is_told_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="smtp_url_malformed") as caught:
        MailServer.parse(url, SENDER)
    assert url not in str(caught.value)


def test_a_wrong_sender_is_told() -> None:
    with pytest.raises(InputError, match="mail_sender_malformed"):
        MailServer.parse("smtp://mail.example", "nobody")

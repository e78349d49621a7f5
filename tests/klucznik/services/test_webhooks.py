"""Webhooks: signed, delivered at least once with one id, tried again for days, never sent where they must not go."""

import asyncio
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from tests.klucznik.databases import everything_in
from tests.klucznik.receivers import happened, kinds_of, receiver, server_named, verifies
from tests.klucznik.world import installed, some_nip

from klucznik.domain.events import Kind
from klucznik.domain.webhooks import DeliveryState, Disabled, Problem, Webhook
from klucznik.errors import InputError
from klucznik.services.installation import Installation
from klucznik.services.telling import webhooks
from klucznik.services.telling.deliver import CLAIMED_FOR, Deliverer
from klucznik.services.telling.events import tell_everything
from klucznik.services.telling.posting import Post
from klucznik.services.telling.rounds import Outlets, tell_until_idle
from klucznik.services.telling.webhooks import Opened, Sent
from ksef_sandbox import Sandbox

OURS = Outlets(private_webhooks=True)


async def made(klucznik: Installation, url: str, nip: str | None = None, *kinds: str) -> Opened:
    async with OURS.post() as post:
        return await webhooks.make(klucznik, post, url, nip=nip, kinds=kinds, created_by="user:anna")


async def sent_to(klucznik: Installation, webhook: Webhook) -> list[Sent]:
    return await webhooks.deliveries(klucznik, webhook)


async def found(klucznik: Installation, webhook: Webhook) -> Webhook:
    return await webhooks.find(klucznik, webhook.id)


async def test_an_event_arrives_signed_by_the_standard(ksef: Sandbox, tmp_path: Path) -> None:
    nip = some_nip()
    async with installed(tmp_path, ksef) as klucznik, receiver() as program:
        opened = await made(klucznik, program.url)
        await happened(klucznik, nip)
        await tell_until_idle(klucznik, OURS)
        (one,) = await sent_to(klucznik, opened.webhook)
    (got,) = program.got
    assert got.event["type"] == "connection.removed"
    assert got.event["nip"] == nip
    assert got.event["id"] == str(one.event.number)
    assert (got.id, one.delivery.state, one.delivery.status) == (one.delivery.id, DeliveryState.DELIVERED, 200)
    assert 0 <= ksef.now().timestamp() - int(got.headers["webhook-timestamp"]) < 60
    assert verifies(str(opened.secret), got)
    assert not verifies("whsec_" + "A" * 43 + "=", got)


async def test_a_receiver_that_fails_twice_gets_the_same_event_with_the_same_id(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver("500 Oops", "503 Busy") as program:
        opened = await made(klucznik, program.url)
        await happened(klucznik, some_nip())
        await tell_until_idle(klucznik, OURS)
        await tell_until_idle(klucznik, OURS)
        assert len(program.got) == 1  # not before its time
        ksef.advance(seconds=7)
        await tell_until_idle(klucznik, OURS)
        (waiting,) = await sent_to(klucznik, opened.webhook)
        assert (waiting.delivery.status, waiting.delivery.problem) == (503, Problem.STATUS)
        assert (await found(klucznik, opened.webhook)).failing_since is not None
        ksef.advance(seconds=40)
        await tell_until_idle(klucznik, OURS)
        (one,) = await sent_to(klucznik, opened.webhook)
        assert (await found(klucznik, opened.webhook)).failing_since is None
    assert [got.id for got in program.got] == [one.delivery.id] * 3
    assert len({got.body for got in program.got}) == 1
    assert all(verifies(str(opened.secret), got) for got in program.got)
    assert (one.delivery.state, one.delivery.attempts) == (DeliveryState.DELIVERED, 3)


async def test_a_worker_that_dies_between_sending_and_saving_loses_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as program, OURS.post() as post:
        opened = await made(klucznik, program.url)
        await happened(klucznik, some_nip())
        await tell_everything(klucznik)
        there, never = asyncio.Event(), asyncio.Event()

        async def hang() -> None:
            there.set()
            await never.wait()

        program.before_answer = hang
        dying = Deliverer(klucznik, post)
        await dying.take_due()
        await asyncio.wait_for(there.wait(), timeout=30)
        await dying.give_up()
        program.before_answer = None
        other = Deliverer(klucznik, post)
        assert await other.take_due() == 0  # the dead one's claim still stands
        ksef.advance(seconds=CLAIMED_FOR.total_seconds())
        await other.run_until_idle()
        (one,) = await sent_to(klucznik, opened.webhook)
        never.set()
    assert [got.id for got in program.got] == [one.delivery.id] * 2
    assert one.delivery.state is DeliveryState.DELIVERED


async def test_two_workers_send_each_delivery_once(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, installed(tmp_path, ksef) as other, receiver() as program:
        await made(klucznik, program.url)
        for _ in range(20):
            await happened(klucznik, some_nip())
        await asyncio.gather(tell_until_idle(klucznik, OURS), tell_until_idle(other, OURS))
        await tell_until_idle(klucznik, OURS)
    assert len(program.got) == len({got.id for got in program.got}) == 20


async def test_a_frozen_worker_that_wakes_late_changes_nothing(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as program, OURS.post() as post:
        opened = await made(klucznik, program.url)
        await happened(klucznik, some_nip())
        await tell_everything(klucznik)
        there, thaw = asyncio.Event(), asyncio.Event()

        async def freeze() -> None:
            there.set()
            await thaw.wait()

        program.before_answer = freeze
        program.answers = ["200 OK", "500 Oops"]
        frozen = Deliverer(klucznik, post)
        await frozen.take_due()
        await asyncio.wait_for(there.wait(), timeout=30)
        program.before_answer = None
        ksef.advance(seconds=CLAIMED_FOR.total_seconds())
        await Deliverer(klucznik, post).run_until_idle()
        program.answers = ["500 Oops"]
        thaw.set()
        await frozen.run_until_idle()
        (one,) = await sent_to(klucznik, opened.webhook)
    assert (one.delivery.state, one.delivery.status) == (DeliveryState.DELIVERED, 200)


async def test_one_that_does_not_answer_holds_up_no_other(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as good, receiver() as bad, OURS.post() as post:
        never = asyncio.Event()

        async def hang() -> None:
            await never.wait()

        bad.before_answer = hang
        await made(klucznik, bad.url)
        opened = await made(klucznik, good.url)
        for _ in range(20):
            await happened(klucznik, some_nip())
        await tell_everything(klucznik)
        deliverer = Deliverer(klucznik, post)
        async with asyncio.timeout(60):
            while len(good.got) < 20:
                await deliverer.take_due()
                await asyncio.wait(deliverer.running.values(), return_when="FIRST_COMPLETED", timeout=1)
        assert len(bad.got) <= 8
        await deliverer.give_up()
        never.set()
        assert all(one.delivery.attempts <= 2 for one in await sent_to(klucznik, opened.webhook))


async def test_while_nothing_is_accepted_one_knocks_for_all(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as program:
        await made(klucznik, program.url)
        program.answers = ["500 Oops"] * 9
        for _ in range(30):
            await happened(klucznik, some_nip())
        await tell_until_idle(klucznik, OURS)
        assert len(program.got) == 8
        ksef.advance(seconds=10)
        await tell_until_idle(klucznik, OURS)
        assert len(program.got) == 9
        ksef.advance(seconds=10)
        await tell_until_idle(klucznik, OURS)
        assert len(program.got) > 30  # the tenth was accepted, and the others followed at once
        ksef.advance(minutes=1)
        await tell_until_idle(klucznik, OURS)
    assert len({got.id for got in program.got}) == 30


async def test_what_is_never_accepted_is_given_up_after_three_days_and_the_webhook_after_five(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as program:
        opened = await made(klucznik, program.url)
        program.answers = ["500 Oops"] * 1000
        await happened(klucznik, some_nip())
        for hour in range(6 * 24):
            if hour % 24 == 0:
                await happened(klucznik, some_nip())
            ksef.advance(hours=1)
            await tell_until_idle(klucznik, OURS)
        webhook = await found(klucznik, opened.webhook)
        states = [one.delivery.state for one in reversed(await sent_to(klucznik, webhook))]
        assert webhook.disabled_because is Disabled.FAILING
        assert webhook.disabled_at is not None
        assert timedelta(days=5) <= webhook.disabled_at - opened.webhook.created_at < timedelta(days=6)
        assert states[0] is DeliveryState.GIVEN_UP
        assert states[-1] is DeliveryState.DROPPED
        assert (await kinds_of(klucznik))[-1] == Kind.WEBHOOK_DISABLED
        calls = len(program.got)
        ksef.advance(days=2)
        await tell_until_idle(klucznik, OURS)
    assert len(program.got) == calls


async def test_who_is_gone_is_not_asked_again(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver("410 Gone") as program:
        opened = await made(klucznik, program.url)
        await happened(klucznik, some_nip())
        await tell_until_idle(klucznik, OURS)
        webhook = await found(klucznik, opened.webhook)
        assert webhook.disabled_because is Disabled.GONE
        ksef.advance(days=1)
        await happened(klucznik, some_nip())
        await tell_until_idle(klucznik, OURS)
        assert len(program.got) == 1
        # Switched on again it is told what comes, and on demand what it has missed.
        webhook = await webhooks.enable(klucznik, webhook)
        missed = (await sent_to(klucznik, webhook))[-1]
        assert await webhooks.replay_since(klucznik, webhook, missed.event.number) == 3
        await tell_until_idle(klucznik, OURS)
    assert len({got.event["id"] for got in program.got}) >= 3
    assert program.got[0].id in {got.id for got in program.got[1:]}  # with the id it had


async def test_a_receiver_may_ask_to_be_left_alone(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver("429 Slow\r\nRetry-After: 3600") as program:
        await made(klucznik, program.url)
        await happened(klucznik, some_nip())
        await tell_until_idle(klucznik, OURS)
        ksef.advance(minutes=59)
        await tell_until_idle(klucznik, OURS)
        assert len(program.got) == 1
        ksef.advance(minutes=2)
        await tell_until_idle(klucznik, OURS)
    assert len(program.got) == 2


async def test_only_what_was_chosen_is_sent(ksef: Sandbox, tmp_path: Path) -> None:
    mine, theirs = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik, receiver() as program, receiver() as other:
        await made(klucznik, program.url, mine)
        await made(klucznik, other.url, None, Kind.CERTIFICATE_ISSUED)
        await happened(klucznik, mine)
        await happened(klucznik, theirs)
        await tell_until_idle(klucznik, OURS)
    assert [got.event["nip"] for got in program.got] == [mine]
    assert other.got == []


async def test_a_test_goes_to_the_one_that_is_tried_out(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as program, receiver() as other:
        tried = await made(klucznik, program.url, some_nip(), Kind.CERTIFICATE_ISSUED)
        await made(klucznik, other.url)
        await webhooks.ping(klucznik, tried.webhook)
        await tell_until_idle(klucznik, OURS)
        again = await webhooks.deliveries(klucznik, tried.webhook)
        await webhooks.replay(klucznik, tried.webhook, again[0].delivery.id)
        await tell_until_idle(klucznik, OURS)
    assert program.kinds == ["webhook.test", "webhook.test"]
    assert len({got.id for got in program.got}) == 1
    assert other.got == []


async def test_a_new_secret_signs_beside_the_old_one_for_a_day(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as program:
        first = await made(klucznik, program.url)
        second = await webhooks.rotate(klucznik, first.webhook)
        await webhooks.ping(klucznik, second.webhook)
        await tell_until_idle(klucznik, OURS)
        ksef.advance(hours=25)
        await webhooks.ping(klucznik, second.webhook)
        await tell_until_idle(klucznik, OURS)
    both, alone = program.got
    assert verifies(str(first.secret), both)
    assert verifies(str(second.secret), both)
    assert not verifies(str(first.secret), alone)
    assert verifies(str(second.secret), alone)


async def test_what_is_removed_leaves_nothing_behind(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as program:
        opened = await made(klucznik, program.url)
        await happened(klucznik, some_nip())
        await tell_until_idle(klucznik, OURS)
        await webhooks.remove(klucznik, opened.webhook)
        with pytest.raises(InputError, match="webhook_unknown"):
            await found(klucznik, opened.webhook)
        await happened(klucznik, some_nip())
        await tell_until_idle(klucznik, OURS)
    assert len(program.got) == 1


async def test_no_secret_is_in_rows_logs_events_or_errors(
    ksef: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "s3kr3t-w-sciezce"
    with caplog.at_level(logging.DEBUG):
        async with installed(tmp_path, ksef) as klucznik, receiver("500 Oops") as program:
            opened = await made(klucznik, f"{program.url}&token={canary}")
            rotated = await webhooks.rotate(klucznik, opened.webhook)
            await happened(klucznik, some_nip())
            await tell_until_idle(klucznik, OURS)
            ksef.advance(minutes=1)
            await tell_until_idle(klucznik, OURS)
            kept = everything_in(tmp_path)
    assert len(program.got) == 2
    assert canary not in caplog.text  # a part of an address may well be a secret; its owner sees it, a log does not
    for secret in (opened.secret, rotated.secret):
        text = str(secret)
        assert text not in caplog.text
        assert text not in repr((opened, rotated))
        assert text.removeprefix("whsec_").encode() not in kept
        assert secret.key not in kept


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "webhook_url_not_https"),
        ("ftp://example.com/", "webhook_url_not_https"),
        ("https://anna:haslo@example.com/", "webhook_url_with_password"),
        ("https://exa mple.com/", "webhook_url_malformed"),
        ("https:///hook", "webhook_url_malformed"),
        ("https://example.com/\r\nX: y", "webhook_url_malformed"),
        ("https://example.com:99999/", "webhook_url_malformed"),
        ("https://" + "a" * 2000, "webhook_url_malformed"),
        ("https://127.0.0.1/", "webhook_address_refused"),
        ("https://2130706433/", "webhook_address_refused"),
        ("https://0x7f.1/", "webhook_address_refused"),
        ("https://[::1]/", "webhook_address_refused"),
        ("https://[::ffff:10.0.0.1]/", "webhook_address_refused"),
        ("https://169.254.169.254/latest/meta-data", "webhook_address_refused"),
        ("https://localhost:8000/", "webhook_address_refused"),
        ("https://nie-ma-takiego.invalid/", "webhook_host_not_found"),
    ],
)
async def test_addresses_that_nothing_is_sent_to_are_refused_at_once(
    url: str, reason: str, ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        with pytest.raises(InputError, match=reason) as caught:
            await webhooks.make(klucznik, Post(), url, created_by="user:anna")
        assert "haslo" not in str(caught.value)
        assert await webhooks.listed(klucznik) == []


async def test_a_name_that_turns_to_this_machine_later_is_not_followed(ksef: Sandbox, tmp_path: Path) -> None:
    """DNS rebinding: public at the first look, private at the next; one bad address among good ones is enough."""
    answers = [["8.8.8.8"], ["8.8.8.8", "127.0.0.1"]]

    async def turning(_: str, __: int) -> list[str]:
        return answers.pop(0)

    async with installed(tmp_path, ksef) as klucznik, receiver() as program, Post(look_up=turning) as post:
        port = program.url.split(":")[2].split("/")[0]
        opened = await webhooks.make(klucznik, post, f"https://rebind.example:{port}/", created_by="user:anna")
        await webhooks.ping(klucznik, opened.webhook)
        await tell_everything(klucznik)
        await Deliverer(klucznik, post).run_until_idle()
        (one,) = await sent_to(klucznik, opened.webhook)
    assert one.delivery.problem is Problem.ADDRESS_REFUSED
    assert program.got == []


async def test_a_name_server_that_takes_its_time_keeps_no_thread_from_anybody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = threading.Event()

    def slow(*_: object, **__: object) -> list[object]:
        answers.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))  # where passwords are hashed and documents signed
    async with Post() as post:
        looking = asyncio.create_task(post.address_of("https://slow.example/"))
        try:
            await asyncio.sleep(0)
            assert await asyncio.wait_for(asyncio.to_thread(lambda: "signed"), 60) == "signed"
            assert not looking.done()
        finally:
            answers.set()
        assert await looking is Problem.HOST_UNKNOWN


async def test_an_address_that_was_allowed_once_is_refused_when_that_is_switched_off(
    ksef: Sandbox, tmp_path: Path
) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as program:
        opened = await made(klucznik, program.url)
        await webhooks.ping(klucznik, opened.webhook)
        await tell_until_idle(klucznik, Outlets())
        (one,) = await sent_to(klucznik, opened.webhook)
    assert one.delivery.problem is Problem.ADDRESS_REFUSED
    assert program.got == []


async def test_a_redirect_is_not_followed(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik, receiver() as other:
        async with receiver(f"307 Elsewhere\r\nLocation: {other.url}") as program:
            opened = await made(klucznik, program.url)
            await webhooks.ping(klucznik, opened.webhook)
            await tell_until_idle(klucznik, OURS)
        (one,) = await sent_to(klucznik, opened.webhook)
    assert (one.delivery.problem, one.delivery.status) == (Problem.REDIRECTED, 307)
    assert other.got == []


async def test_a_server_must_prove_the_name_that_was_given_not_the_address(ksef: Sandbox, tmp_path: Path) -> None:
    server, trust = server_named("program.example", tmp_path)

    async def here(_: str, __: int) -> list[str]:
        return ["127.0.0.1"]

    async with (
        installed(tmp_path, ksef) as klucznik,
        receiver(tls=server) as program,
        Post(private=True, trust=trust, look_up=here) as post,
    ):
        port = program.url.split(":")[2].split("/")[0]
        answers = []
        for host in ("program.example", "other.example"):
            url = f"https://{host}:{port}/"
            opened = await webhooks.make(klucznik, post, url, created_by="user:anna")
            await webhooks.ping(klucznik, opened.webhook)
            await tell_everything(klucznik)
            await Deliverer(klucznik, post).run_until_idle()
            answers += [one.delivery.problem for one in await sent_to(klucznik, opened.webhook)]
    assert answers == [None, Problem.TLS_FAILED]
    assert [got.headers["host"] for got in program.got] == [f"program.example:{port}"]

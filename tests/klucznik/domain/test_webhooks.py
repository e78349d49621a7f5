"""Webhooks without any network: when a delivery is tried again, which addresses are asked, how it is signed."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klucznik.domain.environments import Environment
from klucznik.domain.webhooks import (
    DISABLED_AFTER,
    GIVEN_UP_AFTER,
    JITTER,
    PAUSES,
    Answer,
    Delivery,
    DeliveryState,
    Disabled,
    Problem,
    Secret,
    Webhook,
    may_be_asked,
    next_try,
    signatures,
    standing_after,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FAILED, ACCEPTED = Answer(500, Problem.STATUS), Answer(200)


def delivery(attempts: int = 1, asked_at: datetime = NOW) -> Delivery:
    return Delivery("msg_1", "hook", "event", DeliveryState.WAITING, attempts, NOW, NOW, asked_at)


def webhook() -> Webhook:
    return Webhook("hook", Environment.SANDBOX, "https://example.com/", frozenset(), None, "user:anna", NOW)


@given(st.integers(0, 2**32), st.floats(0, 30))
def test_a_delivery_that_never_succeeds_is_tried_ever_more_seldom_for_three_days(seed: int, slow_s: float) -> None:
    random, now, attempts, pauses = Random(seed), NOW, 0, list[timedelta]()
    while True:
        attempts += 1
        now += timedelta(seconds=slow_s)  # the attempt itself
        again = next_try(delivery(attempts), FAILED, now, random)
        if again is None:
            break
        pauses.append(again - now)
        assert now < again <= NOW + GIVEN_UP_AFTER
        now = again
    for number, pause in enumerate(pauses[:-1]):  # the last one is cut short by the end
        meant = PAUSES[min(number, len(PAUSES) - 1)]
        assert meant * (1 - JITTER) <= pause <= meant * (1 + JITTER)
    assert pauses[0] <= timedelta(seconds=6)
    assert GIVEN_UP_AFTER <= now - NOW <= GIVEN_UP_AFTER + timedelta(seconds=slow_s)
    assert 10 <= attempts <= 14


@given(st.integers(0, 2**32), st.integers(0, 999_999))
def test_a_receiver_that_asks_for_a_pause_gets_it_but_no_longer_than_a_day(seed: int, asked_s: int) -> None:
    asked = timedelta(seconds=asked_s)
    again = next_try(delivery(), Answer(429, Problem.STATUS, asked), NOW, Random(seed))
    assert again is not None
    assert min(asked, PAUSES[-1]) <= again - NOW <= max(PAUSES[-1], PAUSES[0] * (1 + JITTER))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 30 * 3600)), max_size=200))
def test_a_webhook_is_disabled_after_five_days_without_success_and_never_before(looks: list[tuple[bool, int]]) -> None:
    now, there, last_good = NOW, webhook(), NOW
    for accepted, seconds in looks:
        now = max(now, there.rests_until or now) + timedelta(seconds=seconds)
        there = standing_after(there, [ACCEPTED if accepted else FAILED], now)
        if accepted:
            last_good = now
            assert there.failing_since is there.rests_until is there.disabled_at is None
        elif there.disabled_at is not None:
            assert there.disabled_because is Disabled.FAILING
            assert now - last_good >= DISABLED_AFTER
            return
        else:
            assert there.rests_until is not None
            assert now < there.rests_until <= now + timedelta(minutes=10)
    assert now - last_good < DISABLED_AFTER + timedelta(days=3)


def test_one_failure_long_after_another_is_a_first_one() -> None:
    failing = standing_after(webhook(), [FAILED], NOW)
    later = standing_after(failing, [FAILED], NOW + timedelta(days=30))
    assert (later.disabled_at, later.failing_since) == (None, NOW + timedelta(days=30))


@pytest.mark.parametrize(
    ("address", "by_default", "where_private_is_allowed"),
    [
        ("8.8.8.8", True, True),
        ("2606:4700::1111", True, True),
        ("64:ff9b::808:808", True, True),  # 8.8.8.8 behind NAT64
        ("127.0.0.1", False, True),
        ("127.255.255.254", False, True),
        ("::1", False, True),
        ("10.0.0.1", False, True),
        ("172.16.5.4", False, True),
        ("192.168.1.1", False, True),
        ("100.64.0.1", False, True),
        ("fd12:3456::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("::127.0.0.1", False, True),
        ("2002:7f00:1::", False, True),  # 127.0.0.1 by 6to4
        ("64:ff9b::a00:1", False, True),
        ("192.0.2.1", False, True),
        ("198.18.0.1", False, True),
        # Never: who runs the machine answers there, or nobody does.
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("100.100.100.200", False, False),
        ("fd00:ec2::254", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),  # noqa: S104
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("255.255.255.255", False, False),
        ("240.0.0.1", False, False),
        ("example.com", False, False),
        ("", False, False),
    ],
)
def test_which_addresses_events_are_sent_to(address: str, by_default: bool, where_private_is_allowed: bool) -> None:
    assert may_be_asked(address, private=False) is by_default
    assert may_be_asked(address, private=True) is where_private_is_allowed


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the specification's own libraries."""
    import base64

    secret = Secret(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    at = datetime.fromtimestamp(1614265330, UTC)
    signed = signatures([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert str(secret) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert "MfKQ" not in repr(secret)

"""KSeF's limits on calls: the arithmetic against counting by hand, and who is told to come back when."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.official import SPECIFICATION, official_file

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context
from klucznik.domain.pacing import (
    CLOCK_DOUBT,
    HOUR,
    LONGEST_LINE,
    MINUTE,
    OTHER,
    PER_ADDRESS,
    PROBE,
    SECOND,
    Booked,
    Counter,
    Later,
    Pace,
    Paces,
    Quota,
    Scope,
    Window,
    block,
    book,
    micros,
    moment_of,
    quota_of,
)

NOW = 1_800_000_000 * SECOND
PATIENCE = 2 * SECOND
ROUTE = "/certificates/enrollments/{referenceNumber}"


def counter(nip: str = "5265877635", route: str = ROUTE) -> Counter:
    return Counter.of(Environment.TEST, "GET", route, Context.of_nip(nip))


def fits(calls: Sequence[int], windows: Sequence[Window]) -> bool:
    """Whether no window holds too many of the calls, found by counting them from each call on."""
    return all(
        sum(first <= other < first + window.until_free for other in calls) <= window.calls
        for window in windows
        for first in calls
    )


def first_that_fits(calls: Sequence[int], windows: Sequence[Window], now: int) -> int:
    """By trying every moment at which a place can become free."""
    last = max((now, *calls))
    moments = {last, *(call + window.until_free for call in calls for window in windows)}
    return min(moment for moment in moments if moment >= last and fits((*calls, moment), windows))


quotas = st.lists(
    st.builds(Window, calls=st.integers(1, 6), length=st.integers(1, 60), margin=st.integers(0, 5)),
    min_size=1,
    max_size=3,
).map(lambda windows: Quota(Scope.CONTEXT, tuple(windows)))


@settings(max_examples=300)
@given(quota=quotas, pauses=st.lists(st.integers(0, 40), max_size=30))
def test_each_call_gets_the_first_moment_that_keeps_every_window(quota: Quota, pauses: list[int]) -> None:
    now, pace, calls = NOW, Pace(), list[int]()
    for pause in pauses:
        now += pause
        expected = first_that_fits(calls, quota.windows, now)
        pace, answer = book(pace, quota, now, patience=HOUR)
        assert answer == Booked(expected)
        calls.append(expected)
    assert fits(calls, quota.windows)


@settings(max_examples=300)
@given(quota=quotas, pauses=st.lists(st.integers(0, 40), max_size=40), patience=st.integers(0, 20))
def test_who_would_wait_too_long_is_told_a_later_moment_and_takes_no_place(
    quota: Quota, pauses: list[int], patience: int
) -> None:
    now, pace, calls = NOW, Pace(), list[int]()
    for pause in pauses:
        now += pause
        expected = first_that_fits(calls, quota.windows, now)
        pace, answer = book(pace, quota, now, patience)
        if expected <= now + patience:
            assert answer == Booked(expected)
            calls.append(expected)
        else:
            assert isinstance(answer, Later)
            assert answer.at >= expected
    assert len(pace.taken) <= quota.remembered


def exhausted(quota: Quota, now: int = NOW) -> Pace:
    """Calls as fast as they are allowed, until one would have to wait."""
    pace, answer = book(Pace(), quota, now, 0)
    while isinstance(answer, Booked):
        pace, answer = book(pace, quota, now, 0)
    return Pace(pace.taken, touched=now)


def test_a_minute_takes_thirty_calls_of_a_route_and_an_hour_a_hundred_and_twenty() -> None:
    paces, sent, now = Paces(), list[int](), NOW
    while now < NOW + 2 * HOUR:
        answer = paces.book(counter(), now, PATIENCE)
        if isinstance(answer, Booked):
            sent.append(answer.at)
        else:
            now = answer.at
    for length, most in ((SECOND, 10), (MINUTE, 30), (HOUR, 120)):
        assert max(sum(start <= call <= start + length for call in sent) for start in sent) == most


def test_all_from_one_address_share_the_calls_of_a_sign_in_and_contexts_share_nothing_else() -> None:
    one, other = "5265877635", "7171642051"
    assert counter(one, "/auth/challenge").key == counter(other, "/auth/challenge").key
    assert counter(one).key != counter(other).key
    assert counter(one).key != counter(one, "/certificates/limits").key
    assert Counter.of(Environment.DEMO, "GET", ROUTE, Context.of_nip(one)).key != counter(one).key


def test_the_quotas_are_those_of_the_specification() -> None:
    paths = json.loads(official_file(SPECIFICATION).read_bytes())["paths"]
    ours = ("/auth", "/certificates", "/security", "/limits", "/rate-limits", "/tokens", "/permissions")
    checked = 0
    for route in (route for route in paths if route.startswith(ours)):
        for operation in paths[route].values():
            rates = operation["x-rate-limits"]
            lengths = {"perSecond": SECOND, "perMinute": MINUTE, "perHour": HOUR}
            assert [(w.calls, w.length) for w in quota_of(route).windows] == [
                (calls, lengths[name]) for name, calls in rates.items()
            ]
            checked += 1
    assert checked > 30


def test_those_who_must_wait_are_told_moments_one_after_the_other() -> None:
    pace = exhausted(OTHER)
    told = []
    for _ in range(200):
        pace, answer = book(pace, OTHER, NOW, 0)
        assert isinstance(answer, Later)
        told.append(answer.at)
    assert told[0] == NOW + OTHER.windows[0].until_free, "the first comes when the first place is free"
    assert len(set(told)) == len(told)
    assert len(pace.taken) == 10, "nobody who must wait takes a place"


def test_a_line_of_those_who_wait_ends_within_an_hour_however_many_they_are() -> None:
    pace, told = exhausted(PER_ADDRESS), list[int]()
    for _ in range(10_000):
        pace, answer = book(pace, PER_ADDRESS, NOW, 0)
        told.append(answer.at)
    assert max(told) <= NOW + PER_ADDRESS.windows[0].until_free + LONGEST_LINE
    assert max(told.count(moment) for moment in told[:100]) == 1


@given(
    quota=st.sampled_from([OTHER, PER_ADDRESS]),
    retry_after=st.integers(0, 7200),
    asks=st.lists(st.integers(0, 600), max_size=60),
)
def test_a_block_is_kept_to_its_end(quota: Quota, retry_after: int, asks: list[int]) -> None:
    until = NOW + retry_after * SECOND
    pace, told = block(exhausted(quota, NOW - HOUR), quota, NOW, until)
    assert told == Later(until), "to the second"
    now = NOW
    for ask in asks:
        now += ask * SECOND
        pace, answer = book(pace, quota, now, PATIENCE)
        assert answer.at >= until


def test_a_shorter_block_does_not_end_a_longer_one() -> None:
    pace, _ = block(Pace(), OTHER, NOW, NOW + HOUR)
    pace, told = block(pace, OTHER, NOW + SECOND, NOW + MINUTE)
    assert NOW + HOUR < told.at <= NOW + HOUR + 10 * SECOND
    assert book(pace, OTHER, NOW + MINUTE, PATIENCE)[1].at >= NOW + HOUR


def test_many_who_hear_of_the_same_block_come_back_one_after_the_other_and_soon() -> None:
    until, pace, told = NOW + 30 * SECOND, Pace(), list[int]()
    for _ in range(50):
        pace, answer = block(pace, OTHER, NOW, until)
        told.append(answer.at)
    assert told[0] == until
    assert len(set(told)) == 50
    assert max(told) <= until + 10 * SECOND


@given(late=st.integers(0, HOUR))
def test_after_a_block_one_call_goes_alone(late: int) -> None:
    until = NOW + 30 * SECOND
    now = until + late
    pace, _ = block(Pace(), OTHER, NOW, until)
    pace, first = book(pace, OTHER, now, PATIENCE)
    pace, second = book(pace, OTHER, now, PATIENCE)
    _, third = book(pace, OTHER, now, PATIENCE)
    assert (first, second, third) == (Booked(now), Booked(now + PROBE), Booked(now + PROBE))


def test_a_clock_that_was_wrong_blocks_nobody_for_long() -> None:
    ahead = NOW + 365 * 24 * HOUR
    pace, _ = block(exhausted(OTHER, ahead), OTHER, ahead, ahead + HOUR)
    assert book(pace, OTHER, NOW, PATIENCE)[1] == Booked(NOW)
    assert block(pace, OTHER, NOW, NOW + SECOND)[1] == Later(NOW + SECOND)
    a_little = NOW + CLOCK_DOUBT
    pace, _ = block(Pace(), OTHER, a_little, a_little + HOUR)
    assert book(pace, OTHER, NOW, PATIENCE)[1].at >= a_little + HOUR


def test_counts_that_no_longer_matter_fall_out_of_memory() -> None:
    paces = Paces()
    for number in range(1000):
        paces.book(counter(route=f"/{number}"), NOW, PATIENCE)
    paces.block(counter(route="/blocked"), NOW, NOW + 5 * HOUR)
    assert len(paces) == 1001
    paces.book(counter(), NOW + 2 * HOUR, PATIENCE)
    assert len(paces) == 2
    assert paces.blocked_until(counter(route="/blocked"), NOW + 2 * HOUR) == NOW + 5 * HOUR


@pytest.mark.parametrize("moment", [0, 1, NOW, NOW + 123_456])
def test_moments_are_exact_to_the_microsecond(moment: int) -> None:
    assert micros(moment_of(moment)) == moment

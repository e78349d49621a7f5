"""How long to wait between two looks."""

from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from klucznik.domain.polling import LONGEST, next_poll

SECONDS = timedelta(seconds=1)


@given(asked=st.integers(0, 10**9), hours=st.floats(0, 2000), seed=st.integers())
def test_a_pause_is_never_longer_than_five_minutes_and_never_nothing(asked: int, hours: float, seed: int) -> None:
    pause = next_poll(asked, timedelta(hours=hours), Random(seed))
    assert timedelta(milliseconds=200) <= pause <= timedelta(minutes=5)


def test_it_starts_fast_and_slows_down() -> None:
    asked, waited, moments = 0, timedelta(), list[timedelta]()
    while waited < timedelta(hours=1):
        waited += next_poll(asked, waited, Random(asked))
        moments.append(waited)
        asked += 1
    assert moments[0] < 0.5 * SECONDS
    assert sum(moment < 5 * SECONDS for moment in moments) >= 4
    assert sum(moment < 60 * SECONDS for moment in moments) <= 15
    assert len(moments) <= 40


def test_who_comes_back_after_a_crash_does_not_start_with_a_burst() -> None:
    assert next_poll(0, timedelta(hours=1), Random(1)) > LONGEST / 2


def test_those_who_started_together_do_not_stay_together() -> None:
    random = Random(1)
    assert len({next_poll(9, timedelta(), random) for _ in range(100)}) == 100


def test_a_clock_that_went_back_makes_no_negative_pause() -> None:
    assert next_poll(0, timedelta(hours=-1), Random(1)) > timedelta()

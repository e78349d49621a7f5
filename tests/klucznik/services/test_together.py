"""Two questions at once: both answers, or one failure and silence."""

import asyncio

import pytest

from klucznik.services.together import together

pytestmark = pytest.mark.sqlite


class Stopped(Exception):
    pass


async def answer(value: int) -> int:
    return value


async def test_both_answers_come_back_in_order() -> None:
    assert await together(answer(1), answer(2)) == (1, 2)


async def test_they_run_side_by_side() -> None:
    met = asyncio.Barrier(2)

    async def meet() -> str:
        await met.wait()
        return "met"

    assert await together(meet(), meet()) == ("met", "met")


@pytest.mark.parametrize("failing_first", [True, False])
async def test_a_failure_comes_out_as_it_is_and_stops_the_other(failing_first: bool) -> None:
    stopped, waiting = [], asyncio.Event()

    async def fail() -> int:
        await waiting.wait()
        raise Stopped

    async def wait() -> int:
        waiting.set()
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    pair = (fail(), wait()) if failing_first else (wait(), fail())
    with pytest.raises(Stopped):
        await together(*pair)
    assert stopped == [True]


async def test_a_cancelled_caller_is_cancelled_and_not_answered() -> None:
    task = asyncio.create_task(together(asyncio.Event().wait(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

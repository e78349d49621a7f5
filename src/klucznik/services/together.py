"""Asks KSeF two things at once and leaves nothing running behind. What is asked is none of its business."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


async def together(
    first: Coroutine[object, None, First], second: Coroutine[object, None, Second]
) -> tuple[First, Second]:
    """Both results. Where one fails, the other is stopped first (`asyncio.gather` would let it run on beside whatever
    comes next, on a connection that is being closed), and the one failure is raised as it is."""
    try:
        async with asyncio.TaskGroup() as both:
            tasks = both.create_task(first), both.create_task(second)
    except BaseExceptionGroup as failed:
        failure = failed.exceptions[0]
    else:
        return tasks[0].result(), tasks[1].result()
    raise failure

"""Clients that work at the same time: `python -m bench.with_light_client BASE_URL JOB COUNT FIRST ...`.

Each is a process of its own with companies from its FIRST on. They prepare, say so together, wait for a line, do
their job COUNT times each, and tell how long it took from the first beginning to the last end.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from urllib.parse import urlsplit

from bench.light_client import Connection, pair, sign_in, some_companies

QUERY = "/certificates/query?pageSize=10"
REQUESTS = {"sign-in": 4, "pair": 11, "limits": 1, "query": 1}  # of one job
PATIENCE_S = 600


def main(base_url: str, job: str, count: int, firsts: Sequence[int]) -> None:
    context = multiprocessing.get_context("fork")  # with all imports done once
    together = context.Barrier(len(firsts) + 1)
    spans: SimpleQueue[tuple[float, float]] = context.SimpleQueue()
    clients = [
        context.Process(target=client, args=(base_url, job, count, first, together, spans), daemon=True)
        for first in firsts
    ]
    for each in clients:
        each.start()
    together.wait(PATIENCE_S)
    print("ready", flush=True)
    sys.stdin.readline()
    together.wait(PATIENCE_S)
    for each in clients:
        each.join()
        assert each.exitcode == 0
    began, ended = zip(*(spans.get() for _ in clients), strict=True)
    print(json.dumps(max(ended) - min(began)))


def client(
    base_url: str, job: str, count: int, first: int, together: Barrier, spans: SimpleQueue[tuple[float, float]]
) -> None:
    address = urlsplit(base_url)
    assert address.hostname is not None
    assert address.port is not None
    ksef = Connection(address.hostname, address.port)
    actions = list(prepared(ksef, job, count, first))
    together.wait(PATIENCE_S)
    together.wait(PATIENCE_S)
    began = time.monotonic()
    for action in actions:
        action()
    spans.put((began, time.monotonic()))
    ksef.close()


def prepared(ksef: Connection, job: str, count: int, first: int) -> Iterator[Callable[[], object]]:
    """Whole jobs are each for a company of its own; single calls are all for the first company, signed in before."""
    if job in ("sign-in", "pair"):
        whole: Callable[..., object] = sign_in if job == "sign-in" else pair
        yield from (partial(whole, ksef, company) for company in some_companies(first, count))
        return
    token = sign_in(ksef, some_companies(first, 1)[0])
    calls: dict[str, Callable[[], object]] = {
        "limits": partial(ksef.get, "/certificates/limits", token),
        "query": partial(ksef.post, QUERY, token, {}),
    }
    yield from [calls[job]] * count


if __name__ == "__main__":
    base_url, job, count, *firsts = sys.argv[1:]
    main(base_url, job, int(count), [int(first) for first in firsts])

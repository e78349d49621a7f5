"""The log of requests to /v2 that tests and people read: what came, what was answered, for whom.
Never a token, a body or a query string; the newest entries are kept, the oldest fall out.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from ksef_sandbox.identity import ContextIdentifier, Identity

CAPACITY = 20_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request; paths come without the /v2 in front, `route` has its parameters as in the specification."""

    number: int
    at: datetime
    method: str
    path: str
    route: str | None  # None: no such path
    status: int | None  # None: no answer was sent
    code: int | None  # KSeF's code of a 400
    client_ip: str
    context: ContextIdentifier | None
    identity: Identity | None
    fault: str | None = None  # what was done to it on purpose, e.g. "drop_answer"


class RequestLog:
    """Requests in the order in which they were answered."""

    def __init__(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=CAPACITY)
        self._count = 0

    def next_number(self) -> int:
        """Numbers start at 1 and never repeat, also after `clear`."""
        self._count += 1
        return self._count

    def add(self, entry: LoggedRequest) -> None:
        self._entries.append(entry)

    def find(self, method: str | None = None, path: str | None = None) -> list[LoggedRequest]:
        """Entries with that method, and with `path` as their path or their route; oldest first."""
        return [
            entry
            for entry in self._entries
            if (method is None or entry.method == method.upper())
            and (path is None or path in (entry.path, entry.route))
        ]

    def newest(
        self, count: int, *, method: str | None = None, path: str | None = None, before: int | None = None
    ) -> list[LoggedRequest]:
        """Up to `count` entries with numbers below `before`, the newest first, found from the end of the log."""
        found = (
            entry
            for entry in reversed(self._entries)
            if (before is None or entry.number < before)
            and (method is None or entry.method == method.upper())
            and (path is None or path in (entry.path, entry.route))
        )
        return list(islice(found, count))

    @property
    def count(self) -> int:
        """How many requests came since the start."""
        return self._count

    def clear(self) -> None:
        self._entries.clear()

"""Pieces of sense for random requests: good requests of the town, and what its answers have named so far.
The randomness comes from the caller; what is done with the requests is `fuzz.py`.
"""

from collections import defaultdict, deque
from random import Random
from typing import Any, Final

import httpx
from tests.sandbox.town import GOOD, UNKNOWN, Request, Town

_KEPT: Final = 200  # of each kind of name
_PATH_NAMES: Final = {"permissionId": "id", "serialNumber": "certificateSerialNumber"}
_TEXTS: Final = (b"", b"<", b"&#0;", b"<!DOCTYPE a>", b"<?x?>", b"\xff", b'"', b"<!-- -->", b"A" * 99)
_CONTINUED: Final = ("/auth/sessions", "/tokens")


class Pieces:
    """Good requests by operation, and names seen in answers by their property."""

    def __init__(self, town: Town, copies: int) -> None:
        """Make so many good requests for each operation: some can be spent only once."""
        self.town = town
        self.good: dict[str, list[Request]] = defaultdict(list)
        self._seen: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_KEPT))
        for make in GOOD:
            for _ in range(copies):
                request = make(self.town)
                self.good[request.operation].append(request)

    def harvest(self, response: httpx.Response) -> None:
        """Remember what an answer names, for the paths and headers of later requests."""
        if response.is_success and response.content:
            self._walk(response.json())

    def _walk(self, value: object) -> None:
        if isinstance(value, list):
            for item in value:
                self._walk(item)
        elif isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, str):
                    self._seen[name].append(item)
                else:
                    self._walk(item)

    def name(self, parameter: str, random: Random) -> str:
        """A name for this path parameter that somebody has been told before."""
        seen = self._seen[_PATH_NAMES.get(parameter, parameter)]
        return random.choice(seen) if seen else UNKNOWN

    def headers(self, path: str, random: Random) -> dict[str, str]:
        """What a caller may ask by headers."""
        headers = {"X-Error-Format": "problem-details"} if random.random() < 0.3 else {}
        tokens = self._seen["continuationToken"]
        if path in _CONTINUED and tokens and random.random() < 0.3:
            headers["x-continuation-token"] = random.choice(tokens)
        return headers

    def body(self, generated: Any, good: object, random: Random) -> Any:
        """Some properties as they were made, the others from the good request."""
        if not isinstance(generated, dict) or not isinstance(good, dict):
            return good if random.random() < 0.5 else generated
        chance = random.choice((0.5, 0.8, 1.0))
        mixed: dict[str, Any] = dict(generated)
        mixed |= {name: value for name, value in good.items() if random.random() < chance}
        return mixed

    @staticmethod
    def text(good: bytes, random: Random) -> bytes:
        """A signed document, whole or with a few bytes changed."""
        changed = bytearray(good)
        for _ in range(random.choice((0, 1, 1, 3))):
            start = random.randrange(len(changed))
            changed[start : start + random.randrange(9)] = random.choice(_TEXTS)
        return bytes(changed)

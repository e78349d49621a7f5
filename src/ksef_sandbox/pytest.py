"""For tests of programs that talk to KSeF: `from ksef_sandbox.pytest import ksef` in a conftest.py or a test file.
Each test that asks for `ksef` gets a sandbox of its own, in a thread, gone afterwards.
"""

import inspect
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from ksef_sandbox.embedded import Sandbox
from ksef_sandbox.errors import BadRequest
from ksef_sandbox.switches import SwitchError, SwitchValue

__all__ = ["UNIT_TEST_SWITCHES", "ksef"]

# A unit test waits for nothing, and makes more calls in a second than KSeF allows: a 429 would teach it nothing.
UNIT_TEST_SWITCHES: dict[str, SwitchValue] = {
    "auth_delay_ms": 0,
    "enroll_delay_ms": 0,
    "revoke_delay_ms": 0,
    "perm_delay_ms": 0,
    "rate_profile": "off",
}


@pytest.fixture
def ksef(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A running KSeF of this test alone, without delays and rate limits; its numbers are the same in every run.

    `@pytest.mark.ksef(...)` on a test, a class or a module takes the arguments of `Sandbox`; switches of an inner
    mark add to those of an outer one, and both to `UNIT_TEST_SWITCHES`.
    """
    try:
        sandbox = Sandbox(**_options(request.node)).start()
    except (SwitchError, TypeError, ValueError, BadRequest) as error:
        pytest.fail(f"@pytest.mark.ksef: {error}", pytrace=False)
    with sandbox:
        yield sandbox


def _options(test: pytest.Item) -> dict[str, Any]:
    known = [name for name in inspect.signature(Sandbox).parameters if name not in ("host", "port")]
    options: dict[str, Any] = {"seed": zlib.crc32(test.nodeid.encode())}
    switches = dict(UNIT_TEST_SWITCHES)
    for mark in reversed(list(test.iter_markers("ksef"))):  # the innermost last
        unknown = [name for name in mark.kwargs if name not in known]
        if mark.args or unknown:
            wrong = ", ".join(map(repr, [*mark.args, *unknown]))
            raise TypeError(f"takes the keywords {', '.join(known)}, not {wrong}.")
        options |= mark.kwargs
        switches |= mark.kwargs.get("switches", {})
    return options | {"switches": switches}

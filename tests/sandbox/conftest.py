"""A fresh sandbox for each test: seeded, without delays and rate limits, in memory."""

from collections.abc import Iterator

import pytest
from tests.sandbox.driver import Driver

from ksef_sandbox import Sandbox
from ksef_sandbox.switches import SwitchValue

NO_DELAYS: dict[str, SwitchValue] = {
    "auth_delay_ms": 0,
    "enroll_delay_ms": 0,
    "revoke_delay_ms": 0,
    "perm_delay_ms": 0,
    "rate_profile": "off",
}


@pytest.fixture
def ksef() -> Iterator[Sandbox]:
    with Sandbox(seed=1, switches=NO_DELAYS) as sandbox:
        yield sandbox


@pytest.fixture
def driver(ksef: Sandbox) -> Iterator[Driver]:
    driver = Driver(ksef.base_url)
    with driver.http:
        yield driver

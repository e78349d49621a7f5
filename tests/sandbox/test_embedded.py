"""The sandbox inside a program: many at once, repeatable, and gone when closed."""

import threading
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.sandbox.conftest import NO_DELAYS
from tests.sandbox.driver import Driver
from tests.sandbox.signing import make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.embedded import start
from ksef_sandbox.errors import BadRequest
from ksef_sandbox.server import AddressError
from ksef_sandbox.switches import SwitchError

NIP = "5265877635"
SEAL = make_seal(nip=NIP)
KEY = ec.generate_private_key(ec.SECP256R1())


def numbers(seed: int | None) -> list[str]:
    """Everything random that one client sees, without the dates in front, and the authority's certificate."""
    with Sandbox(seed=seed, switches=NO_DELAYS) as ksef:
        driver = Driver(ksef.base_url)
        with driver.http:
            session = driver.sign_in(SEAL, nip=NIP)
            serial = session.issue(key=KEY)
            authority = ksef.ca_certificate.public_bytes(serialization.Encoding.PEM).decode()
            return [session.reference[9:], serial, driver.challenge()[9:], authority]


def test_the_same_seed_gives_the_same_numbers_and_the_same_authority() -> None:
    assert numbers(5) == numbers(5)
    assert not set(numbers(5)) & set(numbers(6))
    assert not set(numbers(None)) & set(numbers(None))


def test_many_sandboxes_live_side_by_side_and_share_nothing() -> None:
    sandboxes = [start() for _ in range(3)]
    try:
        sandboxes[0].advance(days=3)
        sandboxes[1].set(enroll_delay_ms=1)
        assert len({sandbox.base_url for sandbox in sandboxes}) == 3
        assert sandboxes[2].now() - datetime.now(UTC) < timedelta(minutes=1)
        assert sandboxes[2].switches["enroll_delay_ms"] == 2000
        for sandbox in sandboxes:
            httpx.post(f"{sandbox.base_url}/auth/challenge", trust_env=False)
        assert [len(sandbox.requests()) for sandbox in sandboxes] == [1, 1, 1]
    finally:
        for sandbox in sandboxes:
            sandbox.close()


def test_a_closed_sandbox_leaves_no_thread_and_no_listener() -> None:
    before = set(threading.enumerate())
    with Sandbox() as ksef, httpx.Client(trust_env=False) as kept_alive:
        kept_alive.post(f"{ksef.base_url}/auth/challenge")
        ksef.close()
        ksef.close()
        assert set(threading.enumerate()) == before
        with pytest.raises(httpx.ConnectError):
            httpx.post(f"{ksef.base_url}/auth/challenge", trust_env=False)


def test_starting_twice_starts_one() -> None:
    before = set(threading.enumerate())
    sandbox = Sandbox().start()
    address = sandbox.base_url
    with sandbox as same:
        assert same.base_url == address
        assert len(set(threading.enumerate()) - before) == 1
    assert set(threading.enumerate()) == before


def test_a_sandbox_can_be_found_by_its_entry_point() -> None:
    (found,) = entry_points(group="klucznik.local_ksef")
    assert found.load() is start


def test_mistakes_are_raised_where_they_are_made() -> None:
    with pytest.raises(SwitchError):
        Sandbox(switches={"nonsense": 1})
    with Sandbox() as ksef:
        with pytest.raises(AddressError, match="in use"):
            Sandbox(port=int(ksef.base_url.split(":")[2].split("/")[0])).start()
        with pytest.raises(SwitchError):
            ksef.set(nonsense=1)
        with pytest.raises(BadRequest):
            ksef.set_limits("Nip", NIP, enrollment=-1)
        ksef.link_person(nip=NIP, pesel="80010112345")
        with pytest.raises(BadRequest, match="30001"):
            ksef.link_person(nip=NIP, pesel="80010112345")


def test_unknown_names_of_the_package_are_attribute_errors() -> None:
    import ksef_sandbox

    with pytest.raises(AttributeError, match="Nonsense"):
        _ = ksef_sandbox.Nonsense

"""Switches as such: each says in public words where its default comes from, and lengths of life are obeyed."""

import re

import pytest
from tests.sandbox.driver import Driver, code_of
from tests.sandbox.signing import make_seal
from tests.sandbox.spec import specification

from ksef_sandbox import Sandbox
from ksef_sandbox.switches import SwitchInfo, registry

NIP = "5265877635"
SEAL = make_seal(nip=NIP)
PUBLIC = re.compile(
    r"not documented|ksef-docs [\w/.-]+\.(?:md|xsd)|ksef-api issue \d+|spec 2\.7\.0 (?P<method>[A-Z]+) (?P<path>/\S+)"
)


@pytest.mark.parametrize("info", registry(), ids=lambda info: str(info.name))
def test_the_source_is_one_that_anybody_can_look_up(info: SwitchInfo) -> None:
    source = PUBLIC.fullmatch(info.source)
    assert source, info.source
    if source["path"]:
        assert source["method"].lower() in specification()["paths"][source["path"]]


def test_the_life_of_a_challenge_is_a_switch(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(challenge_ttl_s=3600)
    challenge = driver.challenge()
    ksef.advance(seconds=3500)
    assert driver.submit(SEAL, nip=NIP, challenge=challenge).status_code == 202
    challenge = driver.challenge()
    ksef.advance(seconds=3600)
    assert code_of(driver.submit(SEAL, nip=NIP, challenge=challenge)) == 21111


def test_the_life_of_a_refresh_token_is_a_switch(ksef: Sandbox, driver: Driver) -> None:
    ksef.set(token_ttl_refresh_s=3600)
    session = driver.sign_in(SEAL, nip=NIP)
    bearer = {"Authorization": f"Bearer {session.refresh}"}
    ksef.advance(seconds=3500)
    assert driver.http.post("/auth/token/refresh", headers=bearer).status_code == 200
    ksef.advance(seconds=100)
    assert driver.http.post("/auth/token/refresh", headers=bearer).status_code == 401

"""The profiles: the same seed gives the same run, also with clients in parallel; a careful client survives them all."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sandbox.careful import CarefulClient

from ksef_sandbox import Sandbox
from ksef_sandbox.faults.in_force import MOST_IN_A_ROW, Faults, Profile
from ksef_sandbox.faults.profiles import PROFILES
from ksef_sandbox.faults.rules import ENROLL, Visit, check
from ksef_sandbox.routes.all import OPERATIONS
from ksef_sandbox.switches import Switches, SwitchValue

A_MONTH_S = 30 * 86400
AT_ONCE: dict[str, SwitchValue] = {
    "auth_delay_ms": 0,
    "enroll_delay_ms": 0,
    "rate_profile": "off",
    "token_ttl_auth_s": A_MONTH_S,
    "token_ttl_access_s": A_MONTH_S,
    "challenge_ttl_s": A_MONTH_S,
}
SPENT = {"cancelled": 1, "rejected": 1, "limit_eaten": 2}  # requests that KSeF or somebody else spends
NIPS = [f"11111111{n}1" for n in range(1, 9)]


def run(profile: Profile, seed: int, *, clients: int) -> Counter[tuple[str, ...]]:
    """Everything that was done, without the order in which clients were served."""
    with Sandbox(seed=seed, switches=AT_ONCE, faults=profile) as ksef:
        with ThreadPoolExecutor(clients) as pool:
            pairs = list(pool.map(lambda nip: CarefulClient(ksef, nip).pair(), NIPS))
        assert [len(pair) for pair in pairs] == [2] * len(NIPS)
        faults = ksef.faults
    return Counter((f.client, f.route, f.rule, f.act, str(f.call)) for f in faults)


def test_the_same_seed_gives_the_same_run_and_clients_in_parallel_do_not_disturb_each_other() -> None:
    alone = run("hostile", 7, clients=1)
    assert alone
    assert run("hostile", 7, clients=8) == alone
    assert run("hostile", 8, clients=8) != alone


@pytest.mark.parametrize("seed", range(20, 24))
def test_a_careful_client_finishes_every_pair_and_wastes_no_request(seed: int) -> None:
    with Sandbox(seed=seed, switches=AT_ONCE, faults="hostile") as ksef:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda nip: CarefulClient(ksef, nip).pair(), NIPS))
        spent_by_ksef: Counter[str] = Counter()
        for fault in ksef.faults:
            if fault.identity and fault.route == ENROLL[1]:
                spent_by_ksef[fault.identity.value] += {"cancelled": 1, "rejected": 1, "limit_eaten": 2}.get(
                    fault.act, 0
                )
        ksef.set_faults("none")
        spent = {nip: 300 - CarefulClient(ksef, nip).remaining_requests() for nip in NIPS}
    assert spent == {nip: 2 + spent_by_ksef[nip] for nip in NIPS}


def test_a_mild_day_is_survived_too() -> None:
    assert run("mild", 7, clients=8)


def test_the_page_shows_every_rule_of_every_profile() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    lines = ["| rule | where | act | probability | at most |", "|---|---|---|---|---|"]
    for rules in PROFILES.values():
        for id, rule in rules.items():
            where = f"`{rule.method or 'any'} {rule.route or 'any'}`" if rule.method or rule.route else "everywhere"
            settings = {name: value for name, value in asdict(rule.act).items() if name != "name"}
            act = " ".join([f"`{rule.act.name}`", *(f"{name}={value}" for name, value in settings.items())])
            most = "once" if rule.times == 1 else f"{rule.times} times" if rule.times else "-"
            lines.append(f"| `{id}` | {where} | {act} | {rule.probability:g} | {most} |")
    assert "\n".join(lines) in page, "docs/sandbox.md needs this table:\n" + "\n".join(lines)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_rule_of_a_profile_can_strike_and_says_whose_it_is(profile: str) -> None:
    for id, rule in PROFILES[profile].items():
        check(rule, OPERATIONS)
        assert id.startswith(f"{profile}.")


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**63), st.sampled_from(OPERATIONS))
def test_a_profile_never_strikes_more_than_twice_in_a_row(seed: int, operation: tuple[str, str]) -> None:
    faults = Faults(Switches(fault_injection="hostile"), seed)
    visit = Visit(operation, "client", code=200, is_json=True)
    row = 0
    for _ in range(200):
        struck = faults.choose(visit, before=True) or faults.choose(visit, before=False)
        row = row + 1 if struck else 0
        assert row <= MOST_IN_A_ROW


def test_probabilities_are_what_they_say() -> None:
    faults = Faults(Switches(fault_injection="mild"), 1)
    visits = [Visit(("GET", "/tokens"), f"client {n}", code=200, is_json=True) for n in range(20_000)]
    struck = Counter(strike.id for visit in visits if (strike := faults.choose(visit, before=True)))
    assert struck.keys() == {"mild.gateway"}
    assert 0.015 < struck["mild.gateway"] / len(visits) < 0.025

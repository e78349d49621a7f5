"""Rules as data: what they match, what is refused, how they are counted; and their place in the management face."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.sandbox.driver import Driver
from tests.sandbox.signing import make_seal

from ksef_sandbox import Sandbox
from ksef_sandbox.faults.in_force import Faults
from ksef_sandbox.faults.rules import (
    ACTS,
    Cancelled,
    DelayAfter,
    DropAnswer,
    FaultError,
    LimitEaten,
    Refused,
    ResetBefore,
    Rule,
    SmallPages,
    Visit,
    check,
)
from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.records import CertificateType
from ksef_sandbox.routes.all import OPERATIONS
from ksef_sandbox.switches import Switches

NOW = datetime(2026, 5, 1, tzinfo=UTC)
AS_JSON = TypeAdapter(Rule)
CHALLENGE = ("POST", "/auth/challenge")

values = st.sampled_from(["1111111111", "2222222222"])
identities = st.builds(Identity, st.sampled_from([IdentityType.NIP, IdentityType.PESEL]), values)
contexts = st.builds(ContextIdentifier, st.just(ContextType.NIP), values)
operations = st.sampled_from(OPERATIONS)
routes = st.sampled_from([path for _, path in OPERATIONS] + ["/certificates/*", "/auth/*", "/testdata/*", "/*"])
acts = st.sampled_from([act() for act in ACTS])
codes = st.sampled_from([100, 200, 202, 550])
types = st.sampled_from(list(CertificateType))
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE"])


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


visits = st.builds(
    Visit, operations, st.just("client"), maybe(identities), maybe(contexts), maybe(types), maybe(codes), st.booleans()
)
rules = st.builds(
    Rule, acts, maybe(methods), maybe(routes), maybe(identities), maybe(contexts), maybe(types), maybe(codes)
)


@given(rules, visits)
def test_a_rule_matches_exactly_when_every_part_of_it_does(rule: Rule, visit: Visit) -> None:
    method, route = visit.operation
    pattern = rule.route.replace("{", "[{]") if rule.route else None
    parts = [
        rule.method is None or rule.method == method,
        fnmatchcase(route, pattern) if pattern else not route.startswith("/testdata/"),
        rule.act.fits(visit.operation),
        rule.identity is None or rule.identity == visit.identity,
        rule.context is None or rule.context == visit.context,
        rule.certificate_type is None or rule.certificate_type == visit.certificate_type,
        rule.after_code is None or rule.after_code == visit.code,
        visit.is_json or not rule.act.needs_json,
    ]
    assert rule.matches(visit) == all(parts)


@given(rules, visits)
def test_a_rule_that_matches_something_is_never_called_pointless(rule: Rule, visit: Visit) -> None:
    if rule.matches(visit) and rule.after_code is None and rule.certificate_type is None:
        check(rule, OPERATIONS)


@given(rules)
def test_a_rule_survives_the_way_through_json(rule: Rule) -> None:
    assert AS_JSON.validate_json(AS_JSON.dump_json(rule)) == rule


@given(st.integers(0, 5), st.integers(1, 5), st.integers(1, 20))
def test_skip_and_times_count_the_calls_of_each_client(skip: int, times: int, calls: int) -> None:
    faults = Faults(Switches(), 1)
    faults.add(Rule(ResetBefore(), skip=skip, times=times))
    struck: dict[str, list[int]] = {"a": [], "b": []}
    for number in range(1, calls + 1):
        for client, hits in struck.items():
            strike = faults.choose(Visit(CHALLENGE, client), before=True)
            if strike:
                faults.record(strike, number, NOW)
                hits.append(number)
    expected = [n for n in range(skip + 1, skip + times + 1) if n <= calls]
    assert struck == {"a": expected, "b": expected}


@given(st.permutations(["a"] * 6 + ["b"] * 6 + ["c"] * 6), st.integers())
def test_the_order_in_which_clients_are_served_decides_nothing(order: list[str], seed: int) -> None:
    def decisions(clients: list[str]) -> dict[str, list[bool]]:
        faults = Faults(Switches(), seed)
        faults.add(Rule(ResetBefore(), probability=0.5))
        made: dict[str, list[bool]] = {"a": [], "b": [], "c": []}
        for client in clients:
            made[client].append(faults.choose(Visit(CHALLENGE, client), before=True) is not None)
        return made

    assert decisions(order) == decisions(sorted(order))


BAD: list[tuple[Rule, str]] = [
    (Rule(ResetBefore(), method="PATCH"), "There is no method 'PATCH'"),
    (
        Rule(ResetBefore(), route="/auth/chalenge"),
        "There is no route '/auth/chalenge'. Did you mean '/auth/challenge'?",
    ),
    (Rule(ResetBefore(), route="/zzz/*"), "There is no route '/zzz/*'. Routes are those of the specification"),
    (Rule(LimitEaten(), route="/auth/challenge"), "limit_eaten means nothing on any method /auth/challenge."),
    (Rule(Cancelled(), "GET"), "cancelled means nothing on GET of any route."),
    (Rule(ResetBefore(), after_code=200), "after_code is for acts on an answer; reset_before is done before"),
    (Rule(SmallPages(), times=1), "small_pages holds for every call of a client"),
    (Rule(DropAnswer(), "GET", certificate_type=CertificateType.OFFLINE), "certificate_type is for POST /certificates"),
    (Rule(Refused(12345)), "KSeF has no code 12345."),
    (Rule(LimitEaten(1, 2)), "limit_eaten cannot keep more certificates than it files requests."),
]


@pytest.mark.parametrize(("rule", "sentence"), BAD, ids=[sentence[:40] for _, sentence in BAD])
def test_a_rule_that_could_never_strike_is_refused_with_a_sentence(ksef: Sandbox, rule: Rule, sentence: str) -> None:
    with pytest.raises(FaultError) as caught:
        ksef.add_fault(rule)
    assert str(caught.value).startswith(sentence)
    body = AS_JSON.dump_json(rule)
    with face(ksef) as http:
        response = http.post("/faults/rules", content=body, headers={"Content-Type": "application/json"})
        assert (response.status_code, response.json()["detail"]) == (400, str(caught.value))
        assert http.get("/faults").json()["rules"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"act": "drop_answer"},
        {"act": {"name": "explode"}},
        {"act": {"name": "drop_answer", "seconds": 3}},
        {"act": {"name": "delay_after", "seconds": -1}},
        {"act": {"name": "delay_after", "seconds": 4000}},
        {"act": {"name": "error_after", "status": 503}},
        {"act": {"name": "drop_answer"}, "probability": 1.5},
        {"act": {"name": "drop_answer"}, "times": 0},
        {"act": {"name": "drop_answer"}, "skip": -1},
        {"act": {"name": "drop_answer"}, "identity": {"type": "Dog", "value": "1"}},
        {"act": {"name": "drop_answer"}, "path": "/auth/challenge"},
    ],
    ids=lambda body: json.dumps(body)[:60],
)
def test_what_is_no_rule_is_refused_and_changes_nothing(ksef: Sandbox, body: dict[str, Any]) -> None:
    with face(ksef) as http:
        response = http.post("/faults/rules", json=body)
        assert response.status_code == 400
        assert response.headers["Content-Type"] == "application/problem+json"
        assert len(response.json()["detail"]) > 10
        assert http.get("/faults").json()["rules"] == []


def face(ksef: Sandbox) -> httpx.Client:
    return httpx.Client(base_url=ksef.management_url, trust_env=False)


@pytest.fixture
def http(ksef: Sandbox) -> Iterator[httpx.Client]:
    with face(ksef) as client:
        yield client


def test_rules_come_and_go_over_http(ksef: Sandbox, http: httpx.Client, driver: Driver) -> None:
    rule = {"act": {"name": "delay_after", "seconds": 0.0}, "method": "POST", "route": "/auth/challenge", "times": 1}
    made = http.post("/faults/rules", json=rule)
    assert made.status_code == 201
    assert made.json() == {
        "id": "rule-1",
        "source": "single",
        **rule,
        "identity": None,
        "context": None,
        "certificate_type": None,
        "after_code": None,
        "skip": 0,
        "probability": 1.0,
        "hits": 0,
    }
    for _ in range(2):
        driver.challenge()
    shown = http.get("/faults").json()
    assert (shown["profile"], shown["seed"]) == ("none", 1)
    assert [entry["hits"] for entry in shown["rules"]] == [1]
    (fault,) = shown["log"]
    assert (fault["number"], fault["route"], fault["identity"]) == (1, "/auth/challenge", None)
    assert (fault["rule"], fault["act"]) == ("rule-1", "delay_after")
    assert [r["fault"] for r in http.get("/requests").json()["requests"]] == ["delay_after", None]
    assert http.delete("/faults/rules/rule-1").status_code == 204
    missing = http.delete("/faults/rules/rule-1")
    assert (missing.status_code, missing.json()["detail"]) == (404, "There is no single rule 'rule-1'.")
    http.post("/faults/rules", json=rule)
    assert http.delete("/faults/rules").status_code == 204
    assert http.get("/faults").json()["rules"] == []


def test_the_log_shows_whose_request_it_was(ksef: Sandbox, driver: Driver, http: httpx.Client) -> None:
    session = driver.sign_in(make_seal(nip="5265877635"), nip="5265877635")
    ksef.add_fault(Rule(DelayAfter(0), route="/certificates/limits"))
    session.get("/certificates/limits")
    (fault,) = http.get("/faults", params={"last": 1}).json()["log"]
    assert fault["identity"] == {"type": "Nip", "value": "5265877635"}
    assert http.get("/faults", params={"last": 0}).json()["log"] == []


def test_a_profile_begins_a_new_run_and_keeps_single_rules(ksef: Sandbox, http: httpx.Client, driver: Driver) -> None:
    ksef.add_fault(Rule(DelayAfter(0)))
    driver.challenge()
    shown = http.put("/faults/profile", json={"profile": "mild", "seed": 7}).json()
    assert (shown["profile"], shown["seed"], shown["rules"][0]["id"]) == ("mild", 7, "rule-1")
    assert {rule["source"] for rule in shown["rules"][1:]} == {"profile"}
    assert ksef.switches["fault_injection"] == "mild"
    assert (ksef.faults, shown["rules"][0]["hits"]) == ([], 0)
    assert http.put("/faults/profile", json={"profile": "none", "seed": None}).json()["seed"] == 7
    ksef.set(fault_injection="hostile")
    assert http.get("/faults").json()["profile"] == "hostile"
    assert len(http.get("/faults").json()["rules"]) > 10


@pytest.mark.parametrize(
    "body", [{}, {"profile": "cruel"}, {"profile": "mild", "seed": "7"}, {"profile": "mild", "x": 1}]
)
def test_a_profile_that_is_none_changes_nothing(ksef: Sandbox, http: httpx.Client, body: dict[str, Any]) -> None:
    assert http.put("/faults/profile", json=body).status_code == 400
    assert http.get("/faults").json()["profile"] == "none"


def test_a_reset_returns_to_the_first_profile_and_seed() -> None:
    with Sandbox(faults="mild", seed=3) as ksef, face(ksef) as http:
        ksef.add_fault(Rule(DelayAfter(0)))
        ksef.set_faults("hostile", seed=9)
        assert http.post("/reset").status_code == 204
        shown = http.get("/faults").json()
        assert (shown["profile"], shown["seed"], shown["log"]) == ("mild", 3, [])
        assert all(rule["source"] == "profile" for rule in shown["rules"])


def test_the_management_face_is_never_disturbed(ksef: Sandbox, http: httpx.Client) -> None:
    ksef.add_fault(Rule(ResetBefore()))
    assert http.get("/clock").status_code == 200
    with pytest.raises(httpx.ReadError):
        httpx.post(f"{ksef.base_url}/auth/challenge", trust_env=False)


def test_without_a_seed_one_is_drawn_and_shown(http: httpx.Client) -> None:
    with Sandbox(faults="hostile") as one, Sandbox(faults="hostile") as other, face(one) as a, face(other) as b:
        assert a.get("/faults").json()["seed"] != b.get("/faults").json()["seed"]


def test_a_rule_that_is_taken_back_is_no_more(ksef: Sandbox, driver: Driver) -> None:
    id = ksef.add_fault(Rule(ResetBefore()))
    ksef.remove_fault(id)
    with pytest.raises(KeyError):
        ksef.remove_fault(id)
    assert len(driver.challenge()) == 36


def test_every_act_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    assert all(f"| `{act().name}` |" in page for act in ACTS)

"""Fuzzing of every operation in scope from the official specification: no 500, no answer outside the specification.
schemathesis makes the requests; some get pieces of good ones (`pieces.py`), so that they come further than a 400.

    python -m tests.sandbox.fuzz [--cases N] [--seed N]
"""

import argparse
import sys
from dataclasses import dataclass, field
from random import Random
from typing import Final

import httpx
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from tests.fuzzing import CHECKS, AnyCase, Operation, Report, make, name_of, print_report
from tests.sandbox import spec
from tests.sandbox.pieces import Pieces
from tests.sandbox.town import COMPANY, SWITCHES, Request, Town

from ksef_sandbox import Sandbox
from ksef_sandbox.switches import SwitchValue

SCOPE: Final = r"^/(auth|certificates|security|limits|rate-limits|permissions|tokens|testdata)(/|$)"
OPERATIONS: Final = 61
# What HTTP itself refuses is not in the specification (facts.md §1.3); `spec.check` holds it to a problem.
HTTP_REFUSALS: Final = frozenset({404, 405, 413, 415})


@dataclass(frozen=True)
class Season:
    """A part of a run in a sandbox of its own, with these switches, so many days after its good requests were made."""

    name: str
    switches: dict[str, SwitchValue] = field(default_factory=dict)
    days: int = 0
    shows: frozenset[int] = frozenset()  # statuses without which the season was not what it is for


SEASONS: Final = (
    Season("as it starts", shows=frozenset({200, 202, 204, 400, 401, 403, 415})),
    Season(
        "the other switches",
        {
            "error_format_default": "problem",
            "token_session_on_certificates": "403",
            "retrieve_unknown": "omit",
            "nip_pesel_link_scope": "revoke+query+limits",
            "fingerprint_enrollment": "25001",
            "xades_compliance": "warn",
        },
    ),
    Season("a month later", days=31, shows=frozenset({200, 410})),
    Season(
        "with rate limits",
        {"perm_delay_ms": 5000, "enroll_delay_ms": 5000, "rate_profile": "prd"},
        shows=frozenset({200, 429}),
    ),
)


def operations() -> list[Operation]:
    schema = schemathesis.openapi.from_dict(spec.specification()).include(path_regex=SCOPE)
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(found) == OPERATIONS, len(found)
    return found


def run(season: Season, *, cases: int, seed: int) -> Report:
    """Send at least `cases` requests; one seed always makes the same ones."""
    found = operations()
    share = -(-cases // len(found))
    report = Report()
    client = httpx.Client(trust_env=False, timeout=60)
    with Sandbox(seed=seed, switches=SWITCHES) as ksef, client as http, Town(ksef) as town:
        ksef.set_limits("Nip", COMPANY, enrollment=100_000, certificate=100_000)
        pieces = Pieces(town, copies=3)
        ksef.advance(days=season.days)
        if season.days:
            town.sign_everybody_in()
        ksef.set(**season.switches)
        for operation in found:
            fuzzer = Fuzzer(operation, http, pieces, report)
            fuzzer.send(GenerationMode.NEGATIVE, share // 3, seed)
            fuzzer.send(GenerationMode.POSITIVE, share - fuzzer.sent, seed)
    return report


class Fuzzer:
    """One operation under fire."""

    def __init__(self, operation: Operation, http: httpx.Client, pieces: Pieces, report: Report) -> None:
        self.operation, self.http, self.pieces, self.report = operation, http, pieces, report
        self.name = name_of(operation)
        self.sent = 0

    def send(self, mode: GenerationMode, count: int, seed: int) -> None:
        """Send so many requests that fit the specification, or that do not."""
        make(self.operation, mode, count, seed, lambda case, random: self._send(case, mode, random))

    def _send(self, case: AnyCase, mode: GenerationMode, random: Random) -> None:
        good = random.choice(self.pieces.good[self.name])
        grafted = mode is GenerationMode.POSITIVE and random.random() < 0.75
        if grafted:
            self._graft(case, good, random)
        document = self.pieces.text(good.xml, random) if grafted and good.xml else None
        request = self._request(case, good, document, random)
        response = self.http.send(request)
        self.sent += 1
        self.report.count(self.name, response.status_code)
        self.pieces.harvest(response)
        self._judge(case, response)

    def _graft(self, case: AnyCase, good: Request, random: Random) -> None:
        for name in case.path_parameters or {}:
            fresh = random.random() < 0.6
            case.path_parameters[name] = good.parameters[name] if fresh else self.pieces.name(name, random)
        if good.body is not None:
            case.body = self.pieces.body(case.body, good.body, random)

    def _request(self, case: AnyCase, good: Request, document: bytes | None, random: Random) -> httpx.Request:
        """The case over HTTP, by its proper caller or by anybody else."""
        town = self.pieces.town
        role = good.by if random.random() < 0.6 else random.choice([None, "as made", *sorted(town.headers)])
        headers = self.pieces.headers(case.path, random)
        if role == good.by and good.bearer:
            headers |= good.bearer
        elif role in town.headers:
            headers |= town.headers[role]
        made = case.as_transport_kwargs(base_url=town.ksef.base_url)
        sent = {name: value for name, value in made["headers"].items() if role == "as made" or name != "Authorization"}
        return self.http.build_request(
            made["method"],
            made["url"],
            params=made.get("params"),
            headers={name: value.strip().encode("latin-1", "replace") for name, value in (sent | headers).items()},
            content=document or made.get("data"),
            **({"json": made["json"]} if "json" in made else {}),
        )

    def _judge(self, case: AnyCase, response: httpx.Response) -> None:
        problems: list[str] = []
        try:
            spec.check(response)
        except (AssertionError, ValueError, KeyError) as error:
            problems.append(str(error))
        if response.status_code not in HTTP_REFUSALS:
            try:
                case.validate_response(response, checks=CHECKS)
            except Exception as error:
                problems.append(str(error))
        for problem in problems:
            kind = problem.strip().splitlines()[0][:60]
            self.report.violations.setdefault((self.name, kind), f"{problem}\n{case.as_curl_command()}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.fuzz")
    parser.add_argument("--cases", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = Report()
    for season in SEASONS:
        part = run(season, cases=-(-options.cases // len(SEASONS)), seed=options.seed)
        print(f"{season.name}: {part.cases} cases", flush=True)
        report += part
    print_report(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())

"""Fuzzing of every route of the API from its own description: no 500, no answer that the description does not tell of,
nothing without a key, and nothing of others to a key of one company.

schemathesis makes the requests; many get ids, cursors and keys that the API itself has given out before, so that they
come further than a 404. Everything runs in one thread beside the sandbox: one seed makes the same requests.

    python -m tests.klucznik.api.fuzz [--cases N] [--seed N]
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, Final, Self

import httpx
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from tests.fuzzing import CHECKS, AnyCase, Operation, Report, make, name_of, print_report
from tests.klucznik.api.worlds import BASE, connected, subject_of
from tests.klucznik.web.worlds import SETTINGS
from tests.klucznik.world import QUICK, company, installed, set_limits, some_nip

from klucznik.domain.roles import ACTIONS, SCOPES, Role
from klucznik.server.app import create_app
from klucznik.services.accounts.api_keys import make_key
from klucznik.services.engine import Engine
from klucznik.services.operator import set_operator
from klucznik.services.telling.rounds import Outlets, tell_until_idle
from ksef_sandbox import Sandbox

# It never ends by itself; `test_events` reads it.
_STREAM: Final = "/events/stream"
# What a route may not know of: a path that leads nowhere, since something in it was read as a slash.
_NO_ROUTE: Final = frozenset({"route_unknown", "method_not_allowed"})
_COMPANIES: Final = 6
_KEPT: Final = 300


class Office:
    """An installation with companies, and programs with keys of three kinds before its API."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.keys: dict[str, str] = {}
        self.others: list[str] = []
        self.outlets = Outlets(private_webhooks=True)

    def __enter__(self) -> Self:
        self.runner.run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    async def _open(self) -> None:
        home = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.ksef = self.stack.enter_context(Sandbox(switches=QUICK))
        self.klucznik = await self.stack.enter_async_context(installed(home, self.ksef))
        operator = some_nip()
        await set_operator(self.klucznik, operator, "Biuro Rachunkowe", company(operator, self.ksef))
        for _ in range(_COMPANIES):
            nip = await connected(self.klucznik, self.ksef)
            set_limits(self.ksef, subject_of(nip), enrollment=100_000, certificate=100_000)
            self.others.append(nip)
        self.bound_to = await connected(self.klucznik, self.ksef)
        everything, one = [scope.value for scope in SCOPES], [scope.value for scope in ACTIONS[Role.CLIENT] & SCOPES]
        self.keys["whole"], _ = await make_key(self.klucznik, "whole", everything, days=366)
        self.keys["bound"], _ = await make_key(self.klucznik, "bound", ["see", *one], days=366, nip=self.bound_to)
        self.app = create_app(self.klucznik, SETTINGS, self.outlets)
        transport = httpx.ASGITransport(app=self.app)
        self.http = await self.stack.enter_async_context(httpx.AsyncClient(transport=transport))

    def send(self, request: httpx.Request) -> httpx.Response:
        return self.runner.run(self.http.send(request))

    def carry_out(self) -> None:
        """The worker does what was ordered and tells of it; and time goes by, so that no pace of KSeF is met."""
        self.ksef.advance(minutes=1)
        self.runner.run(Engine(self.klucznik).run_until_idle())
        self.runner.run(tell_until_idle(self.klucznik, self.outlets))


class Told:
    """What the API has given out: ids, numbers, cursors."""

    def __init__(self) -> None:
        self.texts: deque[str] = deque(maxlen=_KEPT)
        self.etags: deque[str] = deque(maxlen=_KEPT)

    def hear(self, response: httpx.Response) -> None:
        if response.is_success and response.content:
            self.texts.extend(_short_texts(response.json()))
        if "etag" in response.headers:
            self.etags.append(response.headers["etag"])

    def fitting(self, pattern: str, random: Random) -> str | None:
        found = [text for text in self.texts if re.search(pattern, text)]
        return random.choice(found) if found else None


def _short_texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and len(value) <= 64:
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _short_texts(part)


class Fuzzer:
    """One route under fire."""

    def __init__(self, operation: Operation, office: Office, told: Told, report: Report) -> None:
        self.operation, self.office, self.told, self.report = operation, office, told, report
        self.name = name_of(operation)
        self.patterns = {
            parameter["name"]: parameter.get("schema", {}).get("pattern", "")
            for parameter in operation.definition.raw.get("parameters", ())
        }
        self.sent = 0

    def fire(self, mode: GenerationMode, count: int, seed: int) -> None:
        """Send so many requests that fit the description, or that do not."""
        make(self.operation, mode, count, seed, lambda case, random: self._send(case, mode, random))

    def _send(self, case: AnyCase, mode: GenerationMode, random: Random) -> None:
        if mode is GenerationMode.POSITIVE and random.random() < 0.8:
            self._graft(case, random)
        who = random.choices(["whole", "bound", "nobody", "wrong"], [80, 12, 4, 4])[0]
        request = self._request(case, who, random)
        if not str(request.url).startswith(f"{BASE}/"):
            return  # dots in a path lead out of the API: that is the client's doing
        response = self.office.send(request)
        self.sent += 1
        self.report.count(self.name, response.status_code)
        self._judge(case, who, request, response)
        if who == "whole":
            self.told.hear(response)
        if request.method != "GET" or self.sent % 20 == 0:
            self.office.carry_out()

    def _graft(self, case: AnyCase, random: Random) -> None:
        """Put what the API has given out where it is asked for."""
        nips = [*self.office.others, self.office.bound_to]
        for name in case.path_parameters or {}:
            known = random.choice(nips) if name == "nip" else self.told.fitting(self.patterns.get(name) or "^$", random)
            case.path_parameters[name] = known or case.path_parameters[name]
        if isinstance(case.body, dict) and "nip" in case.body and random.random() < 0.9:
            case.body["nip"] = random.choice(nips)
        if isinstance(case.body, dict) and "url" in case.body:
            case.body["url"] = f"https://127.0.0.1:{random.randint(1, 9)}/told"
        if case.query and "after" in case.query and (known := self.told.fitting(r"^(Wy|[0-9]{16}$)", random)):
            case.query["after"] = known

    def _request(self, case: AnyCase, who: str, random: Random) -> httpx.Request:
        made = case.as_transport_kwargs(base_url=BASE)
        headers = {name.lower(): str(value) for name, value in made["headers"].items()}
        headers.pop("authorization", None)
        if who in self.office.keys:
            headers["authorization"] = f"Bearer {self.office.keys[who]}"
        elif who == "wrong":
            headers["authorization"] = random.choice(["Bearer klk_wrong", "Basic dTpw", "Bearer", "bearer \u017c"])
        if "idempotency-key" in headers and random.random() < 0.2:
            headers["idempotency-key"] = "again"
        if "if-match" in headers and self.told.etags and random.random() < 0.7:
            headers["if-match"] = random.choice(self.told.etags)
        if headers.get("prefer", "").startswith("wait"):
            headers["prefer"] = "wait=0"
        return self.office.http.build_request(
            made["method"],
            made["url"],
            params=made.get("params"),
            headers={name: value.strip().encode("utf-8") for name, value in headers.items()},
            content=made.get("data"),
            **({"json": made["json"]} if "json" in made else {}),
        )

    def _judge(self, case: AnyCase, who: str, request: httpx.Request, response: httpx.Response) -> None:
        wrong = [*self._of_problem(response), *self._of_caller(who, request, response)]
        if _reason(response) not in _NO_ROUTE:
            try:
                case.validate_response(response, checks=CHECKS)
            except FailureGroup as failures:
                wrong += [str(one) for one in failures.exceptions]
        for one in wrong:
            kind = one.strip().splitlines()[0][:60]
            told = f"{one}\n{request.method} {request.url}\n{request.content[:600]!r}\n{response.text[:600]}"
            self.report.violations.setdefault((self.name, kind), told)

    def _of_problem(self, response: httpx.Response) -> Iterator[str]:
        if "x-request-id" not in response.headers:
            yield "the answer names no request"
        if response.is_error:
            if response.headers["content-type"] != "application/problem+json":
                yield "an error that is no problem"
            elif response.json()["status"] != response.status_code:
                yield "a problem of another status"
            if response.status_code == 503 and "retry-after" not in response.headers:
                yield "503 without Retry-After"

    def _of_caller(self, who: str, request: httpx.Request, response: httpx.Response) -> Iterator[str]:
        reached = response.status_code not in (404, 405)
        if who in ("nobody", "wrong") and reached and response.status_code != 401:
            yield "let in without a key"
        if who == "bound":
            asked = str(request.url) + request.content.decode(errors="replace")
            if any(nip in response.text and nip not in asked for nip in self.office.others):
                yield "a key of one company was told of another"
            if response.is_success and any(nip in asked for nip in self.office.others):
                yield "a key of one company has reached another"


def _reason(response: httpx.Response) -> str | None:
    problem = response.headers.get("content-type") == "application/problem+json"
    return str(response.json()["reason"]) if problem else None


def run(*, cases: int, seed: int) -> Report:
    """Send at least `cases` requests."""
    report, told = Report(), Told()
    with Office() as office:
        description = office.send(office.http.build_request("GET", f"{BASE}/openapi.json")).json()
        found = _operations(description)
        share = -(-cases // len(found))
        for operation in found:
            fuzzer = Fuzzer(operation, office, told, report)
            fuzzer.fire(GenerationMode.NEGATIVE, share // 3, seed)
            fuzzer.fire(GenerationMode.POSITIVE, share - fuzzer.sent, seed)
    return report


def _operations(description: dict[str, Any]) -> list[Operation]:
    """Those that look come first, those that make come next, those that end something last."""
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(description))).exclude(path=_STREAM)
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return sorted(found, key=_violence)


def _violence(operation: Operation) -> tuple[int, str]:
    ends = operation.method == "delete" or operation.path.endswith(("/revocation", "/cancellation"))
    return (2 if ends else 1 if operation.method != "get" else 0), operation.path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.klucznik.api.fuzz")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = run(cases=options.cases, seed=options.seed)
    print_report(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())

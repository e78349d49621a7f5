"""The table operation x status: every operation in scope answers its success and every documented error that can occur.
Each answer passes the strict check of `spec.py`; what cannot occur in a sandbox is named here with its reason.

    python -m tests.sandbox.conformance
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import httpx
from tests.sandbox import spec
from tests.sandbox.town import GOOD, SWITCHES, UNKNOWN, UNKNOWN_SERIAL, Request, Town

from ksef_sandbox import Sandbox

SCOPE: Final = ("auth", "certificates", "limits", "permissions", "rate-limits", "security", "testdata", "tokens")
PROBLEM: Final = {"X-Error-Format": "problem-details"}
PLAIN_JSON, PROBLEM_JSON = "application/json", "application/problem+json"

# The documented errors that this sandbox cannot give, each with its reason.
_TAKES_NOTHING: Final = "takes no input that could be wrong"
_NOT_FENCED: Final = "takes a token that an IP policy and permissions do not bind (facts.md §2.2)"
HOLES: Final[dict[tuple[str, int], str]] = {
    ("POST /auth/challenge", 400): _TAKES_NOTHING,
    ("DELETE /auth/sessions/current", 400): _TAKES_NOTHING,
    ("GET /certificates/limits", 400): _TAKES_NOTHING,
    ("GET /security/public-key-certificates", 400): _TAKES_NOTHING,
    ("GET /limits/context", 400): _TAKES_NOTHING,
    ("GET /limits/subject", 400): _TAKES_NOTHING,
    ("GET /rate-limits", 400): _TAKES_NOTHING,
    ("GET /permissions/attachments/status", 400): _TAKES_NOTHING,
    ("DELETE /testdata/limits/subject/certificate", 400): _TAKES_NOTHING,
    ("DELETE /testdata/limits/context/session", 400): _TAKES_NOTHING,
    ("DELETE /testdata/rate-limits", 400): _TAKES_NOTHING,
    ("POST /testdata/rate-limits/production", 400): _TAKES_NOTHING,
    ("GET /auth/{referenceNumber}", 403): _NOT_FENCED,
    ("POST /auth/token/redeem", 403): _NOT_FENCED,
    ("POST /auth/token/refresh", 403): _NOT_FENCED,
}
# Where neither the body nor the name in the path makes a request wrong.
_WRONG: Final[dict[str, Callable[[Town, Request], Request]]] = {
    "GET /auth/sessions": lambda town, good: replace(good, query="?pageSize=1"),
    "GET /tokens": lambda town, good: replace(good, query="?pageSize=1"),
    "GET /permissions/query/entities/roles": lambda town, good: replace(good, query="?pageSize=1"),
    "GET /certificates/enrollments/data": lambda town, good: replace(good, by="token"),
    "POST /auth/xades-signature": lambda town, good: replace(good, xml=b"<AuthTokenRequest/>"),
    "POST /auth/token/redeem": lambda town, good: replace(good, bearer=town.redeemed()),
    "POST /auth/token/refresh": lambda town, good: replace(good, bearer=town.ended()),
}
_PER_ADDRESS_TRIES: Final = 2000  # 60 a second and route are let through, however slow the machine


@dataclass
class Table:
    """What was seen: by operation and status, the media types of the answers."""

    seen: dict[tuple[str, int], set[str]] = field(default_factory=dict)

    def note(self, operation: str, response: httpx.Response) -> None:
        media_type = response.headers.get("Content-Type", "").partition(";")[0]
        self.seen.setdefault((operation, response.status_code), set()).add(media_type)

    def missing(self) -> list[str]:
        """A sentence for each documented status that was not seen, and for each explained one that was."""
        sentences = []
        for (operation, status), media_types in documented().items():
            seen = self.seen.get((operation, status))
            reason = HOLES.get((operation, status))
            if seen is None and reason is None:
                sentences.append(f"{operation} never answered {status}")
            elif seen is not None and reason is not None:
                sentences.append(f"{operation} answered {status} although it should not: it {reason}")
            elif seen is not None and seen != media_types:
                sentences.append(f"{operation} answered {status} only as {', '.join(sorted(seen))}")
        return sentences


def documented() -> dict[tuple[str, int], set[str]]:
    """Every status of every operation in scope, with the media types of its answer; one empty for no body."""
    return {
        (f"{method.upper()} {path}", int(status)): set(answer.get("content", {})) or {""}
        for path, methods in spec.specification()["paths"].items()
        if path.split("/")[1] in SCOPE
        for method, operation in methods.items()
        for status, answer in operation["responses"].items()
    }


def run() -> Table:
    """Ask everything; raises AssertionError for an answer that the specification does not allow."""
    table = Table()
    with Sandbox(seed=1, switches=SWITCHES) as ksef, Town(ksef) as town:
        for question in (_success, _wrong, _without_token, _from_elsewhere, _too_often):
            for make in GOOD:
                for request, response in question(town, make):
                    table.note(request.operation, response)
        for request, response in _too_late(town):
            table.note(request.operation, response)
    return table


Asked = Iterator[tuple[Request, httpx.Response]]


def _success(town: Town, make: Callable[[Town], Request]) -> Asked:
    request = make(town)
    yield request, town.send(request)


def _wrong(town: Town, make: Callable[[Town], Request]) -> Asked:
    """A 400 in both formats."""
    good = make(town)
    if (good.operation, 400) in HOLES:
        return
    request = _WRONG.get(good.operation, _wrongly)(town, good)
    for headers in ({}, PROBLEM):
        yield request, town.send(request, headers=headers)


def _wrongly(town: Town, good: Request) -> Request:
    """An unknown name in the path, a body that is no object."""
    names = dict.fromkeys(good.parameters, UNKNOWN) | dict.fromkeys(
        good.parameters.keys() & {"serialNumber", "certificateSerialNumber"}, UNKNOWN_SERIAL
    )
    if "permissionId" in names:
        names["permissionId"] = "short"
    body = [] if good.body is not None and not good.parameters else good.body
    return replace(good, parameters=names, body=body)


def _without_token(town: Town, make: Callable[[Town], Request]) -> Asked:
    request = make(town)
    if request.by is not None:
        nobody = replace(request, by="garbage", bearer=None)
        yield nobody, town.send(nobody)


def _from_elsewhere(town: Town, make: Callable[[Town], Request]) -> Asked:
    """With the token of a session that an IP policy binds to another address."""
    request = make(town)
    if request.by is not None and (request.operation, 403) not in HOLES:
        fenced = replace(request, by="fenced", bearer=None)
        yield fenced, town.send(fenced)


def _too_often(town: Town, make: Callable[[Town], Request]) -> Asked:
    """A 429 in both formats."""
    request = make(town)
    town.ksef.set(rate_profile="custom", rate_per_second=1, rate_per_minute=1, rate_per_hour=1)
    try:
        for _ in range(_PER_ADDRESS_TRIES):
            response = town.send(request)
            if response.status_code == 429:
                break
        yield request, response
        yield request, town.send(request, headers=PROBLEM)
    finally:
        town.ksef.set(rate_profile="off")


def _too_late(town: Town) -> Asked:
    """The statuses that are kept for a while, asked for after that (facts.md §1.5)."""
    requests = [make(town) for make in GOOD]
    kept = [request for request in requests if (request.operation, 410) in documented()]
    town.ksef.set(token_ttl_auth_s=90 * 86_400)
    begun = town.begun()
    town.ksef.advance(days=31)
    town.sign_everybody_in()
    for request in kept:
        if request.bearer is not None:
            asked = replace(request, parameters={"referenceNumber": begun.reference}, bearer=begun.bearer)
        else:
            asked = request
        yield asked, town.send(asked)


def print_table(table: Table) -> None:
    """One line for each operation: a tick for each status seen, the reason where one cannot be."""
    wanted = documented()
    statuses = sorted({status for _, status in wanted})
    print(f"{'':62} {'  '.join(map(str, statuses))}")
    for operation in dict.fromkeys(operation for operation, _ in wanted):
        cells = [_cell(table, operation, status, wanted) for status in statuses]
        print(f"{operation:62} {'  '.join(cells)}".rstrip())
    print("\n  ✓ answered and valid   – cannot occur here   ! missing")
    for reason in dict.fromkeys(HOLES.values()):
        names = [f"{operation} {status}" for (operation, status), why in HOLES.items() if why == reason]
        print(f"\n  – {reason}:\n      " + "\n      ".join(names))
    seen = sum((operation, status) in table.seen for operation, status in wanted)
    count = len({operation for operation, _ in wanted})
    print(f"\n{count} operations, {len(wanted)} documented answers: {seen} given and valid, {len(HOLES)} cannot occur")


def _cell(table: Table, operation: str, status: int, wanted: dict[tuple[str, int], set[str]]) -> str:
    key = (operation, status)
    if key not in wanted:
        return "   "
    return " ✓ " if key in table.seen else " – " if key in HOLES else " ! "


def main() -> int:
    table = run()
    print_table(table)
    missing = table.missing()
    for sentence in missing:
        print(f"MISSING: {sentence}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

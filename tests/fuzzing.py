"""What both fuzzers have in common: how requests are made from a description, and what is counted and told of a run."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeAlias

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

Operation: TypeAlias = APIOperation[Any, Any, Any, Any]
AnyCase: TypeAlias = Case[Any]

CHECKS: Final = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@dataclass
class Report:
    """What a run has seen; of each kind of violation the first example."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    by_operation: dict[str, Counter[int]] = field(default_factory=dict)
    violations: dict[tuple[str, str], str] = field(default_factory=dict)

    def __add__(self, other: "Report") -> "Report":
        names = self.by_operation | other.by_operation
        return Report(
            self.cases + other.cases,
            self.statuses + other.statuses,
            {name: self.by_operation.get(name, Counter()) + other.by_operation.get(name, Counter()) for name in names},
            other.violations | self.violations,
        )

    def count(self, operation: str, status: int) -> None:
        self.cases += 1
        self.statuses[status] += 1
        self.by_operation.setdefault(operation, Counter())[status] += 1


def name_of(operation: Operation) -> str:
    return f"{operation.method.upper()} {operation.path}"


def make(
    operation: Operation, mode: GenerationMode, count: int, seed: int, send: Callable[[AnyCase, Random], None]
) -> None:
    """So many requests that fit the description, or that do not; one seed always makes the same ones."""

    @seeded(f"{seed}/{name_of(operation)}/{mode.value}")
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(mode), st.integers(0, 2**32))
    def one(case: AnyCase, salt: int) -> None:
        send(case, Random(salt))

    try:
        one()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, name_of(operation)  # what takes nothing can be asked nothing wrong


def print_report(report: Report) -> None:
    """A line for each operation, the sum, and what was wrong."""
    for name, statuses in report.by_operation.items():
        seen = "  ".join(f"{status}: {number}" for status, number in sorted(statuses.items()))
        print(f"{name:62} {seen}")
    seen = ", ".join(f"{number} x {status}" for status, number in sorted(report.statuses.items()))
    print(f"{report.cases} cases, {len(report.by_operation)} operations: {seen}")
    for (name, _), example in report.violations.items():
        print(f"\nVIOLATION in {name}\n{example}")
    print("no answer outside the specification" if not report.violations else f"{len(report.violations)} violations")

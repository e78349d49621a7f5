"""For all tests: where CI is set, a skipped test is a failed one. Fixtures live nearer to their tests."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import settings

# How long an example takes is the machine's affair: no test fails for being slow.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

R = TypeVar("R", pytest.TestReport, pytest.CollectReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    databases = ("sqlite", "postgresql")
    parser.addoption("--database", choices=databases, default="sqlite", help="where klucznik keeps its rows")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _not_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _not_skipped((yield))


def _not_skipped(report: R) -> R:
    expected_to_fail = hasattr(report, "wasxfail")
    if report.skipped and os.environ.get("CI") and not expected_to_fail:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report

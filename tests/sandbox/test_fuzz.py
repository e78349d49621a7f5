"""Thousands of requests made from the official specification, seeded: every answer is one that it allows."""

import pytest
from tests.fuzzing import Report, print_report
from tests.sandbox.fuzz import OPERATIONS, SEASONS, Season, run

CASES = 5_000


@pytest.mark.parametrize("season", SEASONS, ids=lambda season: season.name)
def test_no_answer_is_outside_the_specification(season: Season, capsys: pytest.CaptureFixture[str]) -> None:
    report = run(season, cases=CASES // len(SEASONS), seed=1)
    print_report(report)
    assert report.violations == {}, capsys.readouterr().out
    assert report.cases >= CASES // len(SEASONS)
    assert len(report.by_operation) == OPERATIONS
    assert not any(status >= 500 for status in report.statuses)
    for status in season.shows:
        assert report.statuses[status], f"no {status} was seen, so less was tried than meant"


def test_what_is_wrong_is_shown_with_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(violations={("GET /tokens", "undocumented status"): "undocumented status: 299\ncurl …"})
    print_report(report + Report(cases=1))
    assert "VIOLATION in GET /tokens\nundocumented status: 299\ncurl …" in capsys.readouterr().out

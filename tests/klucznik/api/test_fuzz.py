"""A few requests to each route, made by schemathesis: no 500, nothing that the description does not tell of."""

from tests.fuzzing import print_report
from tests.klucznik.api.fuzz import run


def test_the_api_answers_as_its_description_says_whatever_it_is_asked() -> None:
    report = run(cases=250, seed=1)
    print_report(report)
    assert report.cases >= 220
    assert not report.violations
    assert {200, 201, 204, 401, 403, 404, 409, 412, 422} <= set(report.statuses)

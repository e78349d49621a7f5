"""The whole official specification: each operation is served as it says, or refused as not played; nothing else is."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.sandbox.driver import Driver
from tests.sandbox.spec import specification

from ksef_sandbox.limits import PRODUCTION_RATES
from ksef_sandbox.routes.all import ROUTES

NOT_PLAYED = re.compile(r"/(?:sessions|invoices|peppol|collective-identifiers)(?:/|$)")
METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in specification()["paths"].items():
        for method in METHODS & methods.keys():
            yield method.upper(), path, methods[method]


def in_scope() -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): operation for method, path, operation in operations() if not NOT_PLAYED.match(path)}


def served() -> dict[tuple[str, str], Any]:
    return {(route.method, route.path): route for route in ROUTES if route.handler is not None}


def test_every_operation_in_scope_is_served_and_nothing_that_ksef_does_not_have() -> None:
    assert served().keys() == in_scope().keys()
    assert len(served()) == 61


def test_every_other_operation_is_known_as_not_played() -> None:
    others = {(method, path) for method, path, _ in operations() if NOT_PLAYED.match(path)}
    assert {(route.method, route.path) for route in ROUTES if route.handler is None} == others


def test_no_operation_is_hidden_by_another_and_none_is_unknown(driver: Driver) -> None:
    for method, path, _ in operations():
        response = driver.http.request(method, re.sub(r"\{[^}]+\}", "20260101-XX-0000000000-0000000000-00", path))
        assert response.status_code not in {404, 405}, (method, path)
        assert (response.status_code == 501) == bool(NOT_PLAYED.match(path)), (method, path)


def test_what_is_not_played_is_said_with_what_is_and_before_anything_is_asked(driver: Driver) -> None:
    for method, path in (("POST", "/sessions/online"), ("GET", "/invoices/ksef/1"), ("GET", "/peppol/query")):
        response = driver.http.request(method, path, content=b"x" * 100)
        assert (response.status_code, response.headers["Content-Type"]) == (501, "application/problem+json")
        assert "does not send, find or export invoices" in response.json()["detail"]
        assert "sign-in, certificates, limits, permissions, KSeF tokens and test data" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/nothing", "/sessions/a/b/c/d/e", "/certificates", "/auth/challenge/"])
def test_what_ksef_does_not_have_either_is_not_found(driver: Driver, path: str) -> None:
    assert driver.http.get(path).status_code == 404


def test_every_route_asks_for_a_token_where_the_specification_does() -> None:
    for key, operation in in_scope().items():
        assert bool(served()[key].tokens) == bool(operation.get("security")), key


def test_every_route_is_counted_as_the_specification_says() -> None:
    other = PRODUCTION_RATES["other"]
    by_context = {"perSecond": other.per_second, "perMinute": other.per_minute, "perHour": other.per_hour}
    for key, operation in in_scope().items():
        expected = {"other": by_context, None: {"perSecond": 60}}[served()[key].rate_group]
        assert operation["x-rate-limits"] == expected, key

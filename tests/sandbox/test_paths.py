"""A path finds its routes: spelled out, with one open segment, or not at all."""

import re
import subprocess
import sys

import pytest

from ksef_sandbox.paths import Paths
from ksef_sandbox.pipeline import Route
from ksef_sandbox.routes.all import ROUTES

PATHS = Paths(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_found_at_its_path(route: Route) -> None:
    names = re.findall(r"{(\w+)}", route.path)
    found = PATHS.find(re.sub(r"{(\w+)}", r"a value of: \1", route.path))
    assert found.by_method[route.method] is route
    assert found.parameters == {name: f"a value of: {name}" for name in names}


def test_a_path_spelled_out_goes_before_an_open_segment() -> None:
    assert set(PATHS.find("/auth/challenge").by_method) == {"POST"}
    assert set(PATHS.find("/auth/20260101-AU-1234567890-1234567890-12").by_method) == {"GET"}


def test_a_wrong_turn_at_a_segment_spelled_out_is_taken_back() -> None:
    found = PATHS.find("/sessions/online/upo/batch")
    assert found.parameters == {"referenceNumber": "online", "upoReferenceNumber": "batch"}


@pytest.mark.parametrize(
    "path", ["", "/", "/auth", "/auth/", "/auth/x/y", "/certificates//revoke", "/sessions//invoices"]
)
def test_a_strange_path_has_no_routes(path: str) -> None:
    found = PATHS.find(path)
    assert not found.by_method
    assert not found.parameters


def test_a_sandbox_starts_without_loading_what_only_its_management_face_needs() -> None:
    code = "import sys; import ksef_sandbox.embedded, ksef_sandbox.cli; print('fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"

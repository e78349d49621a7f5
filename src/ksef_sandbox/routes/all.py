"""Every operation of KSeF that the sandbox plays, as a whole.
What each does is in the module of its area.
"""

from ksef_sandbox.pipeline import Route
from ksef_sandbox.routes import (
    auth,
    certificates,
    elsewhere,
    limits,
    permission_queries,
    permissions,
    testdata,
    tokens,
)

ROUTES: tuple[Route, ...] = (
    *auth.ROUTES,
    *tokens.ROUTES,
    *certificates.ROUTES,
    *limits.ROUTES,
    *permissions.ROUTES,
    *permission_queries.ROUTES,
    *testdata.ROUTES,
    *elsewhere.ROUTES,
)
OPERATIONS = tuple((route.method, route.path) for route in ROUTES if route.handler)  # those that are played

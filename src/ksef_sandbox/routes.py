"""Every operation of KSeF that the sandbox plays, as a whole.
What each does is in the `routes_*` modules.
"""

from ksef_sandbox import (
    routes_auth,
    routes_certificates,
    routes_elsewhere,
    routes_limits,
    routes_permission_queries,
    routes_permissions,
    routes_testdata,
    routes_tokens,
)
from ksef_sandbox.pipeline import Route

ROUTES: tuple[Route, ...] = (
    *routes_auth.ROUTES,
    *routes_tokens.ROUTES,
    *routes_certificates.ROUTES,
    *routes_limits.ROUTES,
    *routes_permissions.ROUTES,
    *routes_permission_queries.ROUTES,
    *routes_testdata.ROUTES,
    *routes_elsewhere.ROUTES,
)
OPERATIONS = tuple((route.method, route.path) for route in ROUTES if route.handler)  # those that are played

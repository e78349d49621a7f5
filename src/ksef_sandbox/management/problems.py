"""Refusals of the management face: a title, a status and one sentence that helps.
KSeF's own errors are `errors.py`.
"""

from http import HTTPStatus

from starlette.responses import Response

from ksef_sandbox.wire import json_bytes


def problem(status: int, sentence: str) -> Response:
    """A problem document (RFC 9457)."""
    body = json_bytes({"title": HTTPStatus(status).phrase, "status": status, "detail": sentence})
    return Response(body, status, media_type="application/problem+json")

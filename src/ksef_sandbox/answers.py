"""Making HTTP answers of values: JSON with a status, or an empty body.
Refusals are made in `errors.py`, what is in an answer in the modules of `routes/`.
"""

from starlette.responses import Response

from ksef_sandbox.records import Status
from ksef_sandbox.wire import JsonValue, json_bytes


def json_answer(value: JsonValue, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(json_bytes(value), status, media_type="application/json")


def empty_answer(status: int = 200) -> Response:
    """An answer without a body: 200 of test data, 204 of revocations."""
    return Response(status_code=status)


def status_value(status: Status) -> JsonValue:
    """The `status` object of an asynchronous operation; details only where there are any."""
    details: dict[str, JsonValue] = {"details": list(status.details)} if status.details else {}
    return {"code": status.code, "description": status.description, **details}

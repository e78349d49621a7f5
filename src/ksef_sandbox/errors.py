"""Every refusal the sandbox can answer with, and how each looks on the wire (facts.md §1.3).
Raised by any module, rendered in one place (`pipeline.py`); the texts of codes are in `codes.py`.

    KsefError
    ├── BadRequest            400  one code of `codes.py`, legacy body or problem details
    │   └── InvalidInput      400  code 21405 with one sentence per broken rule
    ├── Unauthorized          401  always problem details
    ├── Forbidden             403  always problem details, with a reason code
    ├── Gone                  410  always problem details
    ├── TooManyRequests       429  legacy body or problem details, with Retry-After
    ├── HttpProblem           404, 405, 413, 415, 501 and the like: outside KSeF's own codes
    ├── Unexpected            500  legacy body
    ├── BareForbidden         403  without a body, as was once seen
    └── GatewayFailure        502, 504: the page of a gateway in front of KSeF
"""

from dataclasses import dataclass
from http import HTTPStatus

from ksef_sandbox.codes import DESCRIPTIONS
from ksef_sandbox.wire import JsonValue, json_bytes

PROBLEM_JSON = "application/problem+json"
PLAIN_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """What an error body says besides the error: where it happened, when, and how to find it again."""

    instance: str  # the path as called, e.g. "/v2/certificates/limits"
    timestamp: str  # ISO 8601 with offset
    trace_id: str  # 32 lower-case hex digits
    span_id: str  # 16 lower-case hex digits
    problem_details: bool  # the client asked for `X-Error-Format: problem-details`


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """A refusal ready to be sent."""

    status: int
    media_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class KsefError(Exception):
    """Root of everything the sandbox refuses on purpose."""

    status = 500

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        """Return the answer KSeF would give."""
        raise NotImplementedError

    def _problem(self, frame: ErrorFrame, detail: str, **extra: JsonValue) -> bytes:
        body: dict[str, JsonValue] = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "instance": frame.instance,
            "detail": detail,
            **extra,
            "timestamp": frame.timestamp,
            "traceId": frame.trace_id,
        }
        return json_bytes(body)


class BadRequest(KsefError):
    """HTTP 400 with one of KSeF's codes; `details` are free sentences shown to the client."""

    status = 400

    def __init__(self, code: int, *details: str) -> None:
        super().__init__(f"{code} {DESCRIPTIONS[code]} {' '.join(details)}".rstrip())
        self.code = code
        self.description = DESCRIPTIONS[code]
        self.details = details

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        details: dict[str, JsonValue] = {"details": list(self.details)} if self.details else {}
        if frame.problem_details:
            error: JsonValue = {"code": self.code, "description": self.description, **details}
            body = self._problem(frame, "Żądanie jest nieprawidłowe.", errors=[error])
            return ErrorAnswer(self.status, PROBLEM_JSON, body)
        entry: JsonValue = {"exceptionCode": self.code, "exceptionDescription": self.description, **details}
        return ErrorAnswer(self.status, PLAIN_JSON, _legacy([entry], frame))


class InvalidInput(BadRequest):
    """21405: the input breaks its rules; one English sentence for each rule."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(21405, *sentences)


class Unauthorized(KsefError):
    """401: no token, an unreadable, expired or wrong kind of token."""

    status = 401

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        body = self._problem(frame, "Wymagane jest uwierzytelnienie.")
        return ErrorAnswer(self.status, PROBLEM_JSON, body, (("WWW-Authenticate", "Bearer"),))


_FORBIDDEN_DETAILS = {
    "missing-permissions": "Brak wymaganych uprawnień do wykonania operacji w bieżącym kontekście.",
    "ip-not-allowed": "Adres IP klienta nie znajduje się na liście dozwolonych adresów.",
    "insufficient-resource-access": "Brak dostępu do wskazanego zasobu.",
    "auth-method-not-allowed": "Operacja nie jest dostępna dla użytego sposobu uwierzytelnienia.",
    "security-service-blocked": "Żądanie zostało zablokowane ze względów bezpieczeństwa.",
    "context-type-not-allowed": "Operacja nie jest dostępna dla bieżącego typu kontekstu.",
}


class Forbidden(KsefError):
    """403: `reason_code` of the spec's ForbiddenProblemDetails, `security` in camelCase as the code asks for."""

    status = 403

    def __init__(self, reason_code: str, **security: JsonValue) -> None:
        super().__init__(reason_code)
        self.reason_code = reason_code
        self.detail = _FORBIDDEN_DETAILS[reason_code]
        self.security = security

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        security: dict[str, JsonValue] = {"security": dict(self.security)} if self.security else {}
        body = self._problem(frame, self.detail, reasonCode=self.reason_code, **security)
        return ErrorAnswer(self.status, PROBLEM_JSON, body)


class Gone(KsefError):
    """410: the status was kept for its retention and is no longer there (facts.md §1.5)."""

    status = 410

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        body = self._problem(frame, "Operacja wygasła i nie jest już dostępna.")
        return ErrorAnswer(self.status, PROBLEM_JSON, body)


class TooManyRequests(KsefError):
    """429: `retry_after_s` whole seconds to wait, `detail` the Polish sentence that names the broken limit."""

    status = 429

    def __init__(self, retry_after_s: int, detail: str) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.detail = detail

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        headers = (("Retry-After", str(self.retry_after_s)),)
        if frame.problem_details:
            return ErrorAnswer(self.status, PROBLEM_JSON, self._problem(frame, self.detail), headers)
        status: JsonValue = {"code": 429, "description": "Too Many Requests", "details": [self.detail]}
        return ErrorAnswer(self.status, PLAIN_JSON, json_bytes({"status": status}), headers)


class HttpProblem(KsefError):
    """A refusal of HTTP itself (unknown path, wrong method, wrong media type): no KSeF code exists for it."""

    def __init__(self, status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        return ErrorAnswer(self.status, PROBLEM_JSON, self._problem(frame, self.detail), self.headers)


class Unexpected(KsefError):
    """500 in KSeF's legacy form (facts.md §1.3); what a fault of the sandbox itself looks like to a client."""

    status = 500

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        entry: JsonValue = {"exceptionCode": 500, "exceptionDescription": DESCRIPTIONS[500]}
        return ErrorAnswer(self.status, PLAIN_JSON, _legacy([entry], frame))


class BareForbidden(KsefError):
    """403 with an empty body, seen in October 2025 (facts.md §1.3)."""

    status = 403

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        return ErrorAnswer(self.status, "text/plain", b"")


class GatewayFailure(KsefError):
    """502 or 504 from what stands in front of KSeF: a page for people, no JSON (facts.md §1.1)."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status

    def render(self, frame: ErrorFrame) -> ErrorAnswer:
        phrase = HTTPStatus(self.status).phrase
        page = (
            f"<html><head><title>{self.status} {phrase}</title></head><body><center><h1>{self.status} {phrase}</h1>"
            f"</center><hr><center>sandbox gateway</center><p>Reference: {frame.trace_id}</p></body></html>\n"
        )
        return ErrorAnswer(self.status, "text/html", page.encode())


def _legacy(entries: list[JsonValue], frame: ErrorFrame) -> bytes:
    """The deprecated ExceptionResponse, with the fields real answers carry and no others."""
    return json_bytes(
        {
            "exception": {
                "exceptionDetailList": entries,
                "serviceCode": f"00-{frame.trace_id}-{frame.span_id}-00",
                "timestamp": frame.timestamp.replace("+00:00", "Z"),
            }
        }
    )

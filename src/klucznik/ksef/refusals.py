"""KSeF's error answers, in both of its formats, as errors of ours (facts.md §1.3). Nothing here sends or waits.

Bodies may be empty, cut or foreign (a proxy's HTML): then the HTTP status alone is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from klucznik.clock import Clock
from klucznik.errors import KsefRefused, RateLimited
from klucznik.ksef.fields import Fields, Unreadable, parse_json, plain

# KSeF's longest window of one call's block that is known to open by itself (facts.md §1.4); used when a 429 names none.
RETRY_AFTER_UNTOLD = 60
_SECONDS = re.compile(r"\d{1,7}", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,59}", re.ASCII)
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,79}", re.ASCII)
_REASON_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+){0,9}", re.ASCII)
# What a 403 adds, under our names. They stand in the middle of our own sentences, so nothing but a name or a number
# is taken: a text of somebody else's making could say anything there.
_SECURITY_FACTS = {
    "requiredAnyOfPermissions": ("required_permissions", _NAME),
    "presentPermissions": ("present_permissions", _NAME),
    "clientIp": ("client_ip", _NUMBER),
    "authenticationMethodCategory": ("authentication_method", _NAME),
    "contextIdentifierType": ("context_type", _NAME),
    "incidentId": ("incident_id", _NUMBER),
}


@dataclass(frozen=True)
class Complaint:
    """What an error answer says, whichever format it came in.

    Attributes:
        code: KSeF's code; None where the format has none (401, 403, 410) or nothing could be read.
        reason_code: ``missing-permissions`` and the like, of a 403.
        facts: what a 403 adds to its reason, under our names.
    """

    code: int | None = None
    text: str = ""
    details: tuple[str, ...] = ()
    trace_id: str | None = None
    reason_code: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


def read_complaint(body: bytes) -> Complaint:
    """The complaint in an error answer; an empty one when the body is not KSeF's."""
    try:
        fields = Fields(parse_json(body))
    except Unreadable:
        return Complaint()
    for read in (_legacy, _legacy_status, _problem):
        try:
            return read(fields)
        except Unreadable:
            continue
    return Complaint()


def refusal(status: int, complaint: Complaint) -> KsefRefused:
    """The error for a 4xx answer that says no."""
    reason = {401: "ksef_unauthorized", 403: "ksef_forbidden", 410: "ksef_gone"}.get(status, "ksef_refused")
    return KsefRefused(
        reason,
        status=status,
        code=complaint.code,
        text=complaint.text,
        details=complaint.details,
        trace_id=complaint.trace_id,
        reason_code=complaint.reason_code,
        **complaint.facts,
    )


def rate_limited(header: str | None, *, route: str, clock: Clock) -> RateLimited:
    """The error for a 429, with KSeF's own waiting time."""
    now = clock.now()
    seconds = retry_after(header, now)
    seconds = RETRY_AFTER_UNTOLD if seconds is None else seconds
    return RateLimited(retry_after=seconds, until=now + timedelta(seconds=seconds), route=route)


def retry_after(header: str | None, now: datetime) -> int | None:
    """Seconds of a ``Retry-After`` header, given as seconds or as an HTTP date; None when absent or malformed."""
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return int(text)
    try:
        until = parsedate_to_datetime(text)
        # A date without a zone is GMT by the standard; a part of a second still has to be waited for.
        until = until.replace(tzinfo=now.tzinfo) if until.tzinfo is None else until
        return max(0, math.ceil((until - now).total_seconds()))
    except (ValueError, OverflowError):
        return None


def _problem(fields: Fields) -> Complaint:
    """Problem details: always for 401, 403, 410, and for 400 and 429 because we ask for it."""
    detail = plain(fields.maybe_text("detail") or fields.maybe_text("title") or "")
    trace_id = _trace(fields.maybe_text("traceId"))
    errors = fields.each("errors") if fields.has("errors") else []
    if not errors:
        reason_code = fields.maybe_text("reasonCode") or ""
        known = reason_code if len(reason_code) <= 60 and _REASON_CODE.fullmatch(reason_code) else None
        return Complaint(None, detail, (), trace_id, known, _security(fields))
    return _of_several([(e.integer("code"), e.maybe_text("description"), e.texts("details")) for e in errors], trace_id)


def _legacy(fields: Fields) -> Complaint:
    """``ExceptionResponse``, the older format; a body in it may still come where problem details were asked for."""
    exception = fields.inner("exception")
    errors = exception.each("exceptionDetailList")
    return _of_several(
        [(e.integer("exceptionCode"), e.maybe_text("exceptionDescription"), e.texts("details")) for e in errors],
        _trace(exception.maybe_text("serviceCode")),
    )


def _legacy_status(fields: Fields) -> Complaint:
    """The older format of a 429."""
    status = fields.inner("status")
    return Complaint(status.integer("code"), plain(status.maybe_text("description") or ""), status.texts("details"))


def _of_several(errors: list[tuple[int, str | None, tuple[str, ...]]], trace_id: str | None) -> Complaint:
    """The first error leads; what the others say follows as details."""
    if not errors:
        raise Unreadable("errors")
    (code, text, details), *others = errors
    more = tuple(" ".join((str(c), plain(t or ""), *d)).strip() for c, t, d in others[:10])
    return Complaint(code, plain(text or ""), details + more, trace_id)


def _security(fields: Fields) -> dict[str, str]:
    """What a 403 adds: permissions, address, method; several joined with commas."""
    try:
        security = fields.inner("security")
    except Unreadable:
        return {}
    found = {ours: security.named(theirs, shape) for theirs, (ours, shape) in _SECURITY_FACTS.items()}
    return {ours: ", ".join(values) for ours, values in found.items() if values is not None}


def _trace(text: str | None) -> str | None:
    return plain(text, longest=100) if text else None

"""A refusal: its data, and for each part the sentence for people."""

from __future__ import annotations

from klucznik.domain.preflight import Refusal
from klucznik.domain.remedies import Remedy
from klucznik.domain.renewal_window import Estimate
from klucznik.messages.catalogue import Words
from klucznik.messages.refusal import cause_text, reason_text, remedy_text
from klucznik.views.parts import Json, limits, moment, subject


def refusal(value: Refusal, words: Words) -> dict[str, Json]:
    """A refusal: its data, and for each part the sentence for people."""
    return {
        "outcome": "refused",
        "subject": subject(value.subject),
        "limits": limits(value.limits),
        "needed": value.needed,
        "requests_filed": value.filed,
        "reasons": [
            {
                "code": finding.code.value,
                "needed": finding.needed,
                "remaining": finding.remaining,
                "limit": finding.limit,
                "text": reason_text(finding, words),
            }
            for finding in value.reasons
        ],
        "causes": [
            {"code": cause.code.value, "count": cause.count, "text": cause_text(cause, value.limits, words)}
            for cause in value.causes
        ],
        "remedies": [_remedy(remedy, words) for remedy in value.remedies],
    }


def _remedy(value: Remedy, words: Words) -> Json:
    return {
        "kind": value.kind.value,
        "frees_requests": value.frees_requests,
        "frees_certificates": value.frees_certificates,
        "serial_numbers": list(value.serial_numbers),
        "estimate": None if value.estimate is None else _estimate(value.estimate),
        "text": remedy_text(value, words),
    }


def _estimate(value: Estimate) -> Json:
    return {
        "earliest": moment(value.earliest),
        "latest": moment(value.latest),
        "known": value.known,
        "counted": value.counted,
        "complete": value.complete,
    }

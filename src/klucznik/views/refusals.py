"""A refusal: its data, and for each part the sentence for people."""

from __future__ import annotations

from klucznik.domain.preflight import Refusal
from klucznik.domain.remedies import About, Evidence, Remedy
from klucznik.domain.renewal_window import Estimate
from klucznik.messages.catalogue import Words
from klucznik.messages.refusal import cause_text, effect_text, reason_text, remedy_text, remedy_title, risk_text
from klucznik.services.preflight import Lookout
from klucznik.views.parts import Json, context, limits, moment, subject


def refusal(value: Refusal, words: Words) -> dict[str, Json]:
    """A refusal: its data, and for each part the sentence for people."""
    return {
        "outcome": "refused",
        "subject": subject(value.subject),
        "context": context(value.context),
        "limits": limits(value.limits),
        "needed": value.needed,
        "requests_filed": value.filed,
        "reasons": [
            {
                "code": finding.code.value,
                "needed": finding.needed,
                "remaining": finding.remaining,
                "limit": finding.limit,
                "reserved": finding.reserved,
                "text": reason_text(finding, words),
            }
            for finding in value.reasons
        ],
        "causes": [
            {"code": cause.code.value, "count": cause.count, "text": cause_text(cause, value.limits, words)}
            for cause in value.causes
        ],
        "remedies": [_remedy(remedy, value, words) for remedy in value.remedies],
    }


def lookout(value: Lookout, words: Words) -> dict[str, Json]:
    """What an issuance would meet now."""
    if value.refusal is not None:
        return refusal(value.refusal, words)
    return {
        "outcome": "go" if value.needed else "already_held",
        "subject": subject(value.subject),
        "context": context(value.context),
        "limits": limits(value.limits),
        "needed": value.needed,
        "requests_filed": 0,
        "reasons": [],
        "causes": [],
        "remedies": [],
    }


def _remedy(value: Remedy, refused: Refusal, words: Words) -> Json:
    return {
        "kind": value.kind.value,
        "task": value.task.value,
        "here": value.here,
        "suffices": value.suffices,
        "after": None if value.after is None else value.after.value,
        "spends": value.spends,
        "frees_requests": value.frees_requests,
        "frees_certificates": value.frees_certificates,
        "certificates": [_about(about) for about in value.certificates],
        "suggested": [about.record.serial_number for about in value.suggested_certificates],
        "risks": [{"code": risk.value, "text": risk_text(risk, words)} for risk in value.risks],
        "evidence": [_evidence(one) for one in value.evidence],
        "estimate": None if value.estimate is None else _estimate(value.estimate),
        "title": remedy_title(value, words),
        "effect": effect_text(value, words),
        "text": remedy_text(value, refused.subject, words),
    }


def _about(value: About) -> Json:
    record = value.record
    return {
        "serial": record.serial_number,
        "type": record.type.value,
        "name": record.name,
        "requested_at": moment(record.requested_at),
        "last_used_at": moment(record.last_used_at),
        "valid_to": moment(record.valid_to),
        "superseded": value.superseded,
        "key_in_vault": value.key_here,
    }


def _evidence(value: Evidence) -> Json:
    return {"source": value.source.value, "number": value.number, "at": moment(value.at)}


def _estimate(value: Estimate) -> Json:
    return {
        "earliest": moment(value.earliest),
        "latest": moment(value.latest),
        "known": value.known,
        "counted": value.counted,
        "complete": value.complete,
        "by_rule": {rule.value: moment(day) for rule, day in value.by_rule},
    }

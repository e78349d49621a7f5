"""Outcomes as plain data with stable names, for ``--json`` and the API.

Moments are ISO 8601 in UTC; words for people stand beside the data, never instead of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.issuance import Enrollment, Issuance
from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.preflight import Refusal
from klucznik.domain.remedies import Remedy
from klucznik.domain.renewal_window import Estimate
from klucznik.messages.catalogue import Words
from klucznik.messages.refusal import cause_text, reason_text, remedy_text
from klucznik.services.audit import Verified
from klucznik.services.backup import Restored
from klucznik.services.cancel import Cancelled
from klucznik.services.certificates import SubjectCertificates
from klucznik.services.export import Exported
from klucznik.services.issue import AlreadyHeld, Issued, WaitingForLimits
from klucznik.services.limits import SubjectLimits
from klucznik.services.restored import Compared
from klucznik.services.revoke import Revoked
from klucznik.services.status import IssuanceStatus

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"


def moment(value: datetime | None) -> str | None:
    """``2026-11-23T14:05:00Z``."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def subject(value: Subject) -> Json:
    return {"type": value.type.value, "value": value.value}


def context(value: Context) -> Json:
    return {"type": value.type.value, "value": value.value}


def limits(value: Limits) -> Json:
    return {
        "enrollment": _allowance(value.enrollment),
        "certificate": _allowance(value.certificate),
        "can_request": value.can_request,
    }


def _allowance(value: Allowance) -> Json:
    return {"remaining": value.remaining, "limit": value.limit}


def subject_limits(value: SubjectLimits) -> Json:
    return {
        "outcome": "limits",
        "subject": subject(value.subject),
        "context": context(value.context),
        "limits": limits(value.limits),
    }


def ordered(issuance: Issuance) -> Json:
    """An order that is left to a worker."""
    return {"outcome": "ordered", "issuance": _issuance(issuance)}


def issuances(found: Sequence[IssuanceStatus]) -> Json:
    """Issuances with their requests, newest first."""
    return {
        "outcome": "issuances",
        "issuances": [
            {
                **_issuance(one.issuance),
                "requests_spent": one.spent,
                "requests": [_enrollment(row) for row in one.enrollments],
            }
            for one in found
        ],
    }


def cancelled(done: Cancelled) -> Json:
    return {
        "outcome": "cancelled",
        "issuance": _issuance(done.issuance),
        "requests_spent": done.spent,
        "requests_saved": done.saved,
    }


def _issuance(value: Issuance) -> dict[str, Json]:
    wait = None if value.state.ended else value.wait
    return {
        "id": value.id,
        "context": context(value.context),
        "subject": subject(value.subject),
        "state": value.state.value,
        "missing": [kind.value for kind in value.missing],
        "waits_for": None if wait is None else wait.kind.value,
        "waits_until": None if wait is None else moment(wait.until),
        "reason": None if wait is None else wait.reason,
        "cancelled": value.cancelled_at is not None,
        "created_at": moment(value.created_at),
    }


def _enrollment(row: Enrollment) -> Json:
    failure = row.failure
    return {
        "type": row.type.value,
        "name": row.name,
        "state": row.state.value,
        "reference": row.reference_number,
        "serial": row.certificate_serial_number,
        "failure": None
        if failure is None
        else {"code": failure.code, "text": failure.text, "details": failure.details, "reason": failure.reason},
    }


def waiting_for_limits(value: WaitingForLimits, words: Words) -> Json:
    """An order that waits for limits: the refusal, and when it is looked at again."""
    issuance = value.issuance
    until = issuance.wait.until if issuance.wait else None
    return {
        **refusal(value.refusal, words),
        "outcome": "waiting_for_limits",
        "issuance": issuance.id,
        "looked_at_again": moment(until),
        "given_up": moment(issuance.limits_until),
    }


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


def certificate(value: HeldCertificate) -> dict[str, Json]:
    return {
        "type": value.type.value,
        "serial": value.serial_number,
        "name": value.name,
        "valid_from": moment(value.valid_from),
        "valid_to": moment(value.valid_to),
        "verified": value.verified_at is not None,
    }


def issued(value: Issued) -> Json:
    proofs = {proof.serial_number: proof for proof in value.proofs}
    certificates: list[Json] = []
    for held in value.certificates:
        shown = certificate(held)
        if proof := proofs.get(held.serial_number):
            shown["proof"] = {"login_reference": proof.reference_number, "kod2_link": proof.link}
        certificates.append(shown)
    return {
        "outcome": "issued",
        "subject": subject(value.subject),
        "context": context(value.context),
        "certificates": certificates,
        "limits_before": limits(value.limits_before),
        "limits_after": limits(value.limits_after),
    }


def already_held(value: AlreadyHeld) -> Json:
    return {
        "outcome": "already_held",
        "subject": subject(value.subject),
        "context": context(value.context),
        "certificates": [certificate(held) for held in value.certificates],
    }


def vault(held: list[HeldCertificate]) -> Json:
    """What the vault holds."""
    return {
        "outcome": "certificates",
        "source": "vault",
        "certificates": [
            {
                **certificate(one),
                "subject": subject(one.subject),
                "origin": one.origin.value,
                "revoked_at": moment(one.revoked_at),
            }
            for one in held
        ],
    }


def listed(value: SubjectCertificates) -> Json:
    """What KSeF lists."""
    return {
        "outcome": "certificates",
        "source": "ksef",
        "subject": subject(value.subject),
        "certificates": [
            {
                "type": one.record.type.value,
                "serial": one.record.serial_number,
                "name": one.record.name,
                "status": one.record.status.value,
                "valid_from": moment(one.record.valid_from),
                "valid_to": moment(one.record.valid_to),
                "requested_at": moment(one.record.requested_at),
                "last_used_at": moment(one.record.last_used_at),
                "key_in_vault": one.held,
            }
            for one in value.certificates
        ],
    }


def revoked(value: Revoked) -> Json:
    return {
        "outcome": "revoked",
        "serial": value.record.serial_number,
        "type": value.record.type.value,
        "name": value.record.name,
        "key_in_vault": value.was_held,
    }


def exported(files: list[Exported]) -> Json:
    return {
        "outcome": "exported",
        "certificates": [{**certificate(one.certificate), "files": [str(file) for file in one.files]} for one in files],
    }


def imported(value: HeldCertificate) -> Json:
    return {"outcome": "imported", "subject": subject(value.subject), "certificate": certificate(value)}


def test_credential(whose: Subject, certificate_file: Path, key_file: Path) -> Json:
    return {
        "outcome": "test_credential",
        "subject": subject(whose),
        "certificate_file": str(certificate_file),
        "key_file": str(key_file),
    }


def audit_verified(found: Verified) -> Json:
    return {
        "outcome": "audit_broken" if found.broken else "audit_whole",
        "chains": found.chains,
        "rows": found.rows,
        "compared": found.compared,
        "broken": [{"chain": one.chain, "number": one.number, "flaw": one.flaw.value} for one in found.broken],
    }


def restored(done: Restored) -> Json:
    return {
        "outcome": "restored",
        "backup_made_at": moment(done.made_at),
        "certificates": done.certificates,
        "issuances": done.issuances,
        "certificates_lost": done.lost,
    }


def compared(found: Compared) -> Json:
    return {
        "outcome": "compared",
        "subject": subject(found.subject),
        "since": moment(found.since),
        "adopted": list(found.adopted),
        "revoked": list(found.revoked),
        "keys_gone": [
            {"serial": one.serial_number, "name": one.name, "type": one.type.value, "status": one.status.value}
            for one in found.gone
        ],
    }

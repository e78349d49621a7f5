"""Issuances: how they came out, and where those stand that have not ended."""

from __future__ import annotations

from collections.abc import Sequence

from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.issuance import Enrollment, Issuance, IssuanceState
from klucznik.domain.preflight import Refusal
from klucznik.messages.catalogue import Words
from klucznik.services.cancel import Cancelled
from klucznik.services.outcomes import AlreadyHeld, Issued, Outcome, WaitingForLimits
from klucznik.services.status import IssuanceStatus
from klucznik.views.parts import Json, certificate, context, limits, moment, subject
from klucznik.views.refusals import refusal

# How an order is called by where its issuance stands.
_OUTCOMES = {
    IssuanceState.PLANNED: "ordered",
    IssuanceState.UNDERWAY: "ordered",
    IssuanceState.DONE: "issued",
    IssuanceState.REFUSED: "refused",
    IssuanceState.REJECTED: "rejected",
    IssuanceState.CANCELLED: "cancelled",
}


def outcome(value: Outcome | Issuance, words: Words) -> Json:
    """How an issuance came out, or (an `Issuance`) that it is left to a worker."""
    if isinstance(value, Issuance):
        return ordered(value)
    if isinstance(value, Refusal):
        return refusal(value, words)
    if isinstance(value, WaitingForLimits):
        return waiting_for_limits(value, words)
    if isinstance(value, AlreadyHeld):
        return already_held(value)
    return issued(value)


def ordered(value: Issuance) -> Json:
    """An order that is left to a worker."""
    return {"outcome": "ordered", "issuance": issuance(value)}


def order(one: IssuanceStatus, held: Sequence[HeldCertificate]) -> Json:
    """An order as it stands now, with the certificates that have come of it."""
    return {"outcome": _OUTCOMES[one.issuance.state], "issuance": status(one), "certificates": _shown(held)}


def issuances(found: Sequence[IssuanceStatus]) -> Json:
    """Issuances with their requests, newest first."""
    return {
        "outcome": "issuances",
        "issuances": [status(one) for one in found],
    }


def status(one: IssuanceStatus) -> dict[str, Json]:
    """An issuance with its requests."""
    return {
        **issuance(one.issuance),
        "requests_spent": one.spent,
        "requests": [_enrollment(row) for row in one.enrollments],
    }


def detail(one: IssuanceStatus, held: Sequence[HeldCertificate]) -> Json:
    """An issuance with its requests and the certificates that have come of it."""
    return {**status(one), "certificates": _shown(held)}


def _shown(held: Sequence[HeldCertificate]) -> list[Json]:
    return [certificate(each) for each in held]


def cancelled(done: Cancelled) -> Json:
    return {"outcome": "cancelled", **cancellation(done)}


def cancellation(done: Cancelled) -> dict[str, Json]:
    """What calling it off has come to."""
    return {
        "issuance": issuance(done.issuance),
        "requests_spent": done.spent,
        "requests_saved": done.saved,
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


def issuance(value: Issuance) -> dict[str, Json]:
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

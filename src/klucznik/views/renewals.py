"""Renewals: what is planned, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence

from klucznik.domain.connections import Connection
from klucznik.domain.deployment import Deployment
from klucznik.domain.issuance import Issuance
from klucznik.messages.catalogue import Words
from klucznik.messages.errors import error_text
from klucznik.services.renewal.renew import Renewal, RenewalEnd
from klucznik.services.renewal.renew_many import Renewed
from klucznik.services.renewal.renewals import Standing
from klucznik.views.issuing import issuance
from klucznik.views.parts import Json, certificate, context, moment, subject
from klucznik.views.refusals import refusal


def planned(standings: Sequence[Standing]) -> Json:
    """What a renewal would do now, and when the others are due."""
    return {
        "outcome": "renewals_planned",
        "due": sum(bool(one.plan.due) for one in standings),
        "renewals": [_standing(one) for one in standings],
    }


def renewed(done: Sequence[Renewed], looked_at: int, words: Words) -> Json:
    """What became of each that was due or had something left to do."""
    return {
        "outcome": "renewals",
        "looked_at": looked_at,
        "renewed": sum(one.renewal is not None and one.renewal.end is RenewalEnd.RENEWED for one in done),
        "not_well": sum(not one.well for one in done),
        "renewals": [_renewed(one, words) for one in done],
    }


def ordered(found: Sequence[tuple[Standing, Issuance | None]]) -> Json:
    """What was ordered for whom."""
    return {
        "items": [
            {
                "subject": subject(one.subject),
                "due": [kind.value for kind in one.plan.due],
                "due_at": moment(one.plan.due_at),
                "last_possible": moment(one.plan.signs_in_until),
                "not_before": moment(one.not_before),
                "issuance": None if running is None else issuance(running),
            }
            for one, running in found
        ]
    }


def after_renewal(value: Connection) -> Json:
    """What a connection wants to happen after a renewal."""
    return {
        "outcome": "after_renewal",
        "context": context(value.context),
        "hook": value.deploy_hook,
        "revokes_superseded": value.revokes_superseded,
    }


def _standing(value: Standing) -> dict[str, Json]:
    plan = value.plan
    return {
        "subject": subject(value.subject),
        "companies": [context(one) for one in value.companies],
        "due": [kind.value for kind in plan.due],
        "due_at": moment(plan.due_at),
        "last_possible": moment(plan.signs_in_until),
        "not_before": moment(value.not_before),
        "running": None if value.running is None else value.running.id,
        "in_service": [certificate(one) for one in plan.in_service],
    }


def _renewed(value: Renewed, words: Words) -> Json:
    shown: dict[str, Json] = {"subject": subject(value.subject), "well": value.well, "renewal": None}
    if value.renewal is not None:
        shown["renewal"] = _renewal(value.renewal, words)
    shown["hooks"] = [_hook(hook) for after in value.after for hook in after.deployments]
    shown["revoked"] = [serial for after in value.after for serial in after.revoked]
    errors = [value.error, *(after.error for after in value.after)]
    shown["problems"] = [
        {"reason": error.reason, "message": error_text(error, words).what} for error in errors if error is not None
    ]
    return shown


def _renewal(value: Renewal, words: Words) -> Json:
    standing, done = value.standing, value.issuance
    text = None if value.error is None else error_text(value.error, words)
    return {
        "result": value.end.value,
        "companies": [context(one) for one in standing.companies],
        "issuance": None if done is None else done.id,
        "certificates": [certificate(one) for one in value.certificates],
        "replaced": [] if done is None else list(done.replaces or ()),
        "last_possible": moment(standing.plan.signs_in_until),
        "next_at": moment(value.next_at),
        "refusal": None if value.refusal is None else refusal(value.refusal, words),
        "reason": None if value.error is None else value.error.reason,
        "message": None if text is None else text.what,
        "what_now": None if text is None else text.now,
    }


def _hook(value: Deployment) -> Json:
    return {
        "hook": value.hook,
        "state": value.state.value,
        "attempts": value.attempts,
        "exit_code": value.exit_code,
        "next_run": moment(value.next_run()),
        "given_up": value.given_up,
    }

"""Onboardings: at which step, who has signed, what their limits are, and the refusal with its ways out."""

from __future__ import annotations

from collections.abc import Sequence

from klucznik.domain.connections import Connection
from klucznik.domain.onboarding import Onboarding
from klucznik.domain.permissions import Permission
from klucznik.domain.road_steps import RoadStep
from klucznik.domain.signature_requests import SignatureRequest
from klucznik.messages.catalogue import Words
from klucznik.services.grant import Grant
from klucznik.services.onboarding import HandedIn, Look, Progress
from klucznik.services.revoke import Revoked
from klucznik.views.issuing import status
from klucznik.views.parts import Json, certificate, context, limits, moment, subject
from klucznik.views.permissions import connection
from klucznik.views.refusals import refusal


def bare(value: Onboarding) -> dict[str, Json]:
    """An onboarding without its refusal."""
    return {
        "id": value.id,
        "context": context(value.context),
        "name": value.name,
        "state": value.state.value,
        "setback": None if value.setback is None else value.setback.value,
        "refused_code": value.refused_code,
        "checking_since": moment(value.checking_since),
        "under_way": None
        if value.under_way is None
        else {"act": value.under_way.act.value, "since": moment(value.under_way.since)},
        "signer": None if value.signer is None else value.signer.value,
        "method": None if value.method is None else value.method.value,
        "subject": None if value.subject is None else subject(value.subject),
        "signed_by_another": value.signed_by_another,
        "limits": None if value.limits is None else limits(value.limits),
        "limits_at": moment(value.limits_at),
        "issuance": value.issuance_id,
        "created_at": moment(value.created_at),
        "updated_at": moment(value.updated_at),
    }


def onboarding(value: Onboarding, words: Words) -> dict[str, Json]:
    return {**bare(value), "refusal": None if value.refusal is None else refusal(value.refusal, words)}


def document(value: SignatureRequest) -> dict[str, Json]:
    """What is to be signed, and until when."""
    return {"id": value.id, "expires_at": moment(value.expires_at), "document": value.document.decode()}


def handed_in(value: HandedIn, words: Words) -> dict[str, Json]:
    """Who has signed, and what KSeF might have refused all the same."""
    by = value.signed_by
    return {
        "onboarding": onboarding(value.onboarding, words),
        "signed_with": by.signed_with.value,
        "certificate": by.serial_number,
        "doubts": [one.value for one in by.doubts],
    }


def look(value: Look, words: Words) -> dict[str, Json]:
    return {
        "onboarding": onboarding(value.onboarding, words),
        "missing": [kind.value for kind in value.missing],
        "held": [certificate(one) for one in value.held],
        "reserved": value.reserved,
    }


def progress(value: Progress) -> dict[str, Json]:
    return {
        "state": value.onboarding.state.value,
        "setback": None if value.onboarding.setback is None else value.onboarding.setback.value,
        "issuance": None if value.issuance is None else status(value.issuance),
        "steps": [_step(one) for one in value.steps],
    }


def proposed_grant(value: Grant) -> dict[str, Json]:
    return {
        "context": context(value.context),
        "operator": {"nip": value.operator.nip, "name": value.operator.name},
        "permissions": [one.value for one in value.permissions],
        "delegable": value.delegable,
    }


def connected(
    value: Onboarding, there: Connection, words: Words, *, granted: Sequence[Permission] = ()
) -> dict[str, Json]:
    """By a permission: granted here, or elsewhere."""
    return {
        "onboarding": onboarding(value, words),
        "granted": [one.value for one in granted],
        "connection": connection(there),
    }


def revoked(value: Look, those: tuple[Revoked, ...], words: Words) -> dict[str, Json]:
    return {
        **look(value, words),
        "revoked": [one.record.serial_number for one in those],
        "sessions_ended": next((one.sessions_ended for one in those if one.sessions_ended is not None), None),
    }


def _step(value: RoadStep) -> Json:
    return {
        "kind": value.kind.value,
        "standing": value.standing.value,
        "type": None if value.type is None else value.type.value,
        "in_doubt": value.in_doubt,
    }

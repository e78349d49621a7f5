"""Invitations, and lists of companies with what has become of their lines."""

from __future__ import annotations

from datetime import datetime

from klucznik.domain.bulk_imports import BulkImport, ImportLine
from klucznik.domain.csv_import import Fault
from klucznik.domain.invitations import Invitation
from klucznik.domain.letters import Delivery
from klucznik.messages import Words
from klucznik.services.imports import Brought
from klucznik.views.parts import Json, moment


def invitation(value: Invitation, now: datetime, delivery: Delivery | None = None) -> dict[str, Json]:
    """Args: delivery: what has become of its letter; None: there is none."""
    return {
        "id": value.id,
        "nip": value.context.value,
        "name": value.name,
        "email": value.email,
        "language": value.language.value,
        "letter": None if delivery is None else _letter(delivery),
        "state": value.state(now).value,
        "created_at": moment(value.created_at),
        "expires_at": moment(value.expires_at),
        "opened_at": moment(value.opened_at),
        "done_at": moment(value.done_at),
        "revoked_at": moment(value.revoked_at),
    }


def invited(value: Invitation, link: str | None, now: datetime, delivery: Delivery | None = None) -> dict[str, Json]:
    """With its link, which is shown this once; None: it goes to the company alone."""
    return {**invitation(value, now, delivery), "link": link}


def _letter(value: Delivery) -> dict[str, Json]:
    return {
        "to": value.recipient,
        "state": value.state.value,
        "at": moment(value.at),
        "problem": value.problem,
    }


def bulk_import(value: BulkImport) -> dict[str, Json]:
    return {
        "id": value.id,
        "file_name": value.file_name,
        "state": value.state.value,
        "created_at": moment(value.created_at),
        "carried_out_at": moment(value.carried_out_at),
    }


def brought(value: Brought) -> dict[str, Json]:
    tally = value.tally
    return {
        **bulk_import(value.bulk_import),
        "lines": {
            "good": tally.good,
            "bad": tally.bad,
            "invited": tally.invited,
            "awaited": tally.awaited,
            "skipped": tally.skipped,
        },
    }


def line(value: ImportLine, words: Words) -> dict[str, Json]:
    one = value.line
    return {
        "number": one.number,
        "nip": one.nip,
        "name": one.name,
        "email": one.email,
        "method": None if one.method is None else one.method.value,
        "outcome": None if value.outcome is None else value.outcome.value,
        "faults": [_fault(fault, words) for fault in one.faults],
    }


def _fault(value: Fault, words: Words) -> Json:
    return {
        "column": None if value.column is None else value.column.value,
        "reason": value.reason,
        "detail": words.say(f"error.{value.reason}", **value.data),
    }

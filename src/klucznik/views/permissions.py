"""The operator, what it is granted, and whether it is let in."""

from __future__ import annotations

from collections.abc import Sequence

from klucznik.domain.connections import Connection
from klucznik.domain.permissions import INVOICING
from klucznik.messages.catalogue import Words
from klucznik.messages.errors import error_text
from klucznik.messages.permissions import client_letter, steps_by_hand
from klucznik.services.by_hand import Expected
from klucznik.services.connection_check import Verified
from klucznik.services.grant import Granted
from klucznik.services.operator import OperatorStatus
from klucznik.services.verify import Looked
from klucznik.services.withdraw import Withdrawn
from klucznik.views.parts import Json, context, moment, subject


def operator(value: OperatorStatus) -> Json:
    return {"outcome": "operator", **operator_status(value)}


def operator_status(value: OperatorStatus) -> dict[str, Json]:
    """Who the operator is, and what it signs in with."""
    return {
        "nip": value.operator.nip,
        "name": value.operator.name,
        "credentials": [
            {
                "source": one.source.value,
                "serial": one.serial_number,
                "name": one.common_name,
                "valid_to": moment(one.valid_to),
            }
            for one in value.credentials
        ],
    }


def granted(value: Granted, words: Words) -> Json:
    return {
        "outcome": "granted" if value.permissions else "already_granted",
        "context": context(value.context),
        "operator": subject(value.operator.subject),
        "granted": [one.value for one in value.permissions],
        "can_delegate": value.delegable,
        **_verified(value.verified, words),
    }


def withdrawn(value: Withdrawn) -> Json:
    return {
        "outcome": "withdrawn" if value.permissions else "nothing_to_withdraw",
        "context": context(value.context),
        "operator": subject(value.operator.subject),
        "withdrawn": [one.permission for one in value.permissions],
        "connection": None if value.connection is None else connection(value.connection),
    }


def expected(value: Expected, words: Words) -> Json:
    """A company that is asked to grant by hand, with the steps and the letter in both languages."""
    nip = value.connection.context.value
    return {
        "outcome": "grant_expected",
        "context": context(value.connection.context),
        "operator": subject(value.operator.subject),
        "steps": list(steps_by_hand(value.operator, words)),
        "letter": {language: client_letter(value.operator, nip, language) for language in ("pl", "en")},
        "connection": connection(value.connection),
    }


def verified(value: Verified, words: Words) -> Json:
    return {"outcome": "verified", **verification(value, words)}


def verification(value: Verified, words: Words) -> dict[str, Json]:
    """What a look at a connection has found."""
    return {"context": context(value.connection.context), **_verified(value, words)}


def verified_all(value: Sequence[Looked], words: Words) -> Json:
    return {
        "outcome": "verified_all",
        "connections": [
            {
                "context": context(one.connection.context),
                **(
                    {"connection": connection(one.connection), "error": _error(one, words)}
                    if one.verified is None
                    else {**_verified(one.verified, words), "error": None}
                ),
            }
            for one in value
        ],
    }


def connection(value: Connection) -> dict[str, Json]:
    return {
        "id": value.id,
        "context": context(value.context),
        "name": value.name,
        "method": value.method.value,
        "subject": None if value.subject is None else subject(value.subject),
        "health": value.health.value,
        "health_since": moment(value.health_since),
        "health_code": value.health_code,
        "checked_at": moment(value.checked_at),
        "revokes_superseded": value.revokes_superseded,
    }


def _verified(value: Verified, words: Words) -> dict[str, Json]:
    refused = value.refused
    return {
        "connection": connection(value.connection),
        "health_before": value.before.value,
        "permissions": None if value.permissions is None else list(value.permissions),
        "missing": [one.value for one in INVOICING if one in value.missing],
        "refused": None
        if refused is None
        else {"code": refused.code, "text": refused.text, "message": error_text(refused, words).what},
    }


def _error(value: Looked, words: Words) -> Json:
    error = value.error
    return None if error is None else {"reason": error.reason, "message": error_text(error, words).what}

"""Connections: for which company, by what, how well, and until when."""

from __future__ import annotations

from collections.abc import Sequence

from klucznik.domain.connections import Method
from klucznik.domain.token_sunset import TOKEN_SUNSET
from klucznik.services.connect import Connected
from klucznik.services.connections import ConnectionDetail, ConnectionStatus
from klucznik.views.parts import Json, certificate, context, moment
from klucznik.views.permissions import connection


def connections(value: Sequence[ConnectionStatus]) -> Json:
    return {"outcome": "connections", "connections": [status(one) for one in value]}


def one_connection(value: ConnectionDetail) -> Json:
    return {"outcome": "connection", "connection": detail(value)}


def connected(value: Connected) -> Json:
    token = value.token
    return {
        "outcome": "connected",
        "connection": detail(value.detail),
        "method_before": None if value.before is None else value.before.method.value,
        "token": None if token is None else {"reference": token.reference_number, "permissions": [*token.permissions]},
    }


def disconnected(value: ConnectionDetail) -> Json:
    return {"outcome": "disconnected", "connection": detail(value)}


def status(value: ConnectionStatus) -> dict[str, Json]:
    following = value.next_date
    return {
        **connection(value.connection),
        "certificates": [certificate(one) for one in value.certificates],
        "next_date": None if following is None else {"about": following.about.value, "at": moment(following.at)},
    }


def detail(value: ConnectionDetail) -> dict[str, Json]:
    by_token = value.status.connection.method is Method.TOKEN
    return {
        **status(value.status),
        "programs": [
            {"serial": one.certificate.serial_number, "programs": list(one.programs)}
            for one in value.held
            if one.programs
        ],
        "same_subject": [context(one.context) for one in value.others],
        "token_reference": value.token_reference,
        "token_last_day": TOKEN_SUNSET.last_day.isoformat() if by_token else None,
    }

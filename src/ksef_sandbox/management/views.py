"""What the management face shows of the world: subjects with their limits, certificates, permissions.
Nothing is changed here. Every list is paged by key: `next` of a page is `after` of the following one.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Response

from ksef_sandbox import enrollments, limits, rights
from ksef_sandbox.answers import json_answer
from ksef_sandbox.certificates import CertificateState, state_of
from ksef_sandbox.identity import ContextIdentifier, Identity, IdentityType
from ksef_sandbox.limits import Allowance, Spent
from ksef_sandbox.management.problems import problem
from ksef_sandbox.permission_records import Grant
from ksef_sandbox.records import Certificate, SignIn, identity_key
from ksef_sandbox.state import World
from ksef_sandbox.wire import JsonValue, optional_timestamp, timestamp

PAGE = 50
SHOWN_OF_ONE_SUBJECT = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

R = TypeVar("R")
Limit = Annotated[int, Query(ge=1, le=200)]


def add_routes(router: APIRouter, world: World) -> None:
    """Add the lists and the picture of one subject."""
    _subject_routes(router, world)
    _list_routes(router, world)


def _subject_routes(router: APIRouter, world: World) -> None:
    @router.get("/subjects")
    async def subjects(after: str = "", limit: Limit = PAGE) -> Response:
        now = _present(world)
        keys = world.identities.after(after, limit + 1)
        found = [_summary(world, _identity(key), now) for key in keys[:limit]]
        following = keys[limit - 1] if len(keys) > limit else None
        return json_answer({"subjects": found, "next": following, "total": len(world.identities)})

    @router.get("/subjects/{type}/{value}")
    async def subject(type: IdentityType, value: str) -> Response:
        identity = Identity(type, value)
        if identity_key(identity) not in world.identities:
            return problem(404, f"{type} {value} has not signed in yet and has no limits of its own.")
        return json_answer(_whole(world, identity, _present(world)))


def _list_routes(router: APIRouter, world: World) -> None:
    @router.get("/certificates")
    async def certificates(after: str | None = None, limit: Limit = PAGE) -> Response:
        place = _place(after)
        if after is not None and place is None:
            return _bad_cursor(after)
        now = _present(world)
        places = world.certificates_in_time.last(limit + 1, place)
        records = [record for _, key in places[:limit] if (record := world.certificates.get(key))]
        found = [_certificate(record, now) for record in records]
        return json_answer({"certificates": found, "next": _following(places, limit), "total": len(world.certificates)})

    @router.get("/permissions")
    async def permissions(after: str | None = None, limit: Limit = PAGE) -> Response:
        place = _place(after)
        if after is not None and place is None:
            return _bad_cursor(after)
        now = world.clock.now()
        places = world.grants_in_time.last(limit + 1, place)
        records = [record for _, key in places[:limit] if (record := world.grants.get(key))]
        found = [_grant(record, now) for record in records]
        return json_answer({"permissions": found, "next": _following(places, limit), "total": len(world.grants)})


def _present(world: World) -> datetime:
    """Now, with everything decided and kept whose time has come."""
    now = world.clock.now()
    if world.due_enrollments and world.due_enrollments[0][0] <= now:
        enrollments.process_due(world, now)
        world.commit()
    return now


def _identity(key: str) -> Identity:
    kind, _, value = key.partition(":")
    return Identity(IdentityType(kind), value)


def _following(places: Sequence[tuple[datetime, str]], limit: int) -> str | None:
    """The cursor of the last place shown; None when nothing follows."""
    if len(places) <= limit:
        return None
    moment, key = places[limit - 1]
    return f"{(moment - _EPOCH) // _MICROSECOND}-{key}"


def _place(cursor: str | None) -> tuple[datetime, str] | None:
    micros, dash, key = (cursor or "").partition("-")
    if not dash or not micros.isascii() or not micros.isdigit():
        return None
    try:
        return _EPOCH + int(micros) * _MICROSECOND, key
    except (OverflowError, ValueError):
        return None


def _bad_cursor(cursor: str) -> Response:
    return problem(400, f"after: takes the value of `next` of the page before, not {cursor!r}.")


def _summary(world: World, identity: Identity, now: datetime) -> dict[str, JsonValue]:
    found = limits.certificate_limits(world, identity, now)
    spent = limits.spent_requests(world, identity, now)
    own = world.certificates.where(world.certificates_by_identity, identity)
    return {
        "identity": _named(identity),
        "limits": {"enrollment": _allowance(found.enrollment), "certificate": _allowance(found.certificate)},
        "next_request_back": optional_timestamp(spent[0].comes_back) if spent else None,
        "certificates": len(own),
        "active_certificates": sum(state_of(c, now) is CertificateState.ACTIVE for c in own),
        "sign_ins": world.sign_ins_by_identity.count(identity),
    }


def _whole(world: World, identity: Identity, now: datetime) -> dict[str, JsonValue]:
    certificates = world.certificates.where(world.certificates_by_identity, identity)
    sign_ins = world.sign_ins.where(world.sign_ins_by_identity, identity)
    grants = world.grants.where(world.grants_by_subject, identity)
    return {
        **_summary(world, identity, now),
        "spent_requests": [_spent(request) for request in limits.spent_requests(world, identity, now)],
        "newest_certificates": [_certificate(c, now) for c in _newest(certificates)],
        "newest_sign_ins": [_sign_in(s, now) for s in _newest(sign_ins)],
        "permissions": [_grant(grant, now) for grant in _newest(grants)],
        "linked": [_named(other) for other in rights.linked(world, identity, now)],
    }


def _newest(records: list[R]) -> list[R]:
    return records[: -SHOWN_OF_ONE_SUBJECT - 1 : -1]


def _named(who: Identity | ContextIdentifier) -> JsonValue:
    return {"type": who.type.value, "value": who.value}


def _allowance(allowance: Allowance) -> JsonValue:
    return {"used": allowance.used, "remaining": allowance.remaining, "limit": allowance.limit}


def _spent(request: Spent) -> JsonValue:
    return {"at": timestamp(request.at), "comes_back": optional_timestamp(request.comes_back)}


def _certificate(certificate: Certificate, now: datetime) -> JsonValue:
    return {
        "serial": certificate.serial,
        "name": certificate.name,
        "type": certificate.type.value,
        "state": state_of(certificate, now).value,
        "identity": _named(certificate.identity),
        "common_name": certificate.common_name,
        "requested_at": timestamp(certificate.requested_at),
        "valid_from": timestamp(certificate.valid_from),
        "valid_to": timestamp(certificate.valid_to),
        "revoked_at": optional_timestamp(certificate.revoked_at),
        "last_use_at": optional_timestamp(certificate.last_use_at),
    }


def _sign_in(sign_in: SignIn, now: datetime) -> JsonValue:
    return {
        "reference": sign_in.reference,
        "context": _named(sign_in.context),
        "method": sign_in.method.value,
        "at": timestamp(sign_in.started_at),
        "code": sign_in.outcome.code if sign_in.ready_at <= now else 100,
    }


def _grant(grant: Grant, now: datetime) -> JsonValue:
    return {
        "id": grant.id,
        "permission": grant.permission,
        "kind": grant.kind.value,
        "subject": _named(grant.subject),
        "context": _named(grant.context) if grant.context else None,
        "granted_in": _named(grant.granted_in),
        "author": _named(grant.author) if grant.author else None,
        "description": grant.description,
        "started_at": timestamp(grant.started_at),
        "ended_at": optional_timestamp(grant.ended_at),
        "live": grant.is_live(now),
    }

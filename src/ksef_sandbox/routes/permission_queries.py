"""HTTP face of the lists of permissions and roles: /permissions/query/* (specification 2.7.0, facts.md §5.4).
What is found comes from `permission_queries.py` and `rights.py`, its look from `routes/permission_answers.py`.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from starlette.responses import Response

from ksef_sandbox import bodies, paging, permission_queries, rights
from ksef_sandbox.answers import json_answer
from ksef_sandbox.bodies import Body
from ksef_sandbox.identity import Identity, IdentityType
from ksef_sandbox.permission_queries import GrantFilters
from ksef_sandbox.permission_records import Grant, Permission
from ksef_sandbox.pipeline import Call, Route
from ksef_sandbox.rights import Role
from ksef_sandbox.routes import permission_answers
from ksef_sandbox.routes.certificates import JSON
from ksef_sandbox.routes.permission_query_bodies import (
    AuthorizationQueryBody,
    AuthorizationQueryType,
    EntityQueryBody,
    EuQueryBody,
    PermissionState,
    PersonalQueryBody,
    PersonQueryBody,
    PersonQueryType,
    SubordinateQueryBody,
    SubunitQueryBody,
)
from ksef_sandbox.routes.permissions import require
from ksef_sandbox.wire import JsonValue

T = TypeVar("T")
B = TypeVar("B", bound=Body)

_READERS = (Permission.CREDENTIALS_MANAGE, Permission.CREDENTIALS_READ)


def _page(call: Call, name: str, found: Sequence[T], item: Callable[[T], JsonValue]) -> Response:
    page, has_more = paging.numbered_page(call, found)
    items: list[JsonValue] = [item(entry) for entry in page]
    return json_answer({name: items, "hasMore": has_more})


def _read(model: type[B], call: Call) -> B:
    """A body of filters may be left out altogether."""
    return bodies.read(model, call.body if call.body.strip() not in (b"", b"null") else b"{}")


def _personal(call: Call) -> Response:
    body = _read(PersonalQueryBody, call)
    filters = GrantFilters(
        permissions=frozenset(body.permission_types or ()),
        context=body.context_identifier.context() if body.context_identifier else None,
        target=body.target_identifier.target() if body.target_identifier else None,
        inactive=body.permission_state is PermissionState.INACTIVE,
    )
    found = permission_queries.personal(call.world, call.session, filters, call.now)

    def item(grant: Grant) -> JsonValue:
        return permission_answers.personal_item(grant, call.session.identity)

    return _page(call, "permissions", found, item)


def _persons(call: Call) -> Response:
    require(call, *_READERS, Permission.SUBUNIT_MANAGE)
    body = _read(PersonQueryBody, call)
    filters = GrantFilters(
        permissions=frozenset(body.permission_types or ()),
        subject=body.authorized_identifier.identity() if body.authorized_identifier else None,
        author=body.author_identifier.author() if body.author_identifier else None,
        context=body.context_identifier.context() if body.context_identifier else None,
        target=body.target_identifier.target() if body.target_identifier else None,
        inactive=body.permission_state is PermissionState.INACTIVE,
    )
    here = body.query_type is PersonQueryType.IN_CURRENT_CONTEXT
    query = permission_queries.in_current_context if here else permission_queries.granted_by_caller
    return _page(
        call, "permissions", query(call.world, call.session, filters, call.now), permission_answers.person_item
    )


def _subunits(call: Call) -> Response:
    require(call, *_READERS, Permission.SUBUNIT_MANAGE)
    body = _read(SubunitQueryBody, call)
    unit = body.subunit_identifier.context() if body.subunit_identifier else None
    found = permission_queries.of_subunits(call.world, call.session, unit, call.now)
    return _page(call, "permissions", found, permission_answers.subunit_item)


def _entities(call: Call) -> Response:
    require(call, *_READERS)
    body = _read(EntityQueryBody, call)
    grantor = body.context_identifier.context() if body.context_identifier else None
    found = permission_queries.received_by_entity(call.world, call.session, grantor, call.now)
    return _page(call, "permissions", found, permission_answers.entity_item)


def _roles(call: Call) -> Response:
    require(call, *_READERS)
    found = _ordered(rights.roles(call.world, call.session.context.value, call.now))
    return _page(call, "roles", found, permission_answers.role_item)


def _subordinates(call: Call) -> Response:
    require(call, *_READERS, Permission.SUBUNIT_MANAGE)
    body = _read(SubordinateQueryBody, call)
    asked = body.subordinate_entity_identifier
    units = rights.subunits(call.world, call.session.context.value)
    found = _ordered([role for role in units if asked is None or role.nip == asked.value])
    return _page(call, "roles", found, permission_answers.subordinate_item)


def _ordered(roles: list[Role]) -> list[Role]:
    return sorted(roles, key=lambda role: (-role.started_at.timestamp(), role.name, role.nip))


def _authorizations(call: Call) -> Response:
    require(call, *_READERS, Permission.PEF_INVOICE_WRITE)
    body = _read(AuthorizationQueryBody, call)
    filters = GrantFilters(
        permissions=frozenset(body.permission_types or ()),
        subject=body.authorized_identifier.identity() if body.authorized_identifier else None,
    )
    if body.query_type is AuthorizationQueryType.GRANTED:
        found = permission_queries.authorizations_granted(call.world, call.session, filters, call.now)
    else:
        by = body.authorizing_identifier.context() if body.authorizing_identifier else None
        found = permission_queries.authorizations_received(call.world, call.session, filters, by, call.now)
    return _page(call, "authorizationGrants", found, permission_answers.authorization_item)


def _eu_entities(call: Call) -> Response:
    require(call, *_READERS, Permission.VAT_UE_MANAGE)
    body = _read(EuQueryBody, call)
    fingerprint = body.authorized_fingerprint_identifier
    filters = GrantFilters(
        permissions=frozenset(body.permission_types or ()),
        subject=Identity(IdentityType.FINGERPRINT, fingerprint) if fingerprint else None,
    )
    found = permission_queries.of_eu_entities(call.world, call.session, filters, body.vat_ue_identifier, call.now)
    return _page(call, "permissions", found, permission_answers.eu_item)


def _query(path: str, handler: Callable[[Call], Response]) -> Route:
    return Route("POST", f"/permissions/query/{path}", handler, media_type=JSON, body_optional=True)


ROUTES = (
    _query("personal/grants", _personal),
    _query("persons/grants", _persons),
    _query("subunits/grants", _subunits),
    _query("entities/grants", _entities),
    Route("GET", "/permissions/query/entities/roles", _roles),
    _query("subordinate-entities/roles", _subordinates),
    _query("authorizations/grants", _authorizations),
    _query("eu-entities/grants", _eu_entities),
)

"""HTTP face of granting and revoking: /permissions/*/grants and /permissions/operations (specification 2.7.0).
It reads requests and writes answers; the rules are in `permissions.py`, the lists in `routes/permission_queries.py`.
"""

from datetime import date

from starlette.responses import Response

from ksef_sandbox import bodies, permissions, rights
from ksef_sandbox.answers import json_answer, status_value
from ksef_sandbox.errors import Forbidden, Gone, InvalidInput
from ksef_sandbox.permission_records import EuEntity, GrantKind, Permission, PermissionOperation
from ksef_sandbox.permissions import GrantOrder
from ksef_sandbox.pipeline import Call, Route
from ksef_sandbox.routes.certificates import JSON
from ksef_sandbox.routes.permission_bodies import (
    AuthorizationGrantBody,
    EntityGrantBody,
    EuAdministrationGrantBody,
    EuRepresentativeGrantBody,
    IndirectGrantBody,
    PersonGrantBody,
    SubunitGrantBody,
)
from ksef_sandbox.wire import JsonValue


def require(call: Call, *names: Permission) -> None:
    """Raise Forbidden unless the access token carries one of these permissions."""
    if not rights.allows(call.permissions, *names):
        raise Forbidden(
            "missing-permissions",
            requiredAnyOfPermissions=[name.value for name in names],
            presentPermissions=sorted(call.permissions),
        )


def _grant(call: Call, order: GrantOrder) -> Response:
    return _accepted(permissions.grant(call.world, call.session, order, call.now, fate=call.fate))


def _accepted(operation: PermissionOperation) -> Response:
    return json_answer({"referenceNumber": operation.reference}, 202)


def _grant_to_person(call: Call) -> Response:
    require(call, Permission.CREDENTIALS_MANAGE)
    body = bodies.read(PersonGrantBody, call.body)
    order = GrantOrder(
        kind=GrantKind.PERSON,
        subject=body.subject_identifier.identity(),
        context=call.session.context,
        permissions=tuple((name.value, False) for name in body.permissions),
        description=body.description,
        person=body.subject_details.person(),
    )
    return _grant(call, order)


def _grant_to_entity(call: Call) -> Response:
    require(call, Permission.CREDENTIALS_MANAGE)
    body = bodies.read(EntityGrantBody, call.body)
    order = GrantOrder(
        kind=GrantKind.ENTITY,
        subject=body.subject_identifier.identity(),
        context=call.session.context,
        permissions=tuple((permission.type.value, permission.can_delegate) for permission in body.permissions),
        description=body.description,
        entity=body.subject_details.entity(),
    )
    return _grant(call, order)


def _authorize(call: Call) -> Response:
    require(call, Permission.CREDENTIALS_MANAGE)
    body = bodies.read(AuthorizationGrantBody, call.body)
    order = GrantOrder(
        kind=GrantKind.AUTHORIZATION,
        subject=body.subject_identifier.identity(),
        context=call.session.context,
        permissions=((body.permission.value, False),),
        description=body.description,
        entity=body.subject_details.entity(),
    )
    return _grant(call, order)


def _grant_indirectly(call: Call) -> Response:
    require(call, Permission.CREDENTIALS_MANAGE)
    body = bodies.read(IndirectGrantBody, call.body)
    target = body.target_identifier
    order = GrantOrder(
        kind=GrantKind.INDIRECT,
        subject=body.subject_identifier.identity(),
        context=target.target().context if target else None,
        permissions=tuple((name.value, False) for name in body.permissions),
        description=body.description,
        person=body.subject_details.person(),
    )
    return _grant(call, order)


def _appoint_subunit_administrator(call: Call) -> Response:
    require(call, Permission.SUBUNIT_MANAGE)
    body = bodies.read(SubunitGrantBody, call.body)
    order = GrantOrder(
        kind=GrantKind.SUBUNIT,
        subject=body.subject_identifier.identity(),
        context=body.context_identifier.context(),
        permissions=((Permission.CREDENTIALS_MANAGE.value, False),),
        description=body.description,
        person=body.subject_details.person(),
        subunit_name=body.subunit_name,
    )
    return _grant(call, order)


def _appoint_eu_administrator(call: Call) -> Response:
    require(call, Permission.CREDENTIALS_MANAGE)
    body = bodies.read(EuAdministrationGrantBody, call.body)
    order = GrantOrder(
        kind=GrantKind.EU_ADMINISTRATION,
        subject=body.subject_identifier.identity(),
        context=body.context_identifier.context(),
        permissions=tuple((name.value, False) for name in permissions.EU_ADMINISTRATOR),
        description=body.description,
        person=body.subject_details.person(),
        entity=body.subject_details.entity(),
        eu_entity=EuEntity(body.eu_entity_name, body.eu_entity_details.full_name, body.eu_entity_details.address),
    )
    return _grant(call, order)


def _appoint_eu_representative(call: Call) -> Response:
    require(call, Permission.VAT_UE_MANAGE)
    body = bodies.read(EuRepresentativeGrantBody, call.body)
    order = GrantOrder(
        kind=GrantKind.EU_REPRESENTATIVE,
        subject=body.subject_identifier.identity(),
        context=call.session.context,
        permissions=tuple((name.value, False) for name in body.permissions),
        description=body.description,
        person=body.subject_details.person(),
        entity=body.subject_details.entity(),
        eu_entity=permissions.eu_entity_of(call.world, call.session.context, call.now),
    )
    return _grant(call, order)


def _revoke(call: Call) -> Response:
    require(call, Permission.CREDENTIALS_MANAGE, Permission.VAT_UE_MANAGE, Permission.SUBUNIT_MANAGE)
    grant_id = bodies.reference_parameter("permissionId", call.path_parameter("permissionId"))
    return _accepted(permissions.revoke(call.world, call.session, grant_id, call.now, fate=call.fate))


def _revoke_authorization(call: Call) -> Response:
    require(call, Permission.CREDENTIALS_MANAGE)
    grant_id = bodies.reference_parameter("permissionId", call.path_parameter("permissionId"))
    operation = permissions.revoke_authorization(call.world, call.session, grant_id, call.now, fate=call.fate)
    return _accepted(operation)


def _operation(call: Call) -> Response:
    reference = bodies.reference_parameter("referenceNumber", call.path_parameter("referenceNumber"))
    operation = call.world.operations.get(reference)
    # No code is documented for an operation that is not there, or not of this context.
    if operation is None or operation.context != call.session.context:
        raise InvalidInput(f"Operacja o numerze referencyjnym {reference} nie została znaleziona.")
    if call.now >= operation.requested_at + permissions.RETENTION:
        raise Gone
    return json_answer({"status": status_value(permissions.status_of(operation, call.now))})


def _attachments(call: Call) -> Response:
    require(call, Permission.CREDENTIALS_MANAGE, Permission.CREDENTIALS_READ)
    consent = call.world.attachments.get(call.session.context.value)
    if consent is None:
        return json_answer({"isAttachmentAllowed": False})
    if consent.ends is None:
        return json_answer({"isAttachmentAllowed": True})
    allowed: JsonValue = call.now.date() <= date.fromisoformat(consent.ends)
    return json_answer({"isAttachmentAllowed": allowed, "revokedDate": f"{consent.ends}T00:00:00+00:00"})


ROUTES = (
    Route("POST", "/permissions/persons/grants", _grant_to_person, media_type=JSON),
    Route("POST", "/permissions/entities/grants", _grant_to_entity, media_type=JSON),
    Route("POST", "/permissions/authorizations/grants", _authorize, media_type=JSON),
    Route("POST", "/permissions/indirect/grants", _grant_indirectly, media_type=JSON),
    Route("POST", "/permissions/subunits/grants", _appoint_subunit_administrator, media_type=JSON),
    Route("POST", "/permissions/eu-entities/administration/grants", _appoint_eu_administrator, media_type=JSON),
    Route("POST", "/permissions/eu-entities/grants", _appoint_eu_representative, media_type=JSON),
    Route("DELETE", "/permissions/common/grants/{permissionId}", _revoke),
    Route("DELETE", "/permissions/authorizations/grants/{permissionId}", _revoke_authorization),
    Route("GET", "/permissions/operations/{referenceNumber}", _operation),
    Route("GET", "/permissions/attachments/status", _attachments),
)

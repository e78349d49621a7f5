"""Request bodies of /permissions/query/* as the specification 2.7.0 describes them; every filter may be left out.
What they find is in `permission_queries.py`.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from ksef_sandbox.bodies import Body, any_case
from ksef_sandbox.routes.permission_bodies import Authorization, PersonPermission
from ksef_sandbox.routes.permission_parts import (
    AuthorIdentifier,
    AuthorizedEntity,
    EntityIdentifier,
    PersonIdentifier,
    TargetIdentifier,
    UnitIdentifier,
)


class PermissionState(StrEnum):
    ACTIVE = "Active"
    INACTIVE = "Inactive"


class PersonalPermission(StrEnum):
    CREDENTIALS_MANAGE = "CredentialsManage"
    CREDENTIALS_READ = "CredentialsRead"
    INVOICE_WRITE = "InvoiceWrite"
    INVOICE_READ = "InvoiceRead"
    INTROSPECTION = "Introspection"
    SUBUNIT_MANAGE = "SubunitManage"
    ENFORCEMENT_OPERATIONS = "EnforcementOperations"
    VAT_UE_MANAGE = "VatUeManage"
    COLLECTIVE_IDENTIFIER_MANAGE = "CollectiveIdentifierManage"


class EuPermission(StrEnum):
    VAT_UE_MANAGE = "VatUeManage"
    INVOICE_WRITE = "InvoiceWrite"
    INVOICE_READ = "InvoiceRead"
    INTROSPECTION = "Introspection"


class PersonQueryType(StrEnum):
    IN_CURRENT_CONTEXT = "PermissionsInCurrentContext"
    GRANTED_IN_CURRENT_CONTEXT = "PermissionsGrantedInCurrentContext"


class AuthorizationQueryType(StrEnum):
    GRANTED = "Granted"
    RECEIVED = "Received"


_State = Annotated[PermissionState, any_case(PermissionState)]


class PersonalQueryBody(Body):
    context_identifier: UnitIdentifier | None = None
    target_identifier: TargetIdentifier | None = None
    permission_types: list[Annotated[PersonalPermission, any_case(PersonalPermission)]] | None = None
    permission_state: _State | None = None


class PersonQueryBody(Body):
    author_identifier: AuthorIdentifier | None = None
    authorized_identifier: PersonIdentifier | None = None
    context_identifier: UnitIdentifier | None = None
    target_identifier: TargetIdentifier | None = None
    permission_types: list[Annotated[PersonPermission, any_case(PersonPermission)]] | None = None
    permission_state: _State | None = None
    query_type: Annotated[PersonQueryType, any_case(PersonQueryType)]


class SubunitQueryBody(Body):
    subunit_identifier: UnitIdentifier | None = None


class EntityQueryBody(Body):
    context_identifier: UnitIdentifier | None = None


class SubordinateQueryBody(Body):
    subordinate_entity_identifier: EntityIdentifier | None = None


class AuthorizationQueryBody(Body):
    authorizing_identifier: EntityIdentifier | None = None
    authorized_identifier: AuthorizedEntity | None = None
    query_type: Annotated[AuthorizationQueryType, any_case(AuthorizationQueryType)]
    permission_types: list[Annotated[Authorization, any_case(Authorization)]] | None = None


class EuQueryBody(Body):
    vat_ue_identifier: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}[A-Z0-9+*]{2,13}$")] | None = None
    authorized_fingerprint_identifier: str | None = None
    permission_types: list[Annotated[EuPermission, any_case(EuPermission)]] | None = None

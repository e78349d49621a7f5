"""Request bodies of /permissions/*/grants as the specification 2.7.0 describes them.
Only their shape is checked here; what they change is in `permissions.py`.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from ksef_sandbox.bodies import Body, Description, any_case
from ksef_sandbox.routes.permission_parts import (
    AuthorizedEntity,
    Choice,
    EntityDetailsBody,
    EntityIdentifier,
    EuContext,
    EuEntityDetailsBody,
    EuSubjectDetailsBody,
    FingerprintIdentifier,
    LongName,
    PersonDetailsBody,
    PersonIdentifier,
    TargetIdentifier,
    UnitIdentifier,
    UnitIdentifierType,
)


def has_check_digit(internal_id: str) -> bool:
    """Whether the last digit of `NIP-ddddd` is the sum of the others, weighted 1 and 3 in turn, modulo 10."""
    digits = [int(digit) for digit in internal_id.replace("-", "")]
    total = sum(digit * (1 if index % 2 == 0 else 3) for index, digit in enumerate(digits[:-1]))
    return total % 10 == digits[-1]


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("'permissions' must not contain duplicates.")
    return values


class PersonPermission(Choice):
    CREDENTIALS_MANAGE = "CredentialsManage"
    CREDENTIALS_READ = "CredentialsRead"
    INVOICE_WRITE = "InvoiceWrite"
    INVOICE_READ = "InvoiceRead"
    INTROSPECTION = "Introspection"
    SUBUNIT_MANAGE = "SubunitManage"
    ENFORCEMENT_OPERATIONS = "EnforcementOperations"
    COLLECTIVE_IDENTIFIER_MANAGE = "CollectiveIdentifierManage"


class InvoicePermission(Choice):
    INVOICE_WRITE = "InvoiceWrite"
    INVOICE_READ = "InvoiceRead"


class Authorization(Choice):
    SELF_INVOICING = "SelfInvoicing"
    TAX_REPRESENTATIVE = "TaxRepresentative"
    RR_INVOICING = "RRInvoicing"
    PEF_INVOICING = "PefInvoicing"


_PersonPermission = Annotated[PersonPermission, any_case(PersonPermission)]
_InvoicePermission = Annotated[InvoicePermission, any_case(InvoicePermission)]
_AtLeastOne = Field(min_length=1)


class PersonGrantBody(Body):
    subject_identifier: PersonIdentifier
    permissions: Annotated[list[_PersonPermission], _AtLeastOne, AfterValidator(_distinct)]
    description: Description
    subject_details: PersonDetailsBody


class EntityPermissionBody(Body):
    type: _InvoicePermission
    can_delegate: bool = False


class EntityGrantBody(Body):
    subject_identifier: EntityIdentifier
    permissions: Annotated[list[EntityPermissionBody], _AtLeastOne]
    description: Description
    subject_details: EntityDetailsBody

    @model_validator(mode="after")
    def _each_type_once(self) -> Self:
        _distinct([permission.type for permission in self.permissions])
        return self


class AuthorizationGrantBody(Body):
    subject_identifier: AuthorizedEntity
    permission: Annotated[Authorization, any_case(Authorization)]
    description: Description
    subject_details: EntityDetailsBody


class IndirectGrantBody(Body):
    subject_identifier: PersonIdentifier
    target_identifier: TargetIdentifier | None = None
    permissions: Annotated[list[_InvoicePermission], _AtLeastOne, AfterValidator(_distinct)]
    description: Description
    subject_details: PersonDetailsBody


class SubunitGrantBody(Body):
    subject_identifier: PersonIdentifier
    context_identifier: UnitIdentifier
    description: Description
    subunit_name: LongName | None = None
    subject_details: PersonDetailsBody

    @model_validator(mode="after")
    def _internal_unit_is_sound(self) -> Self:
        if self.context_identifier.type is UnitIdentifierType.INTERNAL_ID:
            if self.subunit_name is None:
                raise ValueError("'subunitName' must not be empty.")
            if not has_check_digit(self.context_identifier.value):
                raise ValueError("'contextIdentifier.value' has an invalid check digit.")
        return self


class EuAdministrationGrantBody(Body):
    subject_identifier: FingerprintIdentifier
    context_identifier: EuContext
    description: Description
    eu_entity_name: LongName
    subject_details: EuSubjectDetailsBody
    eu_entity_details: EuEntityDetailsBody


class EuRepresentativeGrantBody(Body):
    subject_identifier: FingerprintIdentifier
    permissions: Annotated[list[_InvoicePermission], _AtLeastOne, AfterValidator(_distinct)]
    description: Description
    subject_details: EuSubjectDetailsBody

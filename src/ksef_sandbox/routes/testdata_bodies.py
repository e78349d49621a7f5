"""Request bodies of /testdata/* as the specification 2.7.0 describes them.
Only their shape is checked here; what they change is in `testdata.py`.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from ksef_sandbox.bodies import Body, Description, Moment, Nip, Pesel, any_case
from ksef_sandbox.identity import ContextType
from ksef_sandbox.records import SessionLimits


class SubjectType(StrEnum):
    ENFORCEMENT_AUTHORITY = "EnforcementAuthority"
    VAT_GROUP = "VatGroup"
    JST = "JST"


class PermissionType(StrEnum):
    INVOICE_READ = "InvoiceRead"
    INVOICE_WRITE = "InvoiceWrite"
    INTROSPECTION = "Introspection"
    CREDENTIALS_READ = "CredentialsRead"
    CREDENTIALS_MANAGE = "CredentialsManage"
    ENFORCEMENT_OPERATIONS = "EnforcementOperations"
    SUBUNIT_MANAGE = "SubunitManage"
    COLLECTIVE_IDENTIFIER_MANAGE = "CollectiveIdentifierManage"


class SubjectIdentifierType(StrEnum):
    NIP = "Nip"
    PESEL = "Pesel"
    FINGERPRINT = "Fingerprint"


class OnlyNip(StrEnum):
    NIP = "Nip"


class SubunitBody(Body):
    subject_nip: Nip
    description: Description


class SubjectBody(Body):
    subject_nip: Nip
    subject_type: Annotated[SubjectType, any_case(SubjectType)]
    subunits: list[SubunitBody] | None = None
    description: Description
    created_date: Moment | None = None


class SubjectRemoveBody(Body):
    subject_nip: Nip


class PersonBody(Body):
    nip: Nip
    pesel: Pesel
    is_bailiff: bool
    description: Description
    is_deceased: bool = False
    created_date: Moment | None = None


class NipBody(Body):
    nip: Nip


class AttachmentRevokeBody(Body):
    nip: Nip
    expected_end_date: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None


class ContextBody(Body):
    type: Annotated[OnlyNip, any_case(OnlyNip)]
    value: Nip


class AuthorizedBody(Body):
    type: Annotated[SubjectIdentifierType, any_case(SubjectIdentifierType)]
    value: Annotated[str, StringConstraints(min_length=10, max_length=64)]


class PermissionBody(Body):
    permission_type: Annotated[PermissionType, any_case(PermissionType)]
    description: Description


class PermissionsBody(Body):
    context_identifier: ContextBody
    authorized_identifier: AuthorizedBody
    permissions: list[PermissionBody]


class PermissionsRevokeBody(Body):
    context_identifier: ContextBody
    authorized_identifier: AuthorizedBody


class AnyContextBody(Body):
    type: Annotated[ContextType, any_case(ContextType)]
    value: Annotated[str, StringConstraints(min_length=1)]


class BlockBody(Body):
    context_identifier: AnyContextBody | None = None


class MaxEnrollmentsBody(Body):
    max_enrollments: Annotated[int, Field(ge=0)] | None = None


class MaxCertificatesBody(Body):
    max_certificates: Annotated[int, Field(ge=0)] | None = None


class SubjectLimitsBody(Body):
    subject_identifier_type: Annotated[SubjectIdentifierType, any_case(SubjectIdentifierType)] = (
        SubjectIdentifierType.NIP
    )
    enrollment: MaxEnrollmentsBody | None = None
    certificate: MaxCertificatesBody | None = None


class SessionLimitsBody(Body):
    max_invoice_size_in_mb: Annotated[int, Field(ge=0, le=5, alias="maxInvoiceSizeInMB")]
    max_invoice_with_attachment_size_in_mb: Annotated[int, Field(ge=0, le=10, alias="maxInvoiceWithAttachmentSizeInMB")]
    max_invoices: Annotated[int, Field(ge=0, le=100_000)]

    def values(self) -> SessionLimits:
        return SessionLimits(
            self.max_invoice_size_in_mb, self.max_invoice_with_attachment_size_in_mb, self.max_invoices
        )


class CollectiveLimitsBody(Body):
    max_invoices: Annotated[int, Field(ge=0)]


class ContextLimitsBody(Body):
    online_session: SessionLimitsBody
    batch_session: SessionLimitsBody
    collective_identifier: CollectiveLimitsBody | None = None  # since API 2.9


class RateValuesBody(Body):
    per_second: int
    per_minute: int
    per_hour: int


class RatesBody(Body):
    rate_limits: dict[str, RateValuesBody]


class CertificateBody(Body):
    valid_to: Moment

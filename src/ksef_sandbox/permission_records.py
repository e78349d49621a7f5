"""Records of permissions and KSeF tokens: who may do what, where, by whose grant (facts.md §5, §6).
Only data live here; granting is `permissions.py`, what follows for a sign-in is `rights.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ksef_sandbox.identity import ContextIdentifier, Identity
from ksef_sandbox.records import Status
from ksef_sandbox.xml.auth_request import IpPolicy


class Permission(StrEnum):
    """KSeF's names; `Owner` stands for all but VatUeManage and cannot be granted."""

    OWNER = "Owner"
    INVOICE_READ = "InvoiceRead"
    INVOICE_WRITE = "InvoiceWrite"
    INTROSPECTION = "Introspection"
    CREDENTIALS_READ = "CredentialsRead"
    CREDENTIALS_MANAGE = "CredentialsManage"
    SUBUNIT_MANAGE = "SubunitManage"
    ENFORCEMENT_OPERATIONS = "EnforcementOperations"
    COLLECTIVE_IDENTIFIER_MANAGE = "CollectiveIdentifierManage"
    VAT_UE_MANAGE = "VatUeManage"
    PEF_INVOICE_WRITE = "PefInvoiceWrite"


class GrantKind(StrEnum):
    """By which endpoint a permission was granted; that decides where it is listed and who may revoke it."""

    PERSON = "person"
    ENTITY = "entity"
    INDIRECT = "indirect"
    SUBUNIT = "subunit"
    EU_ADMINISTRATION = "eu-administration"
    EU_REPRESENTATIVE = "eu-representative"
    AUTHORIZATION = "authorization"


@dataclass(frozen=True, slots=True)
class IdDocument:
    type: str
    number: str
    country: str  # ISO 3166-1 alpha-2


@dataclass(frozen=True, slots=True)
class PersonDetails:
    """The person a permission was granted to; `type` is KSeF's subjectDetailsType."""

    type: str
    first_name: str
    last_name: str
    identifier: Identity | None = None
    birth_date: str | None = None  # ISO date
    id_document: IdDocument | None = None


@dataclass(frozen=True, slots=True)
class EntityDetails:
    """The entity a permission was granted to; `type` is KSeF's subjectDetailsType."""

    type: str
    full_name: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class EuEntity:
    """The foreign entity of a NipVatUe context."""

    name: str
    full_name: str
    address: str


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission of one subject.

    `granted_in` is the context of whoever granted it, `context` the one where it works: the same for a direct grant,
    the subunit or the EU context for their administrators, the client for a selective indirect grant, None for a
    general one (all partners). `author` is None for what KSeF itself entered (ZAW-FA, test data).
    """

    id: str  # UUID
    kind: GrantKind
    granted_in: ContextIdentifier
    context: ContextIdentifier | None
    subject: Identity
    permission: str
    author: Identity | None
    description: str
    started_at: datetime
    ended_at: datetime | None = None
    can_delegate: bool = False
    person: PersonDetails | None = None
    entity: EntityDetails | None = None
    subunit_name: str | None = None
    eu_entity: EuEntity | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it is in force at this moment."""
        return self.started_at <= now and (self.ended_at is None or now < self.ended_at)


@dataclass(frozen=True, slots=True)
class PermissionOperation:
    """An accepted grant or revocation; `outcome` shows from `ready_at` on."""

    reference: str
    context: ContextIdentifier
    requested_at: datetime
    ready_at: datetime
    outcome: Status


@dataclass(frozen=True, slots=True)
class KsefToken:
    """A KSeF token; of its text only SHA-256 in hex is kept. Times from which each state holds."""

    reference: str
    text_hash: str
    context: ContextIdentifier
    author: Identity
    permissions: tuple[str, ...]
    description: str
    created_at: datetime
    active_at: datetime
    revoking_at: datetime | None = None
    revoked_at: datetime | None = None
    last_use_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TokenSignIn:
    """What POST /auth/ksef-token asks for."""

    challenge: str
    context: ContextIdentifier
    encrypted_token: bytes
    public_key_id: str | None
    ip_policy: IpPolicy | None

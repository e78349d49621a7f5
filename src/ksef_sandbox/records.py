"""What the sandbox remembers: frozen records, each replaced as a whole when it changes.
Only data live here; the rules that read and change them are in the modules named after the nouns.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ksef_sandbox.identity import ContextIdentifier, Holder, Identity
from ksef_sandbox.xml.auth_request import IpPolicy


class CertificateType(StrEnum):
    """What a KSeF certificate is for (facts.md §3.2)."""

    AUTHENTICATION = "Authentication"
    OFFLINE = "Offline"


class SignInMethod(StrEnum):
    """The way of signing in, by the names of the deprecated `authenticationMethod` (facts.md §2.3)."""

    QUALIFIED_SIGNATURE = "QualifiedSignature"
    QUALIFIED_SEAL = "QualifiedSeal"
    INTERNAL_CERTIFICATE = "InternalCertificate"
    PEPPOL_SIGNATURE = "PeppolSignature"
    TOKEN = "Token"  # noqa: S105  (a method, no secret)


@dataclass(frozen=True, slots=True)
class Status:
    """Code and text of an asynchronous operation."""

    code: int
    description: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fate:
    """What a fault does to an asynchronous operation: how it ends, whatever its merits, and how much later."""

    outcome: Status | None = None
    delay: timedelta = timedelta()


ORDINARY = Fate()


@dataclass(frozen=True, slots=True)
class Challenge:
    value: str
    issued_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in and the session that grows from it; `outcome` shows from `ready_at` on."""

    reference: str
    identity: Identity
    holder: Holder | None  # None: signed in by a KSeF token
    context: ContextIdentifier
    method: SignInMethod
    started_at: datetime
    ready_at: datetime
    outcome: Status
    ip_policy: IpPolicy | None = None
    token_reference: str | None = None
    redeemed_at: datetime | None = None
    last_refresh_at: datetime | None = None
    refresh_valid_until: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Enrollment:
    """A certificate request that was answered 202; `outcome` is None until it is processed."""

    reference: str
    identity: Identity
    holder: Holder
    name: str
    type: CertificateType
    public_key: str  # SubjectPublicKeyInfo, DER in Base64
    requested_at: datetime
    ready_at: datetime
    valid_from: datetime | None
    outcome: Status | None = None
    certificate_serial: str | None = None
    fated: Status | None = None  # a fault has decided how it will end


@dataclass(frozen=True, slots=True)
class SpentRefusal:
    """A request refused at once for its CSR; counts only under `count_sync_rejected`."""

    reference: str
    identity: Identity
    at: datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate this sandbox has issued; `valid_to` may be shortened by test data, the DER stays."""

    serial: str
    name: str
    type: CertificateType
    identity: Identity
    common_name: str
    requested_at: datetime
    valid_from: datetime
    valid_to: datetime
    der: str  # Base64
    blocked_at: datetime | None = None
    revoked_at: datetime | None = None  # when the revocation begun at `blocked_at` is complete
    revocation_reason: str | None = None
    last_use_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Who first had a public key certified; `key_hash` is SHA-256 of the SubjectPublicKeyInfo in hex."""

    key_hash: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class SubjectLimits:
    """Maxima set for one identity; None keeps the default of its type."""

    identity: Identity
    max_enrollments: int | None
    max_certificates: int | None


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Invoice limits of a context: sizes in MB of 1,000,000 bytes."""

    max_invoice_size_mb: int
    max_invoice_with_attachment_size_mb: int
    max_invoices: int


@dataclass(frozen=True, slots=True)
class ContextLimits:
    context: ContextIdentifier
    online_session: SessionLimits
    batch_session: SessionLimits
    collective_invoices: int  # how many a collective identifier may hold


@dataclass(frozen=True, slots=True)
class RateValues:
    """Requests allowed in a second, a minute and an hour."""

    per_second: int
    per_minute: int
    per_hour: int


@dataclass(frozen=True, slots=True)
class ContextRates:
    context: ContextIdentifier
    groups: dict[str, RateValues]


@dataclass(frozen=True, slots=True)
class Person:
    """Test data: a person whose PESEL and NIP belong together."""

    nip: str
    pesel: str
    is_bailiff: bool
    is_deceased: bool
    description: str
    created_at: datetime
    effective_at: datetime


@dataclass(frozen=True, slots=True)
class Subunit:
    nip: str
    description: str


@dataclass(frozen=True, slots=True)
class DeclaredSubject:
    """Test data: an entity with a role; `type` is EnforcementAuthority, VatGroup or JST."""

    nip: str
    type: str
    description: str
    subunits: tuple[Subunit, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BlockedContext:
    context: ContextIdentifier


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A key pair under which clients encrypt for this KSeF; `usage` as in PublicKeyCertificateUsage."""

    usage: str
    key_pem: str
    der: str  # certificate, Base64


@dataclass(frozen=True, slots=True)
class Settings:
    """What the sandbox itself must find again after a restart; the keys protect nothing but test data."""

    ca_key_pem: str
    ca_certificate_pem: str
    token_key: str
    clock_offset_us: int
    generation: int
    encryption_keys: tuple[EncryptionKey, ...] = ()


@dataclass(frozen=True, slots=True)
class AttachmentConsent:
    """Test data: a company may send invoices with attachments, until `ends` (ISO date) if given."""

    nip: str
    ends: str | None


def identity_key(identity: Identity | ContextIdentifier) -> str:
    """The one-line key of an identity or a context, e.g. `Nip:5265877635`."""
    return f"{identity.type}:{identity.value}"

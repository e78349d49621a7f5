"""What KSeF answers, as frozen values. Dates are UTC; tokens hide from every repr.

Reading them from JSON is `wire`; limits, certificates and enrollment data have their values in `domain`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from klucznik.domain.certificates import CertificateType


@dataclass(frozen=True)
class Token:
    """A bearer token. Opaque: only `valid_until` may be relied on, never the claims inside (facts.md §2.8)."""

    value: str = field(repr=False)
    valid_until: datetime


@dataclass(frozen=True)
class TokenPair:
    """What a redeemed sign-in gives: the access token of the calls and the refresh token that renews it."""

    access: Token
    refresh: Token


@dataclass(frozen=True)
class Challenge:
    """KSeF's challenge for one sign-in (facts.md §2.1).

    Attributes:
        value: 36 characters, ``YYYYMMDD-CR-…``; single use.
        issued_at: KSeF's clock, not ours.
        expires_at: ten minutes later, on KSeF's clock.
        client_ip: our address as KSeF sees it; None when KSeF does not tell.
        timestamp_ms: `issued_at` in the milliseconds that go into an encrypted token (§2.10).
    """

    value: str
    issued_at: datetime
    expires_at: datetime
    client_ip: str | None
    timestamp_ms: int


@dataclass(frozen=True)
class PendingSignIn:
    """A signed document that KSeF has accepted for processing. Its token is good for the next steps of this sign-in."""

    reference_number: str
    authentication_token: Token


@dataclass(frozen=True)
class PublicKeyCertificate:
    """A public key of KSeF's for something that is sent encrypted (facts.md §2.10).

    Attributes:
        key_id: names the key in a request; Base64 of the SHA-256 of its SubjectPublicKeyInfo.
        usage: what may be encrypted with it.
        der: X.509, DER.
    """

    key_id: str
    usage: tuple[str, ...]
    valid_from: datetime
    valid_to: datetime
    der: bytes = field(repr=False)


@dataclass(frozen=True)
class OperationStatus:
    """The status of an asynchronous operation: below 200 pending, 200 done, above final without success."""

    code: int
    text: str
    details: tuple[str, ...]

    @property
    def pending(self) -> bool:
        return self.code < 200

    @property
    def done(self) -> bool:
        return self.code == 200

    @property
    def failed(self) -> bool:
        return self.code > 200


@dataclass(frozen=True)
class EnrollmentTicket:
    """A certificate request that KSeF has accepted: one request of the subject's limit is spent.

    Attributes:
        reference_number: the only handle to the request while it is being processed.
        timestamp: KSeF's time of the request.
    """

    reference_number: str
    timestamp: datetime


@dataclass(frozen=True)
class EnrollmentStatus:
    """How far a certificate request is (facts.md §3.7).

    Attributes:
        code: 100 in progress, 200 issued, 400 and above rejected or cancelled.
        text: KSeF's short text.
        certificate_serial_number: 16 upper-case hexadecimal digits; always there when `issued`.
    """

    code: int
    text: str
    details: tuple[str, ...]
    certificate_serial_number: str | None
    requested_at: datetime

    @property
    def pending(self) -> bool:
        return self.code < 200

    @property
    def issued(self) -> bool:
        return self.code == 200

    @property
    def failed(self) -> bool:
        return self.code > 200


@dataclass(frozen=True)
class RetrievedCertificate:
    """A certificate as KSeF hands it out; whether it is what was asked for is for `profile` to say.

    Attributes:
        der: X.509, DER.
    """

    serial_number: str
    name: str
    type: CertificateType
    der: bytes = field(repr=False)


@dataclass(frozen=True)
class SessionRecord:
    """One authentication session of the signed-in subject (facts.md §2.9).

    Attributes:
        method: KSeF's code of the way of signing in, or None where KSeF no longer tells.
        is_current: whether it is the session that asks.
    """

    reference_number: str
    started_at: datetime
    status: OperationStatus
    method: str | None
    is_current: bool
    refresh_valid_until: datetime | None

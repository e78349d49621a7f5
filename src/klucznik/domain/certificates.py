"""What a KSeF certificate is and may be called. Sources: facts.md §3.2, §3.6, §3.9."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject
from klucznik.domain.values import InvalidValue


class CertificateType(StrEnum):
    AUTHENTICATION = "Authentication"
    OFFLINE = "Offline"


# The order of sending: with the first one in hand we can sign in and finish the second ourselves.
PAIR = (CertificateType.AUTHENTICATION, CertificateType.OFFLINE)


class CertificateStatus(StrEnum):
    ACTIVE = "Active"
    BLOCKED = "Blocked"
    REVOKED = "Revoked"
    EXPIRED = "Expired"


class RevocationReason(StrEnum):
    UNSPECIFIED = "Unspecified"
    SUPERSEDED = "Superseded"
    KEY_COMPROMISE = "KeyCompromise"

    @classmethod
    def parse(cls, text: str) -> RevocationReason:
        """KSeF's name of a reason, in any letter case."""
        for reason in cls:
            if reason.value.lower() == text.strip().lower():
                return reason
        raise InvalidValue("revocation_reason_unknown", value=text[:40], known=", ".join(cls))


@dataclass(frozen=True)
class CertificateRecord:
    """One certificate as KSeF lists it. Dates are UTC.

    Attributes:
        serial_number: 16 upper-case hexadecimal digits.
        last_used_at: None until the certificate has been used.
        requested_at: when its request was filed; the only trace KSeF leaves of a request.
    """

    serial_number: str
    name: str
    type: CertificateType
    status: CertificateStatus
    subject: Subject | None
    common_name: str
    valid_from: datetime
    valid_to: datetime
    requested_at: datetime
    last_used_at: datetime | None


_NAME = re.compile(r"[a-zA-Z0-9_\- ąćęłńóśźżĄĆĘŁŃÓŚŹŻ]{5,100}")
_SERIAL = re.compile(r"[0-9A-F]{16}")


def check_name(name: str) -> str:
    """A certificate name that KSeF accepts: 5 to 100 characters, letters, digits, space, ``_`` and ``-``.

    Raises:
        InvalidValue: KSeF would answer 21405.
    """
    if not _NAME.fullmatch(name):
        raise InvalidValue("certificate_name_malformed", value=name[:100])
    return name


def parse_serial(text: str) -> str:
    """A certificate serial number, 16 hexadecimal digits; spaces and colons are taken off, letters made upper case.

    Raises:
        InvalidValue: anything else.
    """
    serial = re.sub(r"[\s:]", "", text).upper()
    if not _SERIAL.fullmatch(serial):
        raise InvalidValue("serial_malformed", value=text[:40])
    return serial


class Expiry(StrEnum):
    """How soon a certificate runs out. Each counts what the ones before it do not."""

    EXPIRED = "expired"
    WITHIN_7_DAYS = "within_7d"
    WITHIN_30_DAYS = "within_30d"
    WITHIN_90_DAYS = "within_90d"
    LATER = "later"


EXPIRES_WITHIN = {
    Expiry.EXPIRED: timedelta(),
    Expiry.WITHIN_7_DAYS: timedelta(days=7),
    Expiry.WITHIN_30_DAYS: timedelta(days=30),
    Expiry.WITHIN_90_DAYS: timedelta(days=90),
}


class Origin(StrEnum):
    """How a certificate came into the vault."""

    ISSUED = "issued"
    IMPORTED = "imported"


@dataclass(frozen=True)
class HeldCertificate:
    """A KSeF certificate whose private key is in our vault, or on our card or HSM.

    Attributes:
        der: the certificate.
        key_id: its key in the vault.
        key_on_token: whether only the key's name is there, and the key itself on the installation's card or HSM.
        verified_at: when it was proved by a login or a KOD II check; None: not yet.
        revoked_at: when we learned that it is revoked.
    """

    environment: Environment
    serial_number: str
    subject: Subject
    type: CertificateType
    name: str
    common_name: str
    valid_from: datetime
    valid_to: datetime
    der: bytes = field(repr=False)
    key_id: str
    origin: Origin
    verified_at: datetime | None = None
    revoked_at: datetime | None = None
    key_on_token: bool = False

    def usable(self, now: datetime) -> bool:
        """Not revoked as far as we know, inside its dates, and proved where it was issued here."""
        trusted = self.verified_at is not None or self.origin is Origin.IMPORTED
        return trusted and self.revoked_at is None and self.valid_from <= now < self.valid_to

"""Names of certificates in KSeF: unique, readable for a person, inside KSeF's rules (facts.md §3.6)."""

from __future__ import annotations

from datetime import datetime

from klucznik.domain.certificates import CertificateType, check_name

_WORDS = {CertificateType.AUTHENTICATION: "uwierzytelnienie", CertificateType.OFFLINE: "offline"}

# How every name begins that Klucznik gives, on any installation.
OURS = "Klucznik "


def certificate_name(kind: CertificateType, now: datetime, issuance_id: str, attempt: int = 1) -> str:
    """For example ``Klucznik offline 2026-11-23 5f0c9a41e2b7``: the last word finds a request whose answer was lost.

    Args:
        attempt: of the issuance at this type; from the second on it is part of the name.
    """
    number = f"-{attempt}" if attempt > 1 else ""
    return check_name(f"{OURS}{_WORDS[kind]} {now:%Y-%m-%d} {issuance_id[:12]}{number}")


def named_for(name: str, issuance_id: str) -> bool:
    """Whether a certificate of that name was asked for by this issuance."""
    return name.startswith(OURS) and name.rpartition(" ")[2].partition("-")[0] == issuance_id[:12]

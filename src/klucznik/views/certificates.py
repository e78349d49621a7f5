"""A subject's limits and certificates, in the vault and in KSeF."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.identifiers import Subject
from klucznik.services.certificates import SubjectCertificates
from klucznik.services.export import Exported
from klucznik.services.limits import SubjectLimits
from klucznik.services.revoke import Revoked
from klucznik.views.parts import Json, certificate, context, limits, moment, subject


def subject_limits(value: SubjectLimits) -> Json:
    return {"outcome": "limits", **limits_of_subject(value)}


def limits_of_subject(value: SubjectLimits) -> dict[str, Json]:
    """Both limits, and whose they are."""
    return {
        "subject": subject(value.subject),
        "context": context(value.context),
        "limits": limits(value.limits),
    }


def vault(held: list[HeldCertificate], programs: Mapping[str, tuple[str, ...]]) -> Json:
    """What the vault holds."""
    return {
        "outcome": "certificates",
        "source": "vault",
        "certificates": [in_vault(one, programs.get(one.serial_number, ())) for one in held],
    }


def in_vault(value: HeldCertificate, programs: Sequence[str]) -> dict[str, Json]:
    """A certificate whose key is here."""
    return {
        **certificate(value),
        "subject": subject(value.subject),
        "origin": value.origin.value,
        "revoked_at": moment(value.revoked_at),
        "programs": list(programs),
    }


def with_pem(value: HeldCertificate, programs: Sequence[str]) -> dict[str, Json]:
    """The same with the certificate itself, as PEM."""
    return {**in_vault(value, programs), "pem": ssl.DER_cert_to_PEM_cert(value.der)}


def listed(value: SubjectCertificates) -> Json:
    """What KSeF lists."""
    return {"outcome": "certificates", "source": "ksef", **listed_of_subject(value)}


def listed_of_subject(value: SubjectCertificates) -> dict[str, Json]:
    """All certificates of a subject, as KSeF lists them."""
    return {
        "subject": subject(value.subject),
        "certificates": [
            {
                "type": one.record.type.value,
                "serial": one.record.serial_number,
                "name": one.record.name,
                "status": one.record.status.value,
                "valid_from": moment(one.record.valid_from),
                "valid_to": moment(one.record.valid_to),
                "requested_at": moment(one.record.requested_at),
                "last_used_at": moment(one.record.last_used_at),
                "key_in_vault": one.held,
            }
            for one in value.certificates
        ],
    }


def revoked(value: Revoked) -> Json:
    return {"outcome": "revoked", **revocation(value)}


def revocation(value: Revoked) -> dict[str, Json]:
    """What was revoked."""
    return {
        "serial": value.record.serial_number,
        "type": value.record.type.value,
        "name": value.record.name,
        "key_in_vault": value.was_held,
        "programs": list(value.programs),
        "sessions_ended": value.sessions_ended,
    }


def exported(files: list[Exported], program: str | None) -> Json:
    return {
        "outcome": "exported",
        "program": program,
        "certificates": [{**certificate(one.certificate), "files": [str(file) for file in one.files]} for one in files],
    }


def imported(value: HeldCertificate) -> Json:
    return {"outcome": "imported", "subject": subject(value.subject), "certificate": certificate(value)}


def test_credential(whose: Subject, certificate_file: Path, key_file: Path) -> Json:
    return {
        "outcome": "test_credential",
        "subject": subject(whose),
        "certificate_file": str(certificate_file),
        "key_file": str(key_file),
    }

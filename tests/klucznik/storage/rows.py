"""Rows for the tests of storage: a plan, its enrollments and their keys."""

from datetime import UTC, datetime

from sqlalchemy import Connection

from klucznik.domain.certificates import PAIR, CertificateType
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, IssuanceState
from klucznik.domain.keytype import KeyType
from klucznik.domain.sealed import KeyBinding, SealedKey, WrappedDataKey
from klucznik.storage import issuances, private_keys

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
SUBJECT = Subject(SubjectType.PESEL, "80010112345")
OTHER_SUBJECT = Subject(SubjectType.NIP, "5265877635")
BINDING = KeyBinding(Environment.TEST, SUBJECT.type, SUBJECT.value)


def plan(number: int = 1, *, state: IssuanceState = IssuanceState.UNDERWAY, subject: Subject = SUBJECT) -> Issuance:
    return Issuance(
        id=f"issuance-{number}",
        environment=Environment.TEST,
        context=Context.of_nip("5265877635"),
        subject=subject,
        key_type=KeyType.EC,
        state=state,
        missing=PAIR,
        created_at=NOW,
    )


def request(kind: CertificateType = CertificateType.AUTHENTICATION, *, of: Issuance | None = None) -> Enrollment:
    issuance = of or plan()
    return Enrollment(
        id=f"{issuance.id}-{kind.value}",
        issuance_id=issuance.id,
        type=kind,
        name=f"Klucznik {kind.value} {issuance.id}",
        key_id=f"key-{issuance.id}-{kind.value}",
        csr=b"\x30\x00csr",
        state=EnrollmentState.KEY_COMMITTED,
    )


def save_data_key(connection: Connection) -> None:
    private_keys.add_data_key(connection, WrappedDataKey("data-key", "master", b"n" * 12, b"c" * 48), now=NOW)


def save_key(connection: Connection, key_id: str) -> None:
    private_keys.add(
        connection,
        SealedKey(key_id, "AES-256-GCM", "data-key", b"n" * 12, b"sealed " + key_id.encode()),
        BINDING,
        now=NOW,
    )


def save_underway(connection: Connection, number: int = 1) -> tuple[Issuance, list[Enrollment]]:
    """An issuance with both keys committed."""
    issuance = plan(number)
    issuances.add(connection, issuance, now=NOW)
    enrollments = [request(kind, of=issuance) for kind in PAIR]
    for enrollment in enrollments:
        save_key(connection, enrollment.key_id)
        issuances.add_enrollment(connection, enrollment, now=NOW)
    return issuance, enrollments

"""The ways out of a refusal: which there are, in which order, and what each can promise."""

from datetime import UTC, datetime, timedelta

import pytest

from klucznik.domain.certificates import CertificateRecord, CertificateStatus, CertificateType
from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.reasons import RemedyKind
from klucznik.domain.remedies import Remedy, plan

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GRANT, IMPORT, REVOKE = RemedyKind.GRANT_PERMISSION, RemedyKind.IMPORT, RemedyKind.REVOKE
WAIT_REQUESTS, WAIT_SLOT = RemedyKind.WAIT_FOR_REQUESTS, RemedyKind.WAIT_FOR_CERTIFICATE_SLOT


def record(
    number: int, *, status: CertificateStatus = CertificateStatus.ACTIVE, used: bool = False, days_old: int = 1
) -> CertificateRecord:
    filed = NOW - timedelta(days=days_old)
    return CertificateRecord(
        serial_number=f"{number:016X}",
        name="Klucznik",
        type=CertificateType.AUTHENTICATION,
        status=status,
        subject=None,
        common_name="Firma",
        valid_from=filed,
        valid_to=filed + timedelta(days=730),
        requested_at=filed,
        last_used_at=NOW if used else None,
    )


def ways_out(
    enrollment: int,
    certificate: int,
    records: tuple[CertificateRecord, ...] = (),
    *,
    held: frozenset[str] = frozenset(),
    can_request: bool = True,
) -> tuple[Remedy, ...]:
    limits = Limits(can_request, Allowance(enrollment, 12), Allowance(certificate, 6))
    return plan(limits, 2, certificates=records, held_keys=held, requested_at=[], now=NOW)


@pytest.mark.parametrize(
    ("enrollment", "certificate", "listed", "expected"),
    [
        (0, 6, 0, [GRANT, WAIT_REQUESTS]),
        (1, 6, 1, [GRANT, IMPORT, WAIT_REQUESTS]),
        (12, 0, 6, [GRANT, IMPORT, REVOKE, WAIT_SLOT]),
        (12, 1, 5, [GRANT, IMPORT, REVOKE, WAIT_SLOT]),
        (0, 0, 6, [GRANT, IMPORT, REVOKE, WAIT_REQUESTS, WAIT_SLOT]),
        (12, 0, 0, [GRANT, REVOKE, WAIT_SLOT]),
    ],
)
def test_what_works_at_once_comes_first_and_waiting_last(
    enrollment: int, certificate: int, listed: int, expected: list[RemedyKind]
) -> None:
    records = tuple(record(number) for number in range(listed))
    assert [remedy.kind for remedy in ways_out(enrollment, certificate, records)] == expected


def test_no_remedy_promises_a_request_back() -> None:
    records = tuple(record(number) for number in range(6))
    assert {remedy.frees_requests for remedy in ways_out(0, 0, records)} == {0}


def test_revoking_is_offered_for_active_certificates_only_the_unused_and_oldest_first() -> None:
    records = (
        record(1, used=True, days_old=90),
        record(2, days_old=5),
        record(3, days_old=50),
        record(4, status=CertificateStatus.REVOKED),
        record(5, status=CertificateStatus.BLOCKED),
        record(6, status=CertificateStatus.EXPIRED),
    )
    (revoke,) = [remedy for remedy in ways_out(12, 0, records) if remedy.kind is REVOKE]
    assert [int(serial, 16) for serial in revoke.serial_numbers] == [3, 2, 1]
    assert revoke.frees_certificates == 3


def test_importing_is_offered_for_certificates_whose_key_is_elsewhere() -> None:
    ours, foreign = record(1), record(2)
    (brought,) = [
        remedy
        for remedy in ways_out(0, 6, (ours, foreign), held=frozenset({ours.serial_number}))
        if remedy.kind is IMPORT
    ]
    assert brought.serial_numbers == (foreign.serial_number,)
    kinds = {remedy.kind for remedy in ways_out(0, 6, (ours,), held=frozenset({ours.serial_number}))}
    assert IMPORT not in kinds


def test_revoked_certificates_are_still_evidence_of_requests() -> None:
    """Revoking gives no request back, so their dates say when requests may."""
    records = (record(1, status=CertificateStatus.REVOKED, days_old=12),)
    (wait,) = [remedy for remedy in ways_out(0, 6, records) if remedy.kind is WAIT_REQUESTS]
    assert wait.estimate is not None
    assert wait.estimate.earliest == NOW + timedelta(days=18)
    assert wait.estimate.known == 1


def test_where_only_ksef_itself_says_no_waiting_is_offered_without_an_invented_day() -> None:
    (wait,) = [remedy for remedy in ways_out(12, 6, can_request=False) if remedy.kind is WAIT_REQUESTS]
    assert wait.estimate is not None
    assert (wait.estimate.earliest, wait.estimate.latest) == (None, None)

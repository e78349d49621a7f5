"""After KSeF has accepted: its status is asked for until it is done, and what it has issued is fetched and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from klucznik.domain.audit import Event
from klucznik.domain.certificates import HeldCertificate
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance
from klucznik.domain.waits import WaitKind, believed, pause
from klucznik.errors import KsefRefused, KsefUnavailable, Paced, RateLimited, VerificationFailed
from klucznik.services import proof
from klucznik.services.progress import Progress, Stage
from klucznik.services.road.commits import Road, told_of
from klucznik.services.road.waiting import obey, park, rest
from klucznik.storage import certificates, issuances


async def poll(road: Road, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
    """Ask for the first request only until it is done: its twin, filed a moment later, is ready by then."""
    pending = list(those)
    while pending:
        since = pending[0].requested_at or road.now
        if (resting := await rest(road, issuance, WaitKind.PROCESSING, since)).wait is not None:
            return resting
        try:
            while pending and not await _still_pending(road, pending[0]):
                del pending[0]
        except (RateLimited, Paced) as error:
            return await obey(road, issuance, error)
    return issuance


async def _still_pending(road: Road, enrollment: Enrollment) -> bool:
    try:
        session = await road.login.session()
        status = await session.enrollment_status(enrollment.reference_number or "")
    except KsefRefused as error:
        if error.status == 410 or error.code == 25005:
            # The status is kept for 30 days only (facts.md §1.5); the certificate is found by its name.
            await road.move(enrollment, EnrollmentState.UNKNOWN, Event.STATUS_GONE, code=error.code)
            return False
        raise
    if status.pending:
        return True
    if status.issued:
        issued = replace(enrollment, certificate_serial_number=status.certificate_serial_number)
        await road.move(issued, EnrollmentState.ISSUED)
        road.listener(Progress(Stage.ISSUED, type=enrollment.type))
    else:
        await road.reject(enrollment, KsefRefused(code=status.code, text=status.text, details=status.details))
    return False


async def retrieve(road: Road, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
    serial_numbers = [enrollment.certificate_serial_number or "" for enrollment in those]
    retrieved = await (await road.login.session()).retrieve(serial_numbers)
    wrong: list[tuple[Enrollment, VerificationFailed]] = []
    missing: KsefUnavailable | None = None
    for enrollment in those:  # what is right is kept, whatever is wrong with the other
        try:
            held = proof.find_ours(issuance, enrollment, retrieved, now=road.now)
        except VerificationFailed as error:
            wrong.append((enrollment, error))
        except KsefUnavailable as error:
            missing = error
        else:
            await _keep(road, enrollment, held)
    if wrong:
        return await _ask_again(road, issuance, wrong)
    if missing is not None:
        raise missing
    return issuance


async def _keep(road: Road, enrollment: Enrollment, held: HeldCertificate) -> None:
    def commit(connection: Connection) -> None:
        certificates.add(connection, held, now=road.now)
        issuances.save_enrollment(connection, enrollment, EnrollmentState.RETRIEVED, now=road.now)

    await road.commit(commit, told_of(enrollment, Event.CERTIFICATE_RETRIEVED))
    road.listener(Progress(Stage.RETRIEVED, type=enrollment.type))


async def _ask_again(
    road: Road, issuance: Issuance, wrong: Sequence[tuple[Enrollment, VerificationFailed]]
) -> Issuance:
    """One wrong answer says nothing about the certificate that KSeF holds; only one that stays is its last word."""
    kind, before = WaitKind.WRONG_CERTIFICATE, road.before
    _, error = wrong[0]
    if believed(before, road.now):
        for enrollment, failed in wrong:
            await road.reject(enrollment, failed)
        raise error
    until_then = pause(kind, before.looks if before is not None and before.kind is kind else 0)
    road.listener(Progress(Stage.WAITING_FOR_KSEF, seconds=until_then.total_seconds()))
    return await park(road, issuance, kind, road.now + until_then, error.reason)

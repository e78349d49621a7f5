"""The request that spends. It is sent once; what becomes of it without an answer is settled in `doubt`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from klucznik.domain.audit import Event, Fact, limits_facts
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance, IssuanceState
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Finding, preflight
from klucznik.errors import (
    AnswerLost,
    KsefRefused,
    KsefUnavailable,
    Paced,
    RateLimited,
    SentTooLate,
    SignatureNeeded,
)
from klucznik.ksef.session import Session
from klucznik.services.progress import Progress, Stage
from klucznik.services.reserve import kept_back
from klucznik.services.road.beginning import explain, refused_by, wait_for_limits
from klucznik.services.road.commits import Road
from klucznik.services.road.ending import end
from klucznik.services.road.waiting import obey

# Between the commit of the intent and the last byte of the POST nothing waits but a new connection (4 s at most); more
# means a frozen process. With the answer (12 s) this stays inside the lease.
_SENT_AT_ONCE = timedelta(seconds=7)


async def send(road: Road, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
    (enrollment,) = those
    rows = await road.rows(issuance)
    unsent = [row for row in rows if row.state is EnrollmentState.KEY_COMMITTED]
    # The login and the turn come first: nothing waits between the limits, the intent and the POST.
    session = await road.login.session()
    try:
        if await session.turn_to_enroll():
            road.limits.forget()
    except (RateLimited, Paced) as error:
        return await obey(road, issuance, error)
    limits = await road.limits.fresh()
    # What has begun is finished: what is kept back for renewals counts only while nothing was filed.
    reserved = await kept_back(road.installation, issuance) if len(unsent) == len(rows) else 0
    # Of fresh limits, what this walk has itself filed since reading them is taken off.
    findings = preflight(limits, len(unsent) + road.limits.filed_since, reserved=reserved)
    if findings:
        return await _stop_sending(road, issuance, unsent, limits, findings)
    before = limits.enrollment.remaining - road.limits.filed_since
    intended = replace(enrollment, sent_at=road.now, remaining_before=before)
    facts: dict[str, Fact] = {"remaining_before": before, "limits": limits_facts(limits)}
    sending = await road.move(intended, EnrollmentState.SENDING, Event.REQUEST_INTENDED, **facts)
    return await _post(road, issuance, sending, session)


async def _post(road: Road, issuance: Issuance, enrollment: Enrollment, session: Session) -> Issuance:
    send_by = (enrollment.sent_at or road.now) + _SENT_AT_ONCE
    try:
        ticket = await session.enroll(
            name=enrollment.name, type=enrollment.type, csr=enrollment.csr, send_by=send_by, in_turn=True
        )
    except SentTooLate:
        # This process was frozen after the commit. Somebody else may have taken the subject over since, so it asks
        # first: this commit fails where the lease has moved on.
        await road.move(enrollment, EnrollmentState.KEY_COMMITTED, why="frozen")
        road.limits.forget()
        return issuance
    except AnswerLost:
        road.limits.forget()
        await road.move(enrollment, EnrollmentState.UNKNOWN)
        road.listener(Progress(Stage.ANSWER_LOST, type=enrollment.type))
        return issuance
    except (RateLimited, Paced) as error:
        await road.move(enrollment, EnrollmentState.KEY_COMMITTED, why=error.reason)
        return await obey(road, issuance, error)
    except KsefRefused as error:
        if error.status in (401, 403):  # about the login, not about the request: nothing was filed
            await road.move(enrollment, EnrollmentState.KEY_COMMITTED, why=error.reason, status=error.status)
            raise
        await road.reject(enrollment, error)
        return issuance
    except (KsefUnavailable, SignatureNeeded) as error:  # the request never left this machine
        await road.move(enrollment, EnrollmentState.KEY_COMMITTED, why=error.reason)
        raise
    road.limits.filed_since += 1
    filed = replace(enrollment, reference_number=ticket.reference_number, requested_at=ticket.timestamp)
    await road.move(filed, EnrollmentState.REQUESTED)
    road.listener(Progress(Stage.REQUEST_FILED, type=enrollment.type))
    return issuance


async def _stop_sending(
    road: Road, issuance: Issuance, unsent: Sequence[Enrollment], limits: Limits, findings: tuple[Finding, ...]
) -> Issuance:
    """The limits have shrunk since they were first read: nothing more is sent; what was sent is finished."""
    filed = len(await road.rows(issuance)) - len(unsent)
    refusal = await explain(road, issuance, limits, findings, [row.type for row in unsent])
    road.refusal = replace(refusal, filed=filed)
    if not filed and (patient := await wait_for_limits(road, issuance, refusal)) is not None:
        return patient
    # All in one: a crash that left one of two behind would later send it alone, half a pair.
    refused = refused_by(issuance, limits, findings, len(unsent))
    ended = issuance if filed else replace(issuance, state=IssuanceState.REFUSED)
    return await end(road, ended, unsent, refused)

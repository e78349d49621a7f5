"""A request whose answer was lost, or whose sender died: whether it arrived is found out, and nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from klucznik.domain.audit import Event
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance
from klucznik.domain.waits import WaitKind
from klucznik.errors import KsefRefused
from klucznik.services import reconcile
from klucznik.services.progress import Progress, Settled, Stage
from klucznik.services.road.commits import Road
from klucznik.services.road.waiting import rest
from klucznik.services.sign_in import SignedIn


async def settle(road: Road, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
    (enrollment,) = those
    if enrollment.state is EnrollmentState.SENDING:  # a crash left it so
        enrollment = await road.move(enrollment, EnrollmentState.UNKNOWN, why="interrupted")
    if (resting := await rest(road, issuance, WaitKind.UNSETTLED)).wait is not None:
        return resting
    road.limits.forget()
    signed_in = SignedIn(await road.login.session(), issuance.subject)
    verdict = await reconcile.investigate(road.installation, signed_in, enrollment)
    if verdict is not None:
        settled = await _decided(road, enrollment, verdict)
        road.listener(Progress(Stage.RECONCILED, type=enrollment.type, settled=settled))
    return issuance


async def _decided(road: Road, enrollment: Enrollment, verdict: reconcile.Verdict) -> Settled:
    if verdict.given_up:
        # Not sent again: it may have been spent. Whoever orders anew starts from the limits.
        gone = KsefRefused("enrollment_given_up")
        await road.reject(enrollment, gone, Event.RECONCILED_GIVEN_UP, **verdict.evidence)
        return Settled.GIVEN_UP
    if verdict.serial_number is None:
        never_arrived = Event.RECONCILED_NEVER_ARRIVED
        await road.move(enrollment, EnrollmentState.KEY_COMMITTED, never_arrived, **verdict.evidence)
        return Settled.NEVER_ARRIVED
    found = replace(
        enrollment,
        certificate_serial_number=verdict.serial_number,
        requested_at=enrollment.requested_at or verdict.requested_at,
    )
    await road.move(found, EnrollmentState.ISSUED, Event.RECONCILED_ADOPTED, **verdict.evidence)
    return Settled.ADOPTED if enrollment.reference_number is None else Settled.FOUND_AGAIN

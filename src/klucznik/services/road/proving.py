"""Proving what was fetched: a real login with the one certificate, a signed and verified KOD II link with the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from klucznik.domain.audit import Entry, Event, Fact, limits_facts
from klucznik.domain.certificates import CertificateType
from klucznik.domain.issuance import Enrollment, EnrollmentState, Issuance
from klucznik.domain.waits import WaitKind
from klucznik.errors import KsefUnavailable, Paced, RateLimited, SignInRefused, VerificationFailed
from klucznik.services import proof
from klucznik.services.connections import record_issued
from klucznik.services.progress import Progress, Stage
from klucznik.services.road.commits import Road
from klucznik.services.road.waiting import park, park_until_it_answers
from klucznik.services.together import together
from klucznik.storage import certificates, issuances, onboardings

# Status of a sign-in with a certificate that is revoked, suspended or expired (facts.md §2.7).
_CERTIFICATE_INVALID = 460


async def verify(road: Road, issuance: Issuance, those: Sequence[Enrollment]) -> Issuance:
    road.listener(Progress(Stage.VERIFYING))
    session = await road.login.session()
    # Where the user is now: rights in the company in which the issuance began may be gone since.
    context = session.context
    try:
        # The longer road first: it takes the connection that is open, and the shorter one waits for a second.
        proofs, limits = await together(proof.prove_all(road.installation, context, those), session.limits())
    except SignInRefused as error:
        if error.code == _CERTIFICATE_INVALID:
            await _reject_authentication(road, those, error)
        elif error.passing:
            return await _prove_later(road, issuance, error)
        raise VerificationFailed(
            "new_certificate_cannot_sign_in", code=error.code, text=error.text, details=" ".join(error.details)
        ) from None
    except KsefUnavailable as error:
        return await _prove_later(road, issuance, error)

    def commit(connection: Connection) -> Issuance:
        for enrollment in those:
            issuances.save_enrollment(connection, enrollment, EnrollmentState.VERIFIED, now=road.now)
            serial_number = enrollment.certificate_serial_number or ""
            certificates.mark_verified(connection, issuance.environment, serial_number, now=road.now)
        if any(enrollment.type is CertificateType.AUTHENTICATION for enrollment in those):
            record_issued(
                road.installation,
                connection,
                context,
                issuance.subject,
                renewed=issuance.replaces is not None,
                replaced=onboardings.replaced_by(connection, issuance.id),
            )
        return issuances.save(connection, replace(issuance, limits_after=limits), now=road.now)

    proved: dict[str, Fact] = {
        "limits": limits_facts(limits),
        "proofs": [
            {"serial": one.serial_number, "login": one.reference_number, "kod2": one.link is not None} for one in proofs
        ],
    }
    saved = await road.commit(commit, Entry(Event.CERTIFICATES_PROVED, proved, issuance.id))
    road.proofs += tuple(proofs)
    for enrollment in those:
        road.listener(Progress(Stage.VERIFIED, type=enrollment.type))
    return saved


async def _prove_later(road: Road, issuance: Issuance, error: SignInRefused | KsefUnavailable) -> Issuance:
    """The certificates are in the vault; that KSeF does not answer now says nothing about them."""
    if isinstance(error, (RateLimited, Paced)):
        return await park(road, issuance, WaitKind.PACED, error.until, error.reason)
    return await park_until_it_answers(road, issuance, error.reason)


async def _reject_authentication(road: Road, those: Sequence[Enrollment], error: SignInRefused) -> None:
    """The certificate will never sign in (revoked meanwhile): its road ends, lest it bar the subject for good."""
    for enrollment in those:
        if enrollment.type is CertificateType.AUTHENTICATION:
            await road.reject(enrollment, error)

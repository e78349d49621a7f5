"""Whether a request whose answer was lost has arrived at KSeF. Reads only; never sends a request.

KSeF has no list of requests and no idempotency key (facts.md §3.6). The evidence there is: a certificate by the unique
name with our public key, and the counter of requests before and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from klucznik.domain.audit import Fact
from klucznik.domain.certificates import CertificateRecord
from klucznik.domain.issuance import Enrollment
from klucznik.domain.renewal_window import REQUEST_WINDOW
from klucznik.ksef.answers import RetrievedCertificate
from klucznik.services.installation import Installation
from klucznik.services.sign_in import SignedIn
from klucznik.storage import issuances

# A request that its sender gave up may still be on its way through KSeF's gateways. Before this much time has passed
# since the POST, an unchanged counter proves nothing.
SETTLES = timedelta(seconds=90)
# KSeF issues within minutes. What it does not list a day later is given up, lest the doubt bar the subject for good.
GIVEN_UP_AFTER = timedelta(days=1)
# Of a request in a backup the counter of that time says nothing; it can only be listed, and what is not listed by this
# time after the restore is given up, never sent.
GIVEN_UP_AFTER_A_RESTORE = timedelta(hours=1)
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class Verdict:
    """What became of the request: a certificate, or (None) it never arrived, or (None, `given_up`) nobody can tell.

    Attributes:
        evidence: on what it rests, for the audit log.
    """

    serial_number: str | None
    requested_at: datetime | None = None
    given_up: bool = False
    evidence: Mapping[str, Fact] = field(default_factory=dict)


async def investigate(installation: Installation, signed_in: SignedIn, enrollment: Enrollment) -> Verdict | None:
    """Look once. None: it cannot be told yet; nothing was sent, looking again later is safe."""
    listed = await _listed(signed_in, enrollment)
    evidence: dict[str, Fact]
    for record in listed:
        given = (await signed_in.session.retrieve([record.serial_number])).get(record.serial_number)
        if given is not None and _has_our_key(given, enrollment):
            evidence = {"listed_under_its_name": len(listed), "public_key": "ours"}
            return Verdict(record.serial_number, record.requested_at, evidence=evidence)
    now = installation.clock.now()
    evidence = {
        "listed_under_its_name": len(listed),
        "remaining_before": enrollment.remaining_before,
        "seconds_since": None if enrollment.sent_at is None else int((now - enrollment.sent_at).total_seconds()),
    }
    # What is listed under our name did arrive, even where KSeF does not hand it out or gives something else for it.
    if not listed and await _never_arrived(installation, signed_in, enrollment, now):
        # The counter stands where it stood, and no older request can have come back: that is what it rests on.
        return Verdict(None, evidence={**evidence, "remaining_after": enrollment.remaining_before, "came_back": 0})
    patience = GIVEN_UP_AFTER if enrollment.remaining_before is not None else GIVEN_UP_AFTER_A_RESTORE
    if enrollment.sent_at is not None and now - enrollment.sent_at >= patience:
        return Verdict(None, given_up=True, evidence=evidence)
    return None


async def _listed(signed_in: SignedIn, enrollment: Enrollment) -> list[CertificateRecord]:
    """What KSeF lists under the very name of the request."""
    found = signed_in.session.certificates(name=enrollment.name)
    return [record async for record in found if record.name == enrollment.name and record.type is enrollment.type]


def _has_our_key(given: RetrievedCertificate, enrollment: Enrollment) -> bool:
    try:
        found = _public_key(x509.load_der_x509_certificate(given.der))
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        return False
    return found == _public_key(x509.load_der_x509_csr(enrollment.csr))


async def _never_arrived(
    installation: Installation, signed_in: SignedIn, enrollment: Enrollment, now: datetime
) -> bool:
    """The counter stands exactly where it stood, there was time enough, and no older request can have come back.

    A request that has a reference number did arrive. A counter that has grown, or that an expiring request may have
    pushed back up (rolling window, facts.md §4.4), proves nothing: then it stays unknown, which wastes nothing.
    """
    sent_at, before = enrollment.sent_at, enrollment.remaining_before
    if enrollment.reference_number is not None or sent_at is None or before is None or now - sent_at < SETTLES:
        return False
    limits = await signed_in.session.limits()
    if limits.enrollment.remaining != before:
        return False
    return not await _came_back_since(installation, signed_in, sent_at, now)


async def _came_back_since(installation: Installation, signed_in: SignedIn, since: datetime, now: datetime) -> bool:
    """Whether a request we know of may have left the 30-day window meanwhile and so hidden ours in the counter."""
    first, last = since - REQUEST_WINDOW - _CLOCKS_DIFFER, now - REQUEST_WINDOW + _CLOCKS_DIFFER
    times = [record.requested_at async for record in signed_in.session.certificates()]
    times += await installation.database.read(
        lambda connection: issuances.requests_since(connection, installation.environment, signed_in.subject, first)
    )
    return any(first <= moment <= last for moment in times)


def _public_key(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

"""Certificate requests: who may file one, what becomes of it and when (facts.md §3.4-3.7, §4.3).
Nothing runs in the background: requests that are due are processed when somebody next looks.
"""

import base64
import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ksef_sandbox import ca, csr, limits
from ksef_sandbox.errors import BadRequest, InvalidInput
from ksef_sandbox.identity import Holder, IdentityType
from ksef_sandbox.records import (
    ORDINARY,
    Certificate,
    CertificateType,
    Enrollment,
    Fate,
    KeyOwner,
    SignIn,
    SignInMethod,
    SpentRefusal,
    Status,
)
from ksef_sandbox.references import Kind
from ksef_sandbox.state import World

RETENTION = timedelta(days=30)  # facts.md §1.5
VALIDITY_YEARS = 2

IN_PROGRESS = Status(100, "Wniosek przyjęty do realizacji")
ISSUED = Status(200, "Wniosek obsłużony (certyfikat wygenerowany)")
KEY_OF_ANOTHER = Status(400, "Wniosek odrzucony", ("Klucz publiczny został już certyfikowany przez inny podmiot.",))
TOO_MANY_CERTIFICATES = Status(400, "Wniosek odrzucony", ("Osiągnięto dopuszczalny limit posiadanych certyfikatów.",))
CANCELLED = Status(
    550,
    "Operacja została anulowana przez system",
    ("Przetwarzanie zostało przerwane z przyczyn wewnętrznych systemu. Spróbuj ponownie",),
)

_P256_BITS = 255
_CSR_REFUSALS = (25003, 25004, 25010, 25011)


@dataclass(frozen=True, slots=True)
class Request:
    """A certificate request as it was sent; `csr` is Base64."""

    name: str
    type: CertificateType
    csr: str
    valid_from: datetime | None


def enrollment_data(world: World, session: SignIn) -> Holder | None:
    """Whose data the CSR must carry, normalised; None where this way of signing in gives no data (facts.md §3.4)."""
    holder = session.holder
    if holder is None or session.identity.type is IdentityType.PEPPOL_ID:
        return None
    if session.identity.type is IdentityType.FINGERPRINT and world.switches.fingerprint_enrollment == "25001":
        return None
    if not holder.common_name or not holder.country_name:
        return None
    return ca.without_suffix(holder) if _strips_suffix(world, session) else holder


def _strips_suffix(world: World, session: SignIn) -> bool:
    return session.method is SignInMethod.INTERNAL_CERTIFICATE and world.switches.strip_cn_suffix_in_data


def enroll(world: World, session: SignIn, request: Request, now: datetime, *, fate: Fate = ORDINARY) -> Enrollment:
    """File a request; raises BadRequest in the assumed order 21405, 25002, CSR, 25006, 25007 (facts.md §3.6)."""
    _check_valid_from(world, request.valid_from, now)
    holder = enrollment_data(world, session)
    if holder is None:
        raise BadRequest(25002)
    try:
        checked = csr.check(request.csr, holder)
    except BadRequest as refusal:
        if refusal.code in _CSR_REFUSALS:
            reference = world.randomness.reference(Kind.ENROLLMENT, now)
            world.refusals.put(SpentRefusal(reference, session.identity, now))
        raise
    _check_limits(world, session, now)
    enrollment = Enrollment(
        reference=world.randomness.reference(Kind.ENROLLMENT, now),
        identity=session.identity,
        holder=holder,
        name=request.name,
        type=request.type,
        public_key=base64.b64encode(checked.public_key_der).decode(),
        requested_at=now,
        ready_at=now + timedelta(milliseconds=world.switches.enroll_delay_ms) + fate.delay,
        valid_from=request.valid_from,
        fated=fate.outcome,
    )
    heappush(world.due_enrollments, (enrollment.ready_at, enrollment.reference))
    return world.enrollments.put(enrollment)


def _check_valid_from(world: World, valid_from: datetime | None, now: datetime) -> None:
    days = world.switches.max_valid_from_days
    if valid_from is not None and days and valid_from > now + timedelta(days=days):
        raise InvalidInput(f"'validFrom' must not lie more than {days} days ahead.")


def _check_limits(world: World, session: SignIn, now: datetime) -> None:
    process_due(world, now)
    found = limits.certificate_limits(world, session.identity, now)
    codes = [25006] if not found.enrollment.remaining else []
    codes += [25007] if not found.certificate.remaining else []
    if not codes:
        return
    first = int(world.switches.limit_code_priority)
    raise BadRequest(first if first in codes else codes[0])


def process_due(world: World, now: datetime) -> None:
    """Decide every request whose time has come, in the order of their times; call before looking at the outcome."""
    while world.due_enrollments and world.due_enrollments[0][0] <= now:
        _, reference = heappop(world.due_enrollments)
        enrollment = world.enrollments.get(reference)
        if enrollment is not None and enrollment.outcome is None:
            _decide(world, enrollment)


def by_another_program(world: World, session: SignIn, requests: int, certificates: int, now: datetime) -> bool:
    """Spend limits of the caller's identity as another program would: `requests` more requests, all issued, of which
    `certificates` stay active and the others are revoked. Never more than remains; False where this identity cannot.
    """
    holder = enrollment_data(world, session)
    if holder is None:
        return False
    process_due(world, now)
    found = limits.certificate_limits(world, session.identity, now)
    kept = min(certificates, found.certificate.remaining)
    for number in range(min(requests, found.enrollment.remaining)):
        key = ec.derive_private_key(world.randomness.integer(_P256_BITS) + 1, ec.SECP256R1()).public_key()
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        enrollment = Enrollment(
            reference=world.randomness.reference(Kind.ENROLLMENT, now),
            identity=session.identity,
            holder=holder,
            name="Inny program",
            type=CertificateType.AUTHENTICATION,
            public_key=base64.b64encode(key.public_bytes(encoding, form)).decode(),
            requested_at=now,
            ready_at=now,
            valid_from=None,
        )
        certificate = _issue(world, enrollment)
        if number >= kept:
            world.certificates.put(replace(certificate, blocked_at=now, revoked_at=now))
        world.enrollments.put(replace(enrollment, outcome=ISSUED, certificate_serial=certificate.serial))
    return True


def _decide(world: World, enrollment: Enrollment) -> None:
    if enrollment.fated is not None:
        world.enrollments.put(replace(enrollment, outcome=enrollment.fated))
        return
    key_hash = hashlib.sha256(base64.b64decode(enrollment.public_key)).hexdigest()
    owner = world.key_owners.get(key_hash)
    reuse_allowed = owner is None or (
        owner.identity == enrollment.identity and world.switches.allow_same_subject_key_reuse
    )
    if not reuse_allowed:
        world.enrollments.put(replace(enrollment, outcome=KEY_OF_ANOTHER))
        return
    active = limits.active_certificates(world, enrollment.identity, enrollment.ready_at)
    if active >= limits.maxima(world, enrollment.identity).certificates:
        world.enrollments.put(replace(enrollment, outcome=TOO_MANY_CERTIFICATES))
        return
    certificate = _issue(world, enrollment)
    if owner is None:
        world.key_owners.put(KeyOwner(key_hash, enrollment.identity))
    world.enrollments.put(replace(enrollment, outcome=ISSUED, certificate_serial=certificate.serial))


def _issue(world: World, enrollment: Enrollment) -> Certificate:
    # A start in the past is taken as "now" (ASSUME of §3.6); certificates know whole seconds only.
    start = max(enrollment.valid_from or enrollment.ready_at, enrollment.ready_at)
    valid_from = start.astimezone(UTC).replace(microsecond=0)
    public_key = serialization.load_der_public_key(base64.b64decode(enrollment.public_key))
    order = ca.Order(
        serial=world.randomness.certificate_serial(),
        type=enrollment.type,
        holder=enrollment.holder,
        public_key=cast(csr.CsrKey, public_key),  # checked when the request came
        valid_from=valid_from,
        valid_to=_years_later(valid_from, VALIDITY_YEARS),
    )
    der = world.ca.issue(order).public_bytes(serialization.Encoding.DER)
    return world.certificates.put(
        Certificate(
            serial=order.serial,
            name=enrollment.name,
            type=enrollment.type,
            identity=enrollment.identity,
            common_name=ca.common_name(enrollment.holder, enrollment.type),
            requested_at=enrollment.requested_at,
            valid_from=order.valid_from,
            valid_to=order.valid_to,
            der=base64.b64encode(der).decode(),
        )
    )


def _years_later(moment: datetime, years: int) -> datetime:
    year = min(moment.year + years, 9999)
    try:
        return moment.replace(year=year)
    except ValueError:  # 29 February
        return moment.replace(year=year, day=28)

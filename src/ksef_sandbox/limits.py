"""Certificate limits of a subject: maxima, what is used, what remains (facts.md §4).
Also the limits of a context and the API rate values that can be read; counting API calls is done in `ratelimits.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ksef_sandbox import rights
from ksef_sandbox.identity import ContextIdentifier, Identity, IdentityType
from ksef_sandbox.records import Certificate, RateValues, SessionLimits, identity_key
from ksef_sandbox.state import World
from ksef_sandbox.switches import Switches


@dataclass(frozen=True, slots=True)
class Maxima:
    """How many requests a subject may file in a period, and how many active certificates it may hold."""

    enrollments: int
    certificates: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit and how much of it is used; a limit lowered below the used count leaves 0."""

    limit: int
    used: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class CertificateLimits:
    """The answer of GET /certificates/limits."""

    enrollment: Allowance
    certificate: Allowance

    @property
    def can_request(self) -> bool:
        return self.enrollment.remaining > 0 and self.certificate.remaining > 0


# facts.md §4.2; a Peppol provider cannot own certificates
DEFAULTS = {
    IdentityType.NIP: Maxima(300, 100),
    IdentityType.PESEL: Maxima(12, 6),
    IdentityType.FINGERPRINT: Maxima(12, 6),
    IdentityType.PEPPOL_ID: Maxima(0, 0),
}

SESSION_DEFAULTS = SessionLimits(
    max_invoice_size_mb=1, max_invoice_with_attachment_size_mb=3, max_invoices=10_000
)  # example of GET /limits/context in the specification
COLLECTIVE_DEFAULT = 500  # POST /collective-identifiers in the specification

# x-rate-limits of the specification and facts.md §1.4
PRODUCTION_RATES = {
    "onlineSession": RateValues(10, 30, 120),
    "batchSession": RateValues(10, 20, 60),
    "invoiceSend": RateValues(10, 30, 180),
    "invoiceStatus": RateValues(30, 120, 1200),
    "sessionList": RateValues(5, 10, 60),
    "sessionInvoiceList": RateValues(10, 20, 200),
    "sessionMisc": RateValues(10, 120, 1200),
    "invoiceMetadata": RateValues(8, 16, 20),
    "invoiceExport": RateValues(8, 16, 20),
    "invoiceExportStatus": RateValues(10, 60, 600),
    "invoiceDownload": RateValues(8, 16, 64),
    "collectiveIdentifier": RateValues(10, 60, 120),
    "other": RateValues(10, 30, 120),
}
# What API 2.9 shows besides (facts.md §1.4); -1 is no limit. Test data cannot set these.
RATES_SINCE_2_9 = {
    "onlineSessionClose": RateValues(20, 60, 240),
    "batchSessionClose": RateValues(20, 40, 120),
    "anonymous": RateValues(60, -1, -1),
    "global": RateValues(-1, -1, -1),
}
RATE_BOUND = 10  # test data may set up to this many times the production value
_HIGHEST_RATES = {
    name: RateValues(values.per_second * RATE_BOUND, values.per_minute * RATE_BOUND, values.per_hour * RATE_BOUND)
    for name, values in PRODUCTION_RATES.items()
}


def maxima(world: World, identity: Identity) -> Maxima:
    """The effective maxima: the default of the identity's type, or what test data have set."""
    default = DEFAULTS[identity.type]
    override = world.subject_limits.get(identity_key(identity))
    if override is None:
        return default
    return Maxima(
        default.enrollments if override.max_enrollments is None else override.max_enrollments,
        default.certificates if override.max_certificates is None else override.max_certificates,
    )


def certificate_limits(world: World, identity: Identity, now: datetime) -> CertificateLimits:
    """Both limits of a subject at this moment; requests that are due must have been processed before."""
    subjects = [identity]
    if world.switches.nip_pesel_link_scope == "revoke+query+limits":
        subjects += rights.linked(world, identity, now)
    limit = maxima(world, identity)
    moments = sorted(moment for subject in subjects for moment in _spent(world, subject))
    active = sum(active_certificates(world, subject, now) for subject in subjects)
    if world.switches.pending_reserves_slot:
        active += sum(_pending(world, subject) for subject in subjects)
    return CertificateLimits(
        enrollment=Allowance(limit.enrollments, count_in_window(moments, now, world.switches)),
        certificate=Allowance(limit.certificates, active),
    )


def active_certificates(world: World, identity: Identity, now: datetime) -> int:
    """Certificates that hold a slot: not revoked or being revoked, not expired; future ones count (facts.md §4.3)."""
    grace = timedelta(days=world.switches.active_grace_days)
    return sum(_holds_slot(c, now, grace) for c in world.certificates.where(world.certificates_by_identity, identity))


def _holds_slot(certificate: Certificate, now: datetime, grace: timedelta) -> bool:
    blocked = certificate.blocked_at is not None and certificate.blocked_at <= now
    return not blocked and certificate.valid_to > now + grace


def _pending(world: World, identity: Identity) -> int:
    enrollments = world.enrollments.where(world.enrollments_by_identity, identity)
    return sum(enrollment.outcome is None for enrollment in enrollments)


def _spent(world: World, identity: Identity) -> list[datetime]:
    """Moments of the requests that count, by the switches of facts.md §4.3."""
    enrollments = world.enrollments.where(world.enrollments_by_identity, identity)
    rejected_count = world.switches.count_async_rejected
    moments = [
        enrollment.requested_at
        for enrollment in enrollments
        if rejected_count or enrollment.outcome is None or enrollment.outcome.code == 200
    ]
    if world.switches.count_sync_rejected:
        moments += [refusal.at for refusal in world.refusals.where(world.refusals_by_identity, identity)]
    return moments


def count_in_window(moments: list[datetime], now: datetime, switches: Switches) -> int:
    """How many of the requests (oldest first) are still spent at `now` under the chosen window (facts.md §4.4)."""
    return len(in_window(moments, now, switches))


@dataclass(frozen=True, slots=True)
class Spent:
    """A request that is spent, and the moment it comes back; None: never."""

    at: datetime
    comes_back: datetime | None


def spent_requests(world: World, identity: Identity, now: datetime) -> list[Spent]:
    """The subject's own requests that are spent at this moment, oldest first."""
    return in_window(sorted(_spent(world, identity)), now, world.switches)


def in_window(moments: list[datetime], now: datetime, switches: Switches) -> list[Spent]:
    """Which of the requests (oldest first) are still spent, and until when, under the chosen window."""
    window = timedelta(days=switches.enrollment_window_days)
    if switches.enrollment_window == "lifetime":
        return [Spent(moment, None) for moment in moments]
    if switches.enrollment_window == "rolling":
        return [Spent(moment, moment + window) for moment in moments if moment > now - window]
    from_first = switches.enrollment_window == "fixed_from_first"
    period: list[datetime] = []
    anchor = None
    for moment in moments:
        if anchor is None or moment >= anchor + window:
            period, anchor = [], moment
        if not from_first:
            anchor = moment
        period.append(moment)
    if anchor is None or now >= anchor + window:
        return []
    return [Spent(moment, anchor + window) for moment in period]


def effective_rates(world: World, context: ContextIdentifier | None) -> dict[str, RateValues]:
    """Rate limits of a context: by test data, else by the profile; `off` shows the highest values that can be set."""
    override = world.context_rates.get(identity_key(context)) if context else None
    if override:
        return override.groups
    if world.switches.rate_profile == "custom":
        s = world.switches
        return {**PRODUCTION_RATES, "other": RateValues(s.rate_per_second, s.rate_per_minute, s.rate_per_hour)}
    return PRODUCTION_RATES if world.switches.rate_profile == "prd" else _HIGHEST_RATES

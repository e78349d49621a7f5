"""The decision before every generation: do KSeF's two limits leave room for what is missing, and for renewals to come?

Pure: the limits come in, findings go out. Who asked, and when, is the caller's (services.issue reads the limits inside
the subject's lease, right before the first request).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from klucznik.domain.identifiers import Context, Subject
from klucznik.domain.limits import Limits
from klucznik.domain.reasons import Cause, Reason
from klucznik.domain.remedies import Remedy


@dataclass(frozen=True)
class Finding:
    """One reason not to start, with its numbers.

    Attributes:
        reserved: requests kept back for renewals, where they are the reason.
    """

    code: Reason
    needed: int
    remaining: int
    limit: int
    reserved: int = 0


@dataclass(frozen=True)
class LikelyCause:
    """What probably led to the refusal.

    Attributes:
        count: how many, where KSeF's numbers tell; None where nothing tells.
    """

    code: Cause
    count: int | None = None


@dataclass(frozen=True)
class Refusal:
    """A generation that did not start, or that stopped when the limits shrank under it.

    Attributes:
        context: the company for which it was asked.
        filed: requests of this very issuance that had been filed before; 0 unless the limits shrank half-way. What
            was filed is finished and kept, so that later only the other half is needed.
    """

    subject: Subject
    context: Context
    limits: Limits
    needed: int
    reasons: tuple[Finding, ...]
    causes: tuple[LikelyCause, ...]
    remedies: tuple[Remedy, ...]
    filed: int = 0


def _requests_suffice(limits: Limits, needed: int) -> Finding | None:
    allowance = limits.enrollment
    if allowance.remaining >= needed:
        return None
    return Finding(Reason.REQUEST_LIMIT_BELOW_NEEDED, needed, allowance.remaining, allowance.limit)


def _certificate_slots_suffice(limits: Limits, needed: int) -> Finding | None:
    allowance = limits.certificate
    if allowance.remaining >= needed:
        return None
    return Finding(Reason.CERTIFICATE_LIMIT_BELOW_NEEDED, needed, allowance.remaining, allowance.limit)


def _ksef_allows_requests(limits: Limits, needed: int) -> Finding | None:
    if limits.can_request:
        return None
    return Finding(Reason.KSEF_FORBIDS_REQUESTS, needed, limits.enrollment.remaining, limits.enrollment.limit)


_RULES: tuple[Callable[[Limits, int], Finding | None], ...] = (_requests_suffice, _certificate_slots_suffice)


def preflight(limits: Limits, needed: int, *, reserved: int = 0) -> tuple[Finding, ...]:
    """Reasons not to start; empty means go.

    Args:
        limits: what KSeF has just answered.
        needed: how many certificates are missing; that many requests and that many slots are needed (a fresh pair: 2).
        reserved: requests that must be left for renewals (`domain.reserve`); 0 for a renewal itself.

    KSeF's own ``canRequest`` is a third reason only where the numbers alone would allow the requests, and what is kept
    back for renewals where KSeF would allow them.
    """
    findings = tuple(finding for rule in _RULES if (finding := rule(limits, needed)))
    findings = findings or tuple(filter(None, (_ksef_allows_requests(limits, needed),)))
    allowance = limits.enrollment
    if reserved and needed <= allowance.remaining < needed + reserved:
        kept = Finding(
            Reason.REQUESTS_RESERVED_FOR_RENEWAL, needed, allowance.remaining, allowance.limit, reserved=reserved
        )
        findings = (*findings, kept)
    return findings


def likely_causes(limits: Limits, findings: tuple[Finding, ...]) -> tuple[LikelyCause, ...]:
    """What usually leads to such limits, with the counts that KSeF's numbers give (mission.md, point 4)."""
    codes = {finding.code for finding in findings}
    causes = []
    if codes & {
        Reason.REQUEST_LIMIT_BELOW_NEEDED,
        Reason.KSEF_FORBIDS_REQUESTS,
        Reason.REQUESTS_RESERVED_FOR_RENEWAL,
    }:
        used = max(0, limits.enrollment.limit - limits.enrollment.remaining)
        causes += [LikelyCause(Cause.REQUESTS_ALREADY_USED, used)] if used else []
    if Reason.CERTIFICATE_LIMIT_BELOW_NEEDED in codes:
        held = max(0, limits.certificate.limit - limits.certificate.remaining)
        causes += [LikelyCause(Cause.CERTIFICATES_ALREADY_HELD, held)] if held else []
    return (*causes, LikelyCause(Cause.EARLIER_TESTS_OR_ATTEMPTS))

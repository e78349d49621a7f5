"""Situations as short texts, as `situations.toml` tells them, and ways out as short texts again, to be compared.

A certificate is ``NAME WORDS``: the name begins with A (Authentication) or O (Offline); words are ``ours`` (its key is
in the vault), ``used``, ``revoked``, ``blocked``, ``expired``, ``future``, ``90d`` (requested so many days ago) and
``ends=40d`` (still valid for so many days).
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from klucznik.domain.certificates import CertificateRecord, CertificateStatus, CertificateType, HeldCertificate, Origin
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.limits import Allowance, Limits
from klucznik.domain.reasons import RemedyKind, Risk
from klucznik.domain.remedies import Remedy, Situation, Standing
from klucznik.domain.renewal_window import Estimate
from klucznik.domain.reserve import needed_for_renewals

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LIFE = timedelta(days=730)
SUBJECTS = {
    "company": Subject(SubjectType.NIP, "5265877635"),
    "person": Subject(SubjectType.PESEL, "80010112340"),
    "fingerprint": Subject(SubjectType.FINGERPRINT, "AB" * 32),
}
MISSING = {
    "pair": (CertificateType.AUTHENTICATION, CertificateType.OFFLINE),
    "authentication": (CertificateType.AUTHENTICATION,),
    "offline": (CertificateType.OFFLINE,),
}
_STATUSES = {
    "revoked": CertificateStatus.REVOKED,
    "blocked": CertificateStatus.BLOCKED,
    "expired": CertificateStatus.EXPIRED,
}
_TOLD_RISKS = {
    Risk.PRINTED_CODES_STOP_VERIFYING: "printed codes",
    Risk.SESSIONS_LIVE_ON: "sessions",
    Risk.USED_ELSEWHERE: "used elsewhere",
}


def situation(told: dict[str, Any]) -> Situation:
    """What a table of the file tells."""
    now = datetime.fromisoformat(told["now"]) if "now" in told else NOW
    subject = SUBJECTS[told.get("subject", "person")]
    requests, slots = _allowance(told["requests"]), _allowance(told["slots"])
    certificates = [_Certificate(text, subject, now) for text in told.get("certificates", [])]
    held = tuple(one.held for one in certificates if one.ours)
    renewal = told.get("renewal", False)
    return Situation(
        limits=Limits(told.get("can_request", requests.remaining > 0 < slots.remaining), requests, slots),
        missing=MISSING[told.get("missing", "pair")],
        subject=subject,
        listed=tuple(one.record for one in certificates) if told.get("listed", True) else None,
        held=held,
        requested_at=tuple(now - timedelta(days=days) for days in told.get("own_requests", [])),
        operator=Standing(told.get("operator", "may_be_granted")),
        now=now,
        reserved=0 if renewal or told.get("force") else len(needed_for_renewals(held, now)),
        renewal=renewal,
    )


def told_of(remedy: Remedy, now: datetime) -> str:
    """A way out as one line."""
    words = [remedy.kind.value]
    if remedy.kind is RemedyKind.GRANT_PERMISSION:
        words.append(f"({remedy.task.value})")
    names = [about.record.name for about in remedy.certificates]
    if remedy.kind is RemedyKind.REVOKE:
        words.append(" ".join(names[: remedy.suggested]) or "(to be listed)")
        words.extend([f"before {' '.join(names[remedy.suggested :])}"] if names[remedy.suggested :] else [])
    else:
        words.extend(names)
    notes = [f"spends {remedy.spends}" if remedy.spends else "", _freed(remedy)]
    notes += [text for risk, text in _TOLD_RISKS.items() if risk in remedy.risks]
    notes += ["not alone" if not remedy.suffices else "", f"after {remedy.after.value}" if remedy.after else ""]
    notes.append(_days(remedy.estimate, now) if remedy.estimate else "")
    return ", ".join([" ".join(words), *filter(None, notes)])


def _freed(remedy: Remedy) -> str:
    assert remedy.frees_requests == 0
    return f"slots +{remedy.frees_certificates}" if remedy.frees_certificates else ""


def _days(estimate: Estimate, now: datetime) -> str:
    if estimate.latest is None:
        return "no day"
    known = "" if estimate.complete else f", {estimate.known} of {estimate.counted} known"
    latest = (estimate.latest - now).days
    if estimate.earliest is None:
        return f"in {latest} days at the latest{known}"
    earliest = (estimate.earliest - now).days
    return f"in {earliest} days{known}" if earliest == latest else f"in {earliest} to {latest} days{known}"


class _Certificate:
    def __init__(self, text: str, subject: Subject, now: datetime) -> None:
        self.name, *words = text.split()
        days = next((int(word[:-1]) for word in words if word[0].isdigit()), 10)
        ends = next((int(word[5:-1]) for word in words if word.startswith("ends=")), None)
        requested = now - timedelta(days=days)
        valid_to = requested + LIFE if ends is None else now + timedelta(days=ends)
        self.ours = "ours" in words
        kind = CertificateType.AUTHENTICATION if self.name.startswith("A") else CertificateType.OFFLINE
        valid_from = now + timedelta(days=5) if "future" in words else requested
        status = next((_STATUSES[word] for word in words if word in _STATUSES), CertificateStatus.ACTIVE)
        serial = _serial(self.name)
        self.record = CertificateRecord(
            serial_number=serial,
            name=self.name,
            type=kind,
            status=status,
            subject=subject,
            common_name="Jan Nowak",
            valid_from=valid_from,
            valid_to=valid_to if status is not CertificateStatus.EXPIRED else now - timedelta(days=1),
            requested_at=requested,
            last_used_at=now - timedelta(days=1) if "used" in words else None,
        )
        self.held = HeldCertificate(
            environment=Environment.SANDBOX,
            serial_number=serial,
            subject=subject,
            type=kind,
            name=self.name,
            common_name="Jan Nowak",
            valid_from=valid_from,
            valid_to=self.record.valid_to,
            der=b"",
            key_id=self.name,
            origin=Origin.ISSUED,
            verified_at=requested,
        )


@lru_cache
def _serial(name: str) -> str:
    return name.encode().hex().upper().zfill(16)


def _allowance(text: str) -> Allowance:
    remaining, limit = text.split("/")
    return Allowance(int(remaining), int(limit))

"""The sentences of a refusal and of errors, made from their data. Shared by every interface."""

from __future__ import annotations

from klucznik.domain.identifiers import Subject, SubjectType
from klucznik.domain.limits import Limits
from klucznik.domain.preflight import Finding, LikelyCause
from klucznik.domain.reasons import Cause, RemedyKind
from klucznik.domain.remedies import Remedy
from klucznik.domain.renewal_window import Estimate
from klucznik.messages.catalogue import Words


def subject_text(subject: Subject, words: Words) -> str:
    """Whose the limits and certificates are, for example ``PESEL 8•••••••294``."""
    return words.say(f"subject.{subject.type.value}", value=subject.shown())


def reach_text(subject: Subject, words: Words) -> str:
    """How far the subject's limits and certificates reach: the sentence people most often lack."""
    key = "reach.person" if subject.type is SubjectType.PESEL else f"reach.{subject.type.value}"
    return words.say(key, subject=subject_text(subject, words))


def reason_text(finding: Finding, words: Words) -> str:
    return words.say(
        f"reason.{finding.code.value}", needed=finding.needed, remaining=finding.remaining, limit=finding.limit
    )


def cause_text(cause: LikelyCause, limits: Limits, words: Words) -> str:
    limit = limits.certificate.limit if cause.code is Cause.CERTIFICATES_ALREADY_HELD else limits.enrollment.limit
    key = f"cause.{cause.code.value}"
    return words.say(key) if cause.count is None else words.count(key, cause.count, limit=limit)


def remedy_title(remedy: Remedy, words: Words) -> str:
    return words.say(f"remedy.{remedy.kind.value}.title")


def remedy_text(remedy: Remedy, words: Words) -> str:
    """What the way out is, and when it works."""
    key = f"remedy.{remedy.kind.value}"
    text = words.count(key, len(remedy.serial_numbers)) if remedy.serial_numbers else words.say(key)
    if remedy.estimate is None:
        return text
    return f"{text} {_when(remedy.kind, remedy.estimate, words)}"


def _when(kind: RemedyKind, estimate: Estimate, words: Words) -> str:
    """An estimate is worded as one, with what it rests on."""
    if estimate.latest is None:
        return words.say("estimate.unknown")
    latest = words.date(estimate.latest)
    evidence = words.say(f"estimate.evidence.{kind.value}", known=estimate.known, counted=estimate.counted)
    if estimate.earliest is None:
        return f"{words.say('estimate.by', latest=latest)} {evidence}"
    earliest = words.date(estimate.earliest)
    if earliest == latest:
        return f"{words.say('estimate.on', date=latest)} {evidence}"
    return f"{words.say('estimate.between', earliest=earliest, latest=latest)} {evidence}"
